"""`tamago restart-agent`: replace the agent, and nothing else."""

from __future__ import annotations

from tamago.cli.choice import AsJson, Directory, Title, carry_out


def restart_agent(directory: Directory = ".", *, title: Title = "", json: AsJson = False) -> int:
    """Replace the agent.

    Messages to it wait meanwhile.
    """
    return carry_out(directory, title, "restart_agent", {}, as_json=json)
