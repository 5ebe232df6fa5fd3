"""Benchmark ``estimates``: what estimators make of gaps cut into real series, beside a straight line.

Belongs here: which gaps are drawn, and the figures. Does not belong here: the series (``real_series.py``), cutting and
comparing (``metrify_assets/scoring/gaps``), the estimators (``metrify_assets/vee``). Gaps are drawn from a fixed seed.
The parameters were chosen on households and industry; the site of 2012 and the home with PV were kept aside until they
stood.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from benchmarks.frame import Bench, Figures
from benchmarks.real_series import Series, home_with_pv, households, industry, site_of_2012
from metrify_assets.scoring.gaps.cascade import estimate_gaps
from metrify_assets.scoring.gaps.errors import GapErrors
from metrify_assets.scoring.gaps.places import Gap
from metrify_assets.scoring.gaps.series import SHARD, SeriesDays
from metrify_assets.vee.codes import Severity
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import RULES, RuleBook, changed, uniform

EDITIONS = {
    "like": uniform(RuleSet(), EstimationParameters()),
    "similar": uniform(RuleSet(), EstimationParameters(similar_days=10)),
}
OFF = {rule.name: Severity.OFF for rule in RULES if Severity.OFF in rule.choices}
AS_MEASURED = RuleBook(((date.min, uniform(changed(RuleSet(), {}, OFF))),))
"""Every value stands: estimators are compared, not rules."""
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


def measure(bench: Bench) -> Figures:
    """Return the figures; raise ``BenchmarkError`` where the real files are absent."""
    figures: Figures = {}
    series = {kind: load()[: 1 if bench.short else None] for kind, load in KINDS.items()}
    days = {kind: SeriesDays([each.measured for each in of_kind], AS_MEASURED) for kind, of_kind in series.items()}
    for kind, place, hours in _cells():
        cell = f"{kind}_{place}_{hours}h"
        gaps = SHORT_GAPS if bench.short else GAPS * (ALONE if len(series[kind]) == 1 else 1)
        bench.say(f"{cell}: {gaps} gaps in each of {len(series[kind])} series")
        tried = try_gaps(series[kind], days[kind], place, hours, gaps)
        line_wape = tried.line_wape()
        if not line_wape:
            # Nothing is fed in at night: there is nothing to compare.
            continue
        figures |= {
            f"{cell}_line_wape": round(line_wape, 4),
            **{f"{cell}_{method}_to_line": round(tried.ratio(method), 3) for method in METHODS},
            f"{cell}_similar_energy": round(tried.energy_ratio("similar"), 3),
        }
        interval = tried.interval("similar", hours)
        if interval is not None:
            figures |= {f"{cell}_similar_low": round(interval[0], 3), f"{cell}_similar_high": round(interval[1], 3)}
    for kind in KINDS:
        whole = whole_days(series[kind], days[kind])
        figures |= {f"{kind}_whole_day_{name}": value for name, value in whole.items()}
    return figures


def try_gaps(series: list[Series], days: SeriesDays, place: str, hours: int, gaps: int) -> GapErrors:
    """Cut gaps at random, estimate them by every method, and return what became of them, in the order of drawing."""
    random = np.random.default_rng(hours)
    drawn = []
    for each in series:
        minutes = each.measured.minutes
        slots, length = 1_440 // minutes, hours * 60 // minutes
        names = list(each.days)
        for number in random.integers(0, len(names), gaps).tolist():
            start = {"head": 0, "tail": slots - length}.get(place)
            start = int(random.integers(1, slots - length)) if start is None else start
            drawn.append(_gap(each, names[number], start, start + length))
    parts = [cut.errors() for cut in estimate_gaps(days, days, SHARD, drawn, EDITIONS, beyond_the_days=False)]
    row = {gap: row for row, gap in enumerate(gap for compared, _ in parts for gap in compared)}
    return GapErrors.together([errors for _, errors in parts]).take(np.array([row[gap] for gap in drawn if gap in row]))


def whole_days(series: list[Series], days: SeriesDays) -> dict[str, float]:
    """Return what like days make of whole days, beside the same day a week before."""
    week, like, truth, estimated = 0.0, 0.0, 0.0, 0.0
    of_key = {(each.measured.point_id, each.measured.obis_code): each.days for each in series}
    gaps = [_gap(each, day, 0, len(row)) for each in series for day, row in each.days.items()]
    for cut in estimate_gaps(days, days, SHARD, gaps, {"like": EDITIONS["like"]}, beyond_the_days=False):
        values, has_values = cut.estimates["like"]
        for gap, row, value, has_value in zip(cut.gaps, cut.truth, values, has_values, strict=True):
            [day] = gap.days
            before = of_key[gap.key].get(day - timedelta(days=7))
            if before is None or not has_value.all():
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


def _gap(series: Series, day: date, start: int, end: int) -> Gap:
    measured = series.measured
    return Gap((measured.point_id, measured.obis_code), measured.minutes, ((day, start, end),))
