"""Benchmark ``estimates``: what estimators make of gaps cut into real series, beside a straight line.

Belongs here: cutting gaps, estimating them, and the figures. Does not belong here: the series (``real_series.py``) and
the estimators (``metrify_assets/vee``). Gaps are drawn at random from a fixed seed. The parameters were chosen on
households and industry; the site of 2012 and the home with PV were kept aside until they stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from benchmarks.frame import Bench, Figures
from benchmarks.real_series import Series, home_with_pv, households, industry, site_of_2012
from metrify_assets.reference.calendar import like_days_around
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.like_days import like_day_estimate
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.similar_days import similar_day_estimate

PARAMETERS = EstimationParameters(similar_days=10)
HOURS = (3, 5, 8, 16)
GAPS = 400
"""Per series, place and length of gap."""
ALONE = 5
"""So many times more gaps where there is one series."""
SHORT_GAPS = 4
RESAMPLES = 400
PLACES = ("middle", "head", "tail")
EDGE_HOURS = (5, 16)
KINDS: dict[str, Callable[[], list[Series]]] = {
    "households": households,
    "industry": industry,
    "site_2012": site_of_2012,
    "home_import": lambda: home_with_pv("grid_import"),
    "pv_export": lambda: home_with_pv("grid_export"),
}
METHODS = {
    "like": "like days at the day's level",
    "similar": "similar days and a bridge, like days where a day cannot be compared",
    "carry": "the value before the gap",
}


def _cells() -> list[tuple[str, str, int]]:
    cells = [(kind, "middle", hours) for kind in KINDS for hours in HOURS]
    return cells + [(kind, place, hours) for kind in KINDS for place in PLACES[1:] for hours in EDGE_HOURS]


FIGURES = {
    name: meaning
    for kind, place, hours in _cells()
    for cell, words in [(f"{kind}_{place}_{hours}h", f"{kind}, gaps of {hours} h in the {place} of a day")]
    for name, meaning in {
        f"{cell}_line_wape": f"{words}: sum of the errors of a straight line / energy"
        if place == "middle"
        else f"{words}: sum of the errors of the one edge carried on / energy",
        **{f"{cell}_{method}_to_line": f"{words}: error / that of the line, {how}" for method, how in METHODS.items()},
        f"{cell}_similar_low": f"{words}: lower end of the 95 % interval of similar_to_line, over gaps",
        f"{cell}_similar_high": f"{words}: upper end",
        f"{cell}_similar_energy": f"{words}: energy estimated / energy measured",
    }.items()
} | {
    f"{kind}_whole_day_{name}": f"{kind}, whole days missing: {meaning}"
    for kind in KINDS
    for name, meaning in {
        "week_wape": "sum of the errors of the same day a week before / energy",
        "like_to_week": "error of like days / that of the day a week before",
        "like_energy": "energy estimated / energy measured",
    }.items()
}


@dataclass(frozen=True)
class Tried:
    """What became of some gaps: errors and energies by method, one entry a gap, micro-kWh."""

    line: np.ndarray
    energy: np.ndarray
    errors: dict[str, np.ndarray]
    estimated: dict[str, np.ndarray]

    def ratio(self, method: str) -> float:
        """Return the error of a method / that of the line."""
        return float(self.errors[method].sum() / self.line.sum())

    def interval(self, method: str, seed: int) -> tuple[float, float]:
        """Return the 95 % interval of the ratio: gaps drawn again with replacement."""
        random = np.random.default_rng(seed)
        drawn = random.integers(0, len(self.line), (RESAMPLES, len(self.line)))
        ratios = self.errors[method][drawn].sum(axis=1) / self.line[drawn].sum(axis=1)
        low, high = np.percentile(ratios, [2.5, 97.5])
        return float(low), float(high)


def measure(bench: Bench) -> Figures:
    """Return the figures; raise ``BenchmarkError`` where the real files are absent."""
    figures: Figures = {}
    series = {kind: load()[: 1 if bench.short else None] for kind, load in KINDS.items()}
    for kind, place, hours in _cells():
        cell = f"{kind}_{place}_{hours}h"
        gaps = SHORT_GAPS if bench.short else GAPS * (ALONE if len(series[kind]) == 1 else 1)
        bench.say(f"{cell}: {gaps} gaps in each of {len(series[kind])} series")
        tried = try_gaps(series[kind], place, hours, gaps)
        if not (tried.energy.sum() and tried.line.sum()):
            # Nothing is fed in at night: there is nothing to compare.
            continue
        low, high = tried.interval("similar", hours)
        figures |= {
            f"{cell}_line_wape": round(float(tried.line.sum() / tried.energy.sum()), 4),
            **{f"{cell}_{method}_to_line": round(tried.ratio(method), 3) for method in METHODS},
            f"{cell}_similar_low": round(low, 3),
            f"{cell}_similar_high": round(high, 3),
            f"{cell}_similar_energy": round(float(tried.estimated["similar"].sum() / tried.energy.sum()), 3),
        }
    for kind in KINDS:
        figures |= {f"{kind}_whole_day_{name}": value for name, value in whole_days(series[kind]).items()}
    return figures


def try_gaps(series: list[Series], place: str, hours: int, gaps: int) -> Tried:
    """Cut gaps at random, estimate them by every method, and return what became of them."""
    random = np.random.default_rng(hours)
    line, energy = [], []
    errors: dict[str, list[float]] = {method: [] for method in METHODS}
    estimated: dict[str, list[float]] = {method: [] for method in METHODS}
    for each in series:
        slots, length = 1_440 // each.minutes, hours * 60 // each.minutes
        days = [day for day, row in each.days.items() if len(row) == slots]
        for number in random.integers(0, len(days), gaps).tolist():
            start = {"head": 0, "tail": slots - length}.get(place) if place != "middle" else None
            start = int(random.integers(1, slots - length)) if start is None else start
            values = estimates(each, days[number], start, start + length)
            if values is None:
                continue
            truth = each.days[days[number]][start : start + length]
            energy.append(truth.sum())
            line.append(np.abs(values["line"] - truth).sum())
            for method in METHODS:
                errors[method].append(np.abs(values[method] - truth).sum())
                estimated[method].append(values[method].sum())
    return Tried(
        np.array(line),
        np.array(energy),
        {method: np.array(each) for method, each in errors.items()},
        {method: np.array(each) for method, each in estimated.items()},
    )


def estimates(series: Series, day: date, start: int, end: int) -> dict[str, np.ndarray] | None:
    """Return the estimates of a gap by method; None where no like day is known."""
    row = series.days[day]
    slots = np.arange(start, end)
    edges = [edge for edge in (start - 1, end) if 0 <= edge < len(row)]
    like, has_like = _by(like_day_estimate, series, day, start, end)
    if not has_like.all():
        return None
    similar, has_similar = _by(similar_day_estimate, series, day, start, end)
    return {
        "line": np.interp(slots, edges, row[edges]),
        "like": like,
        "similar": np.where(has_similar, similar, like),
        "carry": np.full(len(slots), row[edges[0]]),
    }


def _by(
    method: Callable[..., object], series: Series, day: date, start: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    row = series.days[day]
    needed = np.zeros((1, len(row)), dtype=bool)
    needed[0, start:end] = True
    gaps = DayWithGaps(DeliveryDay(day, series.zone), series.minutes, np.array([0]), needed, ~needed, row[None, :])
    calendar = like_days_around(day)
    if method is similar_day_estimate:
        one_direction, kinds = np.array([True]), lambda other: np.array([calendar.kind(other)])
        estimate = similar_day_estimate(gaps, one_direction, series, kinds, PARAMETERS)
    else:
        estimate = like_day_estimate(gaps, series, calendar, PARAMETERS)
    return estimate.value[0, start:end], estimate.has_value[0, start:end]


def whole_days(series: list[Series]) -> dict[str, float]:
    """Return what like days make of whole days, beside the same day a week before."""
    week, like, truth, estimated = 0.0, 0.0, 0.0, 0.0
    for each in series:
        for day, row in each.days.items():
            before = each.days.get(day - timedelta(days=7))
            value, has_value = _by(like_day_estimate, each, day, 0, len(row))
            if before is None or len(before) != len(row) or not has_value.all():
                continue
            week += float(np.abs(before - row).sum())
            like += float(np.abs(value - row).sum())
            truth += float(row.sum())
            estimated += float(value.sum())
    return {
        "week_wape": round(week / truth, 4),
        "like_to_week": round(like / week, 3),
        "like_energy": round(estimated / truth, 3),
    }
