"""Benchmark ``weather_dependence``: a year of all points at once, against a loop over points and candidates.

Belongs here: which figures are taken, and that both sides agree. Does not belong here: both sides
(``weather_sides.py``).
"""

from __future__ import annotations

from math import isclose

from benchmarks.frame import Bench, BenchmarkError, Figures, median

REPEATS = 3
COMPARED = 40
"""Points that the loop works out: it takes a quarter of a second for each."""
COMPARED_SHORT = 4

FIGURES = {
    "days": "days of the baseline of every point",
    "seconds": "fit and use of twelve months in an ordinary year's weather, all points, median; goal: at most 60",
    "fit_seconds": "of which the fit with the rules of sufficiency",
    "adjust_seconds": "of which the adjusted months",
    "peak_mib": "resident memory at most, with the made-up points; goal: at most 4,096",
    "points_per_s": "points / seconds",
    "judged": "points that no rule refused",
    "right_model": "share of the judged points with the model that they were made with",
    "false_dependence": "share of the points made without dependence that got a slope",
    "slope_error": "median relative error of the heating slope",
    "peer_points": "points that the loop worked out",
    "peer_seconds_per_point": "the loop: least squares for every candidate of one point",
    "ratio_to_peer": "seconds of our fit per point / seconds of the loop per point",
    "peer_false_dependence_adjusted_r_squared": "share of its points without dependence that get a slope by it",
}


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If the two sides choose different models, or another base load.
    """
    # A sample spread over all kinds of points, without those of too short a history.
    wanted = COMPARED_SHORT if bench.short else COMPARED
    compared = [row for row in range(wanted + wanted // 49) if row % 50 != 49][:wanted]
    runs = []
    for repeat in range(bench.repeats or REPEATS):
        bench.say(f"{repeat + 1}: {bench.points:,} points")
        runs.append(bench.in_child("benchmarks.weather_sides:ours", points=bench.points, compared=compared))
    bench.say(f"the loop on {len(compared)} points")
    peer = bench.in_child("benchmarks.weather_sides:peer", points=bench.points, compared=compared).value
    ours = runs[0].value
    for row, one, other, base, other_base in zip(
        compared, ours["models"], peer["models"], ours["bases"], peer["bases"], strict=True
    ):
        if one != other or not isclose(base, other_base, rel_tol=1e-6, abs_tol=1e-6):
            raise BenchmarkError(f"point {row}: {one} with {base} kWh/d, and by the loop {other} with {other_base}")
    fit = median([run.value["fit_seconds"] for run in runs])
    adjust = median([run.value["adjust_seconds"] for run in runs])
    per_point = peer["seconds"] / len(compared)
    plain = [terms for row, terms in zip(compared, peer["by_adjusted_r_squared"], strict=True) if row % 4 == 0]
    return {
        "days": 365,
        "seconds": round(fit + adjust, 3),
        "fit_seconds": fit,
        "adjust_seconds": adjust,
        "peak_mib": round(max(run.peak_mib for run in runs)),
        "points_per_s": round(bench.points / (fit + adjust)),
        **{name: round(ours[name], 4) for name in ("judged", "right_model", "false_dependence", "slope_error")},
        "peer_points": len(compared),
        "peer_seconds_per_point": round(per_point, 4),
        "ratio_to_peer": round(fit / bench.points / per_point, 6),
        "peer_false_dependence_adjusted_r_squared": round(sum(t != "base" for t in plain) / len(plain), 3),
    }
