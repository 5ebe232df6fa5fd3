"""A forecast as a picture: the fan from P10 to P90, the forecast, and the load of the week before, as SVG.

Belongs here: drawing, with text alone. Does not belong here: what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metrify_assets.vee.arrays import Float64Array

WIDTH, HEIGHT, MARGIN = 480, 160, 34
FAN, LINE, NAIVE, TEXT = "#9ecae1", "#08519c", "#969696", "#333333"


def fan_svg(title: str, p10: Float64Array, p50: Float64Array, p90: Float64Array, week_before: Float64Array) -> str:
    """Return an SVG document of some kilobytes.

    Parameters
    ----------
    title : str
        Says series and lead time.
    p10, p50, p90, week_before : float array, shape (slots,)
        MW; NaN is left out.
    """
    every = np.concatenate([p10, p50, p90, week_before])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    spread = high - low or 1.0
    slots = len(p50)

    def place(slot: int, value: float) -> str:
        x = MARGIN + slot / max(slots - 1, 1) * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN / 2 - (value - low) / spread * (HEIGHT - 1.5 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    ended = [slot for slot in range(slots) if np.isfinite(p10[slot]) and np.isfinite(p90[slot])]
    edge = [place(slot, p90[slot]) for slot in ended] + [place(slot, p10[slot]) for slot in reversed(ended)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="10" fill="{TEXT}">',
        f"<title>{title}</title>",
        f'<polygon points="{" ".join(edge)}" fill="{FAN}"/>' if edge else "",
        _line(week_before, place, NAIVE, 'stroke-dasharray="3 2"'),
        _line(p50, place, LINE, ""),
        f'<text x="{MARGIN}" y="11">{title}</text>',
        f'<text x="2" y="{MARGIN + 4}">{high:,.0f}</text>',
        f'<text x="2" y="{HEIGHT - MARGIN / 2:.0f}">{low:,.0f}</text>',
        f'<text x="{MARGIN}" y="{HEIGHT - 3}">MW; dark: forecast, light: P10 to P90, dashed: a week before</text>',
        "</svg>",
    ]
    return "".join(parts)


def _line(values: Float64Array, place: Callable[[int, float], str], colour: str, style: str) -> str:
    points = [place(slot, value) for slot, value in enumerate(values.tolist()) if np.isfinite(value)]
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" {style}/>' if points else ""
