"""Are there enough file descriptors for what was asked? Raises the soft limit as far as the hard one lets it."""

from __future__ import annotations

import resource
import sys

from tamago.errors import TamagoError

# A channel and a pidfd each, twice during a reload, and the master's own.
_FOR_A_WORKER = 4
_FOR_THE_MASTER = 64


class TooFewDescriptorsError(TamagoError):
    """The hard limit on open files is too low for this many workers."""

    def __init__(self, workers: int, needed: int, limit: int) -> None:
        super().__init__(
            f"{workers} {'worker needs' if workers == 1 else 'workers need'} {needed} open files in the master, and the limit is {limit}",
            hint=f"raise the hard limit (`ulimit -Hn`, LimitNOFILE= of systemd) to {needed} or more, or ask for fewer --workers",
        )
        self.workers, self.needed, self.limit = workers, needed, limit


def raise_file_limit(workers: int) -> None:
    """Make sure the master may open what this many workers need; raises `TooFewDescriptorsError`.

    The soft limit goes up to the hard one, for the children as well: each connection of a worker is a descriptor.
    """
    needed = _FOR_THE_MASTER + _FOR_A_WORKER * workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewDescriptorsError(workers, needed, hard)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, needed)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            if soft < needed:
                raise TooFewDescriptorsError(workers, needed, soft) from None


def hand_on(pid: int) -> None:
    """Give a process that was started before the limit was raised the one that we have now."""
    if sys.platform == "linux":
        resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
