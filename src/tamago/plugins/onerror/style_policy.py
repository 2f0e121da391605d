"""The content security policy of a page that has nothing but one style sheet of its own."""

from __future__ import annotations

import base64
import hashlib


def policy_for(style: str) -> str:
    """Return the policy that allows a page this style sheet, and nothing else: no script, no picture, no form, no frame around it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
