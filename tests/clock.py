"""The time of day, as a test gives it: to the one clock that every platform reads unless it is given another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest

from metrify_assets.clock import SYSTEM_CLOCK, instant


def read_as(monkeypatch: pytest.MonkeyPatch, read: Callable[[], int]) -> None:
    """Let the clock read what a function returns: UTC microseconds."""
    monkeypatch.setattr(SYSTEM_CLOCK, "read", lambda: instant(read()))


def noon_of(monkeypatch: pytest.MonkeyPatch, day) -> None:
    """Let it be noon (UTC) of a day."""
    monkeypatch.setattr(SYSTEM_CLOCK, "read", lambda: datetime.combine(day, time(12), UTC))
