"""One pace for all threads, so that the quota of the account is not run into."""

from __future__ import annotations

import time
from threading import Lock


class Pace:
    """Lets requests go one after the other, evenly spaced; thread-safe.

    Args:
        per_second: Requests a second, all threads together.
    """

    def __init__(self, per_second: float) -> None:
        """See the class."""
        self._interval = 1.0 / per_second
        self._lock = Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the caller's turn has come; who is told to hold on while waiting waits longer."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    # one interval of credit makes up for sleeping too long, and is no burst
                    self._next = max(self._next, now - self._interval) + self._interval
                    return
                left = self._next - now
            time.sleep(left)

    def hold(self, seconds: float) -> None:
        """Nobody gets a turn for so many seconds: Drive asked one of us to slow down."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
