"""Estimation by standard load profile, minute by minute in fractions: slow, obvious, independent of the core.

Belongs here: what the estimate of a day must be, straight from the CSV files. Does not belong here: anything of the
package under test.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

FOLDER = Path(__file__).parents[3] / "metrify_assets" / "reference" / "profiles"
MONTHLY = {"H25", "G25", "L25", "P25", "S25"}
DYNAMISED = {"H0", "H25", "P25", "S25"}


@lru_cache
def table(name: str) -> dict[tuple[str, str], Fraction]:
    """Return the cells of a profile's file by (local time, column)."""
    with (FOLDER / f"{name.lower()}.csv").open() as lines:
        return {
            (row["start"], column): Fraction(cell)
            for row in csv.DictReader(lines)
            for column, cell in row.items()
            if column != "start"
        }


def column(name: str, day: date, holiday: bool) -> str:
    """Return the column that applies to a day."""
    if name in MONTHLY:
        period = day.strftime("%m")
    elif date(day.year, 5, 15) <= day <= date(day.year, 9, 14):
        period = "summer"
    elif day <= date(day.year, 3, 20) or day >= date(day.year, 11, 1):
        period = "winter"
    else:
        period = "transition"
    if holiday or day.strftime("%a") == "Sun":
        return f"{period}_sunday"
    if day.strftime("%a") == "Sat" or day.strftime("%d.%m.") in ("24.12.", "31.12."):
        return f"{period}_saturday"
    return f"{period}_workday"


def factor(name: str, day: date) -> Fraction:
    """Return the dynamisation factor of a day, rounded to four places; 1 for profiles without."""
    if name not in DYNAMISED:
        return Fraction(1)
    t = Decimal((day - date(day.year, 1, 1)).days + 1)
    exact = Decimal("-3.92e-10") * t**4 + Decimal("3.2e-7") * t**3 - Decimal("7.02e-5") * t**2
    exact += Decimal("2.1e-3") * t + Decimal("1.24")
    return Fraction(exact.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP))


def micro_kwh(name: str, day: date, zone: str, interval_minutes: int, annual_kwh: Fraction, holiday: bool) -> list[int]:
    """Return the estimate of every slot of a local day in micro-kWh."""
    where = ZoneInfo(zone)
    now = datetime.combine(day, time(), tzinfo=where).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=where).astimezone(UTC)
    cells, which = table(name), column(name, day, holiday)
    share_of_year = []
    while now < end:
        energy = Fraction(0)
        for _ in range(interval_minutes):
            local = now.astimezone(where)
            cell = cells[f"{local.hour:02d}:{local.minute // 15 * 15:02d}", which]
            # W over a minute in kWh of 1,000 a year; kWh in a quarter hour over a minute of 1,000,000 a year.
            energy += cell / 15 / 1_000_000 if name in MONTHLY else cell / 1_000 / 60 / 1_000
            now += timedelta(minutes=1)
        share_of_year.append(energy * factor(name, day))
    return [round(annual_kwh * share * 1_000_000) for share in share_of_year]
