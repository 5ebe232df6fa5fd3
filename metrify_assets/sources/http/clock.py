"""Time for the client: the clock that tests replace, and a bucket that limits the rate of requests.

Belongs here: waiting. Does not belong here: the decision to try again (``client.py``).
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the client needs of time."""

    def now(self) -> float:
        """Return seconds from any fixed start."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class TokenBucket:
    """Lets ``burst`` requests through at once and ``rate`` per second in the long run.

    Parameters
    ----------
    rate : float
        Requests per second.
    burst : int
    clock : Clock
    """

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens = float(burst)
        self._filled_at = clock.now()

    def take(self) -> None:
        """Wait until a request may go, and count it."""
        self._fill()
        if self._tokens < 1:
            self._clock.sleep((1 - self._tokens) / self._rate)
            self._fill()
        self._tokens -= 1

    def _fill(self) -> None:
        now = self._clock.now()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
