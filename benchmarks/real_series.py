"""Real series of meters as whole days: the ground that estimates are tried on.

Belongs here: reading the files of ``tests/real_data.py`` into days, and answering for them as ``vee.history`` does.
Does not belong here: cutting gaps and comparing (``estimates.py``).
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from benchmarks.frame import BenchmarkError
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from tests import real_data


class Series:
    """A series as complete days of equal length, as ``vee.history`` gives them; other days do not exist."""

    def __init__(self, first: date, days: np.ndarray, zone: str, minutes: int):
        self.days = {first + timedelta(number): row for number, row in enumerate(days) if (row >= 0).all()}
        self.zone, self.minutes = zone, minutes

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        """Return what a day adds up to."""
        if day not in self.days:
            return None
        values, yes = self.days[day], np.ones(1, dtype=bool)
        return DayTotals(values.sum(keepdims=True), yes, np.array([len(values)]), yes)

    def complete_day(self, day: date, rows: np.ndarray) -> CompleteDay | None:
        """Return the values of a day."""
        minutes = DeliveryDay(day, self.zone).local_minutes(self.minutes)
        return CompleteDay(minutes, self.days[day][None, :])

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return nothing: gaps lie within a day."""
        return None


def households(most: int | None = None) -> list[Series]:
    """Return (at most so many of) the households of London, half hours of 2013 in UTC."""
    files = sorted(_folder("lcl_halfhourly").glob("*.csv"))[:most]
    return [Series(date(2013, 1, 1), _half_hours(file), "UTC", 30) for file in files]


def _half_hours(file: Path) -> np.ndarray:
    """Return micro-kWh by day and half hour, -1 where there is none or more than one."""
    table = csv.read_csv(file)
    stamps = table.column(1).cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy()
    values = pc.utf8_trim_whitespace(table.column(2).cast(pa.string())).to_pylist()
    year = np.full(365 * 48, -1, dtype=np.int64)
    for stamp, text in zip(stamps.tolist(), values, strict=True):
        place = (stamp - 1_356_998_400) // 1_800
        if 0 <= place < len(year) and text not in ("", "Null"):
            year[place] = round(float(text) * 1_000_000)
    return year.reshape(365, 48)


def industry(most: int | None = None) -> list[Series]:
    """Return (at most so many of) the industrial load profiles, quarter hours of 2021, the days of 24 hours."""
    files = sorted(_folder("lastgang").glob("*.csv"))[:most]
    return [Series(date(2021, 1, 1), _quarters(file), "Europe/Berlin", 15) for file in files]


def _quarters(file: Path) -> np.ndarray:
    options = {
        "parse_options": csv.ParseOptions(delimiter=";"),
        "convert_options": csv.ConvertOptions(decimal_point=","),
    }
    table = csv.read_csv(file, read_options=csv.ReadOptions(encoding="latin-1"), **options)
    texts = table.column(0).cast(pa.string()).to_pylist()
    values = np.rint(table.column(2).to_numpy() * 250_000).astype(np.int64)
    days = list(dict.fromkeys(texts))
    by_day = {day: [] for day in days}
    for day, value in zip(texts, values.tolist(), strict=True):
        by_day[day].append(value)
    whole = [row if len(row) == 96 else [-1] * 96 for row in by_day.values()]
    return np.array(whole, dtype=np.int64)


def site_of_2012(most: int | None = None) -> list[Series]:
    """Return the end-stamped industrial site, quarter hours of 2012 in the order of its file, the days of 96 rows."""
    [file] = sorted(_folder("lastgang_end_stamped").glob("*.csv"))
    options = {
        "parse_options": csv.ParseOptions(delimiter=";"),
        "convert_options": csv.ConvertOptions(decimal_point=","),
    }
    read = csv.ReadOptions(encoding="latin-1", column_names=["day", "end", "kw"])
    values = np.rint(csv.read_csv(file, read_options=read, **options)["kw"].to_numpy() * 250_000).astype(np.int64)
    days = values[: len(values) // 96 * 96].reshape(-1, 96)
    return [Series(date(2012, 1, 1), days, "UTC", 15)]


def home_with_pv(channel: str) -> list[Series]:
    """Return a channel of the household in Konstanz, hours in UTC: differences of its counter where both ends are."""
    [file] = sorted(_folder("opsd_household").glob("*.csv"))
    table = csv.read_csv(file)
    starts = table["utc_timestamp"].cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy()
    counter = table[f"DE_KN_residential4_{channel}"].to_numpy().astype(float)
    energy = np.diff(counter, prepend=np.nan)
    first = -(-int(starts[0]) // 86_400) * 86_400
    inside = starts >= first
    hours = np.full((int(starts[-1]) - first) // 3_600 + 1, -1, dtype=np.int64)
    known = inside & ~np.isnan(energy)
    hours[(starts[known] - first) // 3_600] = np.rint(energy[known] * 1_000_000)
    days = hours[: len(hours) // 24 * 24].reshape(-1, 24)
    return [Series(date(1970, 1, 1) + timedelta(days=first // 86_400), days, "UTC", 60)]


def _folder(name: str) -> Path:
    folder = real_data.folder() / "meters" / name
    if not folder.exists():
        raise BenchmarkError(f"{folder} is not there: set {real_data.VARIABLE} to the folder of real files")
    return folder
