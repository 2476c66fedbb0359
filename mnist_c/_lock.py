"""A lock that outlives forks."""

import os
import threading
from typing import Any


class Lock:
    """A re-entrant lock. In a forked child it is a new one: of the old one, the owner may not be there to release it.

    with lock.now: ...
    """

    def __init__(self) -> None:
        self._now = (threading.RLock(), os.getpid())

    @property
    def now(self) -> Any:
        """That of this process."""
        lock, process = self._now
        if process != os.getpid():  # two threads of a child must not make one each
            with _MAKING:
                if self._now[1] != os.getpid():
                    self._now = (threading.RLock(), os.getpid())
                lock = self._now[0]
        return lock


_MAKING = threading.Lock()


def _forked() -> None:
    global _MAKING
    _MAKING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
