"""The temperature response of all judged points together: a small drawing, and the table behind it.

Belongs here: bins of temperature, and SVG as text. Does not belong here: where it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.weather.adjust import expected_days
from metrify_assets.analytics.weather.fit import Baseline, Fits
from metrify_assets.analytics.weather.rules import Model
from metrify_assets.vee.arrays import Float64Array, Int64Array

_BLOCK = 4_096
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 480, 260, 48, 16, 12, 36
USED_COLOUR, EXPECTED_COLOUR = "#0072B2", "#D55E00"
"""Okabe and Ito (2008), Color Universal Design."""


@dataclass(frozen=True)
class Response:
    """Mean use of a day by whole degrees; arrays of shape (T,).

    Attributes
    ----------
    celsius : int64 array
        The whole degree that is nearest to the day's mean.
    used, expected : float64 array
        Mean over days and points, kWh.
    days : int64 array
        Days of points behind the mean.
    """

    celsius: Int64Array
    used: Float64Array
    expected: Float64Array
    days: Int64Array


def temperature_response(baseline: Baseline, fits: Fits) -> Response:
    """Return the use of the judged points by the temperature of the day, measured and expected."""
    judged = np.flatnonzero(fits.model != Model.REFUSED)
    known = baseline.temperature[np.isfinite(baseline.temperature)]
    if not len(judged) or not len(known):
        return Response(*(np.empty(0, kind) for kind in (np.int64, np.float64, np.float64, np.int64)))  # type: ignore[arg-type]
    lowest = int(np.rint(known.min()))
    size = int(np.rint(known.max())) - lowest + 1
    sums = np.zeros((3, size))
    for first in range(0, len(judged), _BLOCK):
        rows = judged[first : first + _BLOCK]
        used, station = baseline.energy[rows], baseline.station[rows]
        temperature = baseline.temperature[station]
        expected = expected_days(fits.take(rows), station, baseline.temperature)
        counted = np.isfinite(used) & np.isfinite(temperature)
        counted &= np.arange(used.shape[1]) >= baseline.begin[rows, None]
        place = np.rint(temperature[counted]).astype(np.int64) - lowest
        for row, weights in enumerate((used[counted], expected[counted], np.ones(len(place)))):
            sums[row] += np.bincount(place, weights, size)
    filled = sums[2] > 0
    used, expected, days = sums[:, filled]
    return Response(np.arange(size)[filled] + lowest, used / days, expected / days, days.astype(np.int64))


def draw_response(response: Response) -> str:
    """Return the response as SVG of a few kilobytes: dots are what was used, the line what the models expect."""
    low, high = int(response.celsius.min()), int(response.celsius.max())
    top = max(float(response.used.max()), float(response.expected.max())) * 1.08 or 1.0
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(celsius: float) -> str:
        return f"{LEFT + across * (celsius - low) / max(high - low, 1):.1f}"

    def y(kwh: float) -> str:
        return f"{TOP + down * (1 - kwh / top):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        'font-size="11" role="img"><title>Use of a day by its temperature</title>',
        f'<path d="M{LEFT} {TOP}V{TOP + down}H{WIDTH - RIGHT}" fill="none" stroke="#555"/>',
    ]
    for celsius in range(-(-low // 5) * 5, high + 1, 5):
        parts.append(f'<text x="{x(celsius)}" y="{HEIGHT - 20}" text-anchor="middle">{celsius}</text>')
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{LEFT - 4}" y="{y(top * share)}" text-anchor="end">{top * share:.3g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 5}" text-anchor="middle">mean of the day, degC</text>')
    parts.append(f'<text x="4" y="11">kWh/d: <tspan fill="{USED_COLOUR}">used</tspan>, ')
    parts.append(f'<tspan fill="{EXPECTED_COLOUR}">expected</tspan></text>')
    line = " ".join(f"{x(c)},{y(kwh)}" for c, kwh in zip(response.celsius.tolist(), response.expected, strict=True))
    parts.append(f'<polyline points="{line}" fill="none" stroke="{EXPECTED_COLOUR}" stroke-width="1.5"/>')
    for celsius, kwh in zip(response.celsius.tolist(), response.used.tolist(), strict=True):
        parts.append(f'<circle cx="{x(celsius)}" cy="{y(kwh)}" r="2.5" fill="{USED_COLOUR}"/>')
    return "".join([*parts, "</svg>"])
