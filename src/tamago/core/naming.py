"""How files, classes and names of an application relate: `user_admin.py` is `service.user_admin` and holds `UserAdminService`.

Egg accepts `-`, capitals and several case styles; here a file's name is the name in code, so what is imported is what is written.
"""

from __future__ import annotations

import keyword
import re
from typing import Final

_LEGAL: Final = re.compile(r"[a-z][a-z0-9_]*")

RULE: Final = "a name begins with a lower-case letter, goes on with lower-case letters, digits and `_`, and is no Python keyword"


def is_legal(name: str) -> bool:
    """Say whether a file or directory of this name (without its suffix) can be loaded."""
    return _LEGAL.fullmatch(name) is not None and not keyword.iskeyword(name)


def class_name(name: str, suffix: str = "") -> str:
    """Return the name of the class that belongs into a file: `class_name("user_admin", "Service")` is `UserAdminService`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) + suffix


def snake_case(name: str) -> str:
    """Return `sameSite` as `same_site`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def instance_key(path: str, name: str) -> str:
    """Return the attribute of a context that is the instance itself: `service:admin:user` for "service" and "admin.user"."""
    return f"{path}.{name}".replace(".", ":")
