"""What goes wrong between a client and Drive, on demand.

Whether a request is broken depends on a seed, on the request and on how often it was made before: never on which thread
comes first, so that a test that passes passes always.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from threading import Lock

FAULTS = (
    "403 rate",  # userRateLimitExceeded or rateLimitExceeded
    "403 backend",  # backendError or internalError
    "429",  # with Retry-After
    "5xx",
    "reset",  # the connection is reset instead of an answer
    "closed",  # the connection is closed before the request is done
    "lost",  # the request is done, and its answer never comes
    "truncated",  # the body ends early
    "corrupted",  # the body is altered: a bit of a file's bytes, or a piece of JSON
    "expired",  # the token is no longer good
    "page token",  # a list's or the feed's token is no longer good
)


class Faults:
    """Breaks a share of all requests, or the next ones that match."""

    def __init__(self, rates: Mapping[str, float] | None = None, *, seed: int = 0) -> None:
        self.rates = dict(rates or {})
        self.seed = seed
        self.done: Counter[str] = Counter()
        self._planned: list[tuple[str, str]] = []
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def plan(self, fault: str, *, times: int = 1, match: str = "") -> None:
        """Break the next requests whose method and address contain some text."""
        self._planned += [(match, fault)] * times

    def choose(self, request: str) -> str:
        """The fault of this request, or nothing."""
        with self._lock:
            self._seen[request] += 1
            fault = self._choose_planned(request) or self._draw(request, self._seen[request])
            if fault == "page token" and "pageToken=" not in request:
                return ""
            if fault:
                self.done[fault] += 1
            return fault

    def _choose_planned(self, request: str) -> str:
        for number, (match, fault) in enumerate(self._planned):
            if match in request:
                del self._planned[number]
                return fault
        return ""

    def _draw(self, request: str, time: int) -> str:
        digest = hashlib.sha256(f"{self.seed} {request} {time}".encode()).digest()
        chance = int.from_bytes(digest[:6], "big") / 2**48
        for fault, rate in self.rates.items():
            if chance < rate:
                return fault
            chance -= rate
        return ""
