"""Benchmark ``like_days``: the error of like-day estimates on real meters, against a straight line.

Belongs here: cutting gaps into real series and comparing what estimators give with what was measured. Does not belong
here: the estimator (``metrify_assets/vee/like_days.py``). The files are those of ``tests/real_data.py``; their gaps are
drawn at random, from a fixed seed, and no parameter was fitted to them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from benchmarks.frame import Bench, BenchmarkError, Figures
from metrify_assets.reference.calendar import like_days_around
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.history import CompleteDay, DayTotals
from metrify_assets.vee.like_days import like_day_estimate
from metrify_assets.vee.parameters import EstimationParameters
from tests import real_data

HOURS = (5, 8, 16)
GAPS = 400
"""Per series and length of gap."""
SHORT_GAPS = 5
AT_LEVEL = EstimationParameters()
AS_THEY_ARE = replace(AT_LEVEL, like_day_level_low_percent=100, like_day_level_high_percent=100)
KINDS = ("households", "industry")

FIGURES = {
    f"{kind}_{hours}h_{name}": f"{kind}, gaps of {hours} h: {meaning}"
    for kind in KINDS
    for hours in HOURS
    for name, meaning in (
        ("line_wape", "sum of the errors of a straight line / energy"),
        ("means_to_line", "error of the means of like days / that of the line"),
        ("level_to_line", "error of the means at the level of the day / that of the line"),
        ("level_bias", "energy estimated / energy measured, means at the level of the day"),
    )
}


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


def measure(bench: Bench) -> Figures:
    """Return the figures; raise ``BenchmarkError`` where the real files are absent."""
    figures: Figures = {}
    gaps, most = (SHORT_GAPS, 1) if bench.short else (GAPS, None)
    for kind, series in (("households", households(most)), ("industry", industry(most))):
        for hours in HOURS:
            bench.say(f"{kind}: gaps of {hours} h in {len(series)} series")
            truth, line, means, level = errors(series, hours, gaps)
            figures[f"{kind}_{hours}h_line_wape"] = round(np.abs(line - truth).sum() / truth.sum(), 4)
            for name, estimate in (("means", means), ("level", level)):
                ratio = np.abs(estimate - truth).sum() / np.abs(line - truth).sum()
                figures[f"{kind}_{hours}h_{name}_to_line"] = round(ratio, 4)
            figures[f"{kind}_{hours}h_level_bias"] = round(level.sum() / truth.sum(), 4)
    return figures


def errors(series: list[Series], hours: int, gaps: int) -> tuple[np.ndarray, ...]:
    """Return the measured values of random gaps, and what a line, means, and means at the day's level make of them."""
    random = np.random.default_rng(hours)
    found: list[tuple[np.ndarray, ...]] = []
    for one in series:
        slots = 1_440 // one.minutes
        length = hours * 60 // one.minutes
        # A line needs an edge on either side; a day of another length has other slots.
        days = [day for day, row in one.days.items() if len(row) == slots]
        for number in random.integers(0, len(days), gaps).tolist():
            start = int(random.integers(1, slots - length))
            if (gap := _gap(one, days[number], start, start + length)) is not None:
                found.append(gap)
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _gap(series: Series, day: date, start: int, end: int) -> tuple[np.ndarray, ...] | None:
    """Return measured values and estimates of a gap; None where no like day is known."""
    row = series.days[day]
    needed = np.zeros((1, len(row)), dtype=bool)
    needed[0, start:end] = True
    estimates = []
    for parameters in (AS_THEY_ARE, AT_LEVEL):
        delivery_day = DeliveryDay(day, series.zone)
        estimate = like_day_estimate(
            delivery_day,
            series.minutes,
            np.array([0]),
            needed,
            ~needed,
            row[None, :],
            series,
            like_days_around(day),
            parameters,
        )
        if not estimate.has_value[0, start:end].all():
            return None
        estimates.append(estimate.value[0, start:end])
    line = np.interp(np.arange(start, end), [start - 1, end], [row[start - 1], row[end]])
    return row[start:end], line, *estimates


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


def _folder(name: str) -> Path:
    folder = real_data.folder() / "meters" / name
    if not folder.exists():
        raise BenchmarkError(f"{folder} is not there: set {real_data.VARIABLE} to the folder of real files")
    return folder
