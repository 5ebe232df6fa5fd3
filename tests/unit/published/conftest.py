"""Fixtures of the tests of what is published."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.small_marts import SmallMarts, small_marts

DAYS = [date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)]


@pytest.fixture
def plant(tmp_path: Path) -> SmallMarts:
    """Three days of two points, across the end of a month; one value is unknown."""
    marts = small_marts(tmp_path / "metrify")
    marts.build({DAYS[0]: {"A": "1.5", "B": "2.25"}, DAYS[1]: {"A": "0.000001", "B": None}, DAYS[2]: {"A": "3"}})
    return marts
