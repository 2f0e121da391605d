"""What the list of processes and the kernel call a process of ours."""

from __future__ import annotations

from setproctitle import setproctitle, setthreadtitle

from tamago.types import Role


def name_process(role: Role, line: str) -> None:
    """Let `ps` show `line` as the command of this process. The kernel's own name for it, in `top` for example, is `tamago-<role>`.

    The beginning of `line` would do as that, but for its blanks. To count threads, `os.fork` of Python 3.12 and later takes the twentieth
    word of /proc/self/stat. With blanks in the name, which comes before, that is another number: it would warn of threads that don't exist.
    """
    setproctitle(line)
    setthreadtitle(f"tamago-{role.value}")
