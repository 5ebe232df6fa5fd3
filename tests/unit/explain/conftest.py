"""A day that holds a bit of everything, small enough to be worked out by hand.

Belongs here: the platform that the tests of the explanation look at. Hourly points; the day is 2026-03-10, a Tuesday.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from metrify_assets.vee.delivery_day import DeliveryDay
from tests.workbench import ARRIVED, IMPORT, Workbench, instant, reads, workbench

DAY = date(2026, 3, 10)
LIKE_DAYS = [DAY - timedelta(weeks=weeks) for weeks in (1, 2, 3)]
LATER = ARRIVED + timedelta(days=1)
POINT = "A"
GAP = range(8, 13)
"""Hours that are absent: five, so that they are not interpolated."""


def starts(day: date = DAY) -> list[str]:
    """Return the start of every hour of a day."""
    return [instant(start) for start in DeliveryDay(day).slot_starts(60).tolist()]


def usual(point: str, day: date, slot: int) -> float | None:
    """Return 0.5 kWh by night, 0.4 kWh and a little by day, on each like day another little; nothing in the gap."""
    if day == DAY and slot in GAP:
        return None
    base = {LIKE_DAYS[0]: 0.41, LIKE_DAYS[1]: 0.39, LIKE_DAYS[2]: 0.44}.get(day, 0.4)
    return (base if slot in GAP else 0.5) + 0.001 * (slot % 2)


LIKE_DAYS_ALONE = "editions: [{version: like-days, valid_from: 1990-01-01}]"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A platform under the rules of before similar days: the means of like days can be worked out in one's head."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(LIKE_DAYS_ALONE)
    monkeypatch.setenv("METRIFY_RULES_FILE", str(rules))
    return workbench(tmp_path, rules_file=rules)


@pytest.fixture
def busy(bench: Workbench) -> Workbench:
    """The day and its like days, delivered and not yet computed."""
    bench.register(POINT, "B")
    bench.land("plain", "history.csv", reads([POINT, "B"], LIKE_DAYS, usual))
    bench.land("plain", "day.csv", reads([POINT, "B"], [DAY], usual))
    return bench


def correct(bench: Workbench, slot: int, value: object, *, day: date = DAY, arrived=LATER, name: str = "more.csv"):
    """Deliver another value of one hour, by a file that adds to the others."""
    text = f"point,start,kwh\n{POINT},{starts(day)[slot]},{value}\n"
    return bench.land("adding", name, text.encode(), arrived)


def edit(bench: Workbench, slot: int, value: float, *, arrived=LATER, remark: str = "read on site"):
    """Decide on the value of one hour."""
    header = "point_id,obis_code,interval_start,kwh,author,reason\n"
    row = f"{POINT},{IMPORT},{starts()[slot]},{value},M. Weber,{remark}\n"
    return bench.land("manual_edits", "edit.csv", (header + row).encode(), arrived)
