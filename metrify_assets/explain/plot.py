"""The explanation as a picture: the day's energy slot by slot, delivered against clean, and the findings below.

Belongs here: drawing, without a display. Does not belong here: what is shown (``gather.py``). matplotlib is imported
where a picture is asked for, so that nothing else waits for it.

Colours are those of Okabe and Ito (2008), Color Universal Design: told apart with any common colour vision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.explain.record import Channel, Explanation, Slot
from metrify_assets.explain.words import number
from metrify_assets.vee.delivery_day import DeliveryDay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

STATUS_COLOURS = {
    "measured": "#0072B2",
    "validated": "#009E73",
    "estimated": "#E69F00",
    "provisional": "#CC79A7",
    "missing": "#D55E00",
}
STYLE: dict[RcKeyType, bool | int | str] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "metrify",
}
WIDTH_INCHES, PANEL_INCHES, ROW_INCHES = 12.0, 3.9, 0.24
ABOVE_INCHES, BETWEEN_INCHES, BELOW_INCHES, LEFT_INCHES, RIGHT_INCHES = 1.0, 0.08, 0.65, 1.75, 0.25
BAND = "#777777"
BLOCKS, NOTED = "#000000", "#888888"
"""Findings that refuse a value, and those that are only noted."""
REPLACED, REFUSED, VERSION = "delivered, replaced", "delivered, refused", "another version"
RANGE, OUTAGE, INTERVAL = "range of the days in the mean", "outage", "10 to 90 %"
LEGEND = (*STATUS_COLOURS, INTERVAL, RANGE, OUTAGE, REPLACED, REFUSED, VERSION)
"""Entries of the legend in their order."""
HEADROOM = 1.12
MOST_VALUES_WRITTEN = 4
"""Values beyond the axis that are written out; more would cover each other."""


def draw(explanation: Explanation, path: Path) -> None:
    """Draw a day into an SVG or PNG file, one panel per channel.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = _figure(explanation)
        # Without a date the same day gives the same bytes.
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(path, dpi=110, metadata=metadata)


def _figure(explanation: Explanation) -> Figure:
    from matplotlib.figure import Figure

    channels = explanation.channels
    strips = [len(_rows(channel)) * ROW_INCHES for channel in channels]
    heights = [ABOVE_INCHES + PANEL_INCHES + BETWEEN_INCHES + strip + BELOW_INCHES for strip in strips]
    total = sum(heights)
    figure = Figure(figsize=(WIDTH_INCHES, total))
    top = total
    for channel, strip, height in zip(channels, strips, heights, strict=True):
        # Placed in inches: titles, legends and ticks keep their distance whatever the number of rules and channels.
        bottom = top - ABOVE_INCHES - PANEL_INCHES
        main = figure.add_axes(_box(bottom, PANEL_INCHES, total))
        below = figure.add_axes(_box(bottom - BETWEEN_INCHES - strip, strip, total), sharex=main)
        _panel(main, explanation, channel)
        _strip(below, explanation, channel)
        top -= height
    return figure


def _box(bottom: float, height: float, total: float) -> tuple[float, float, float, float]:
    """Return where a panel stands in a figure that is ``total`` inches high, as shares of the figure."""
    width = WIDTH_INCHES - LEFT_INCHES - RIGHT_INCHES
    return LEFT_INCHES / WIDTH_INCHES, bottom / total, width / WIDTH_INCHES, height / total


def _panel(axes: Axes, explanation: Explanation, channel: Channel) -> None:
    slots = channel.slots
    top = _top(slots)
    _outages(axes, slots)
    _range_band(axes, slots)
    _clean(axes, slots)
    _delivered(axes, slots, top)
    _versions(axes, slots, top)
    _clock_change(axes, explanation, channel, top)
    lowest = min([0.0, *(float(slot.result.value_kwh) for slot in slots if slot.result.value_kwh is not None)])
    lowest = min([lowest, *(float(slot.delivered_kwh) for slot in slots if slot.delivered_kwh is not None)])
    lowest = min([lowest, *(float(slot.result.low_kwh) for slot in slots if slot.result.low_kwh is not None)])
    axes.set_ylim(max(lowest, -top) * HEADROOM, top * HEADROOM)
    axes.set_xlim(0, len(slots))
    axes.set_ylabel(f"kWh in {channel.interval_minutes} min")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelbottom=False)
    title = f"{_short(explanation.point_id)}  {channel.obis_code}  {explanation.day:%a} {explanation.day}"
    known_at = f", as known at {explanation.known_at}" if explanation.known_at else ""
    axes.set_title(title + known_at, loc="left", fontsize=12, fontweight="bold", pad=40)
    axes.set_title(_totals(channel), loc="right", fontsize=10, pad=40)
    handles, labels = axes.get_legend_handles_labels()
    handle_of = dict(zip(labels, handles, strict=True))
    unique = {label: handle_of[label] for label in LEGEND if label in handle_of}
    axes.legend(
        unique.values(),
        unique.keys(),
        loc="lower left",
        bbox_to_anchor=(-0.005, 1.01),
        ncol=8,
        frameon=False,
        fontsize=9,
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _top(slots: Sequence[Slot]) -> float:
    """Return the largest value that the axis has to hold: refused values far above all others are written instead."""
    clean = [float(slot.result.value_kwh) for slot in slots if slot.result.value_kwh is not None]
    clean += [float(source.kwh) for slot in slots if slot.estimate is not None for source in slot.estimate.sources]
    clean += [float(slot.result.high_kwh) for slot in slots if slot.result.high_kwh is not None]
    delivered = [float(slot.delivered_kwh) for slot in slots if slot.delivered_kwh is not None]
    largest = max(clean, default=0.0)
    beyond = max(delivered, default=0.0)
    top = beyond if beyond <= 2.5 * largest or largest <= 0 else 1.25 * largest
    return max(top, largest) or 1.0


def _outages(axes: Axes, slots: Sequence[Slot]) -> None:
    for slot in slots:
        if "outage" in slot.result.flags:
            axes.axvspan(slot.number, slot.number + 1, color="#bbbbbb", alpha=0.5, linewidth=0, label=OUTAGE)


def _range_band(axes: Axes, slots: Sequence[Slot]) -> None:
    for slot in slots:
        if slot.result.low_kwh is not None and slot.result.high_kwh is not None:
            low, high, label = float(slot.result.low_kwh), float(slot.result.high_kwh), INTERVAL
            axes.fill_between(
                [slot.number, slot.number + 1], low, high, color=BAND, alpha=0.45, linewidth=0, label=label, zorder=3
            )
            continue
        if slot.estimate is None or slot.estimate.method not in ("like_day", "similar_day"):
            continue
        values = [float(source.kwh) for source in slot.estimate.sources]
        axes.fill_between(
            [slot.number, slot.number + 1],
            min(values),
            max(values),
            color=BAND,
            alpha=0.45,
            linewidth=0,
            label=RANGE,
            zorder=3,
        )


def _clean(axes: Axes, slots: Sequence[Slot]) -> None:
    for status, colour in STATUS_COLOURS.items():
        ours = [slot for slot in slots if slot.result.status == status]
        if not ours:
            continue
        if status == "missing":
            for slot in ours:
                axes.axvspan(
                    slot.number,
                    slot.number + 1,
                    facecolor="none",
                    edgecolor=colour,
                    hatch="////",
                    linewidth=0,
                    alpha=0.6,
                    label=status,
                )
            continue
        drawn = [(slot.number, slot.result.value_kwh) for slot in ours if slot.result.value_kwh is not None]
        places = [place for place, _ in drawn]
        values = [float(value) for _, value in drawn]
        axes.bar(
            places,
            values,
            width=1.0,
            align="edge",
            color=colour,
            alpha=0.45,
            linewidth=0,
            label=status,
            zorder=2,
            antialiased=False,
        )
        # The upper edge in full colour: a step per slot.
        ends = [place + 1 for place in places]
        axes.hlines(values, places, ends, color=colour, linewidth=1.8, zorder=4)


def _delivered(axes: Axes, slots: Sequence[Slot], top: float) -> None:
    """Draw what was delivered where it is not what stands: refused values as crosses, else as points."""
    written = 0
    for slot in slots:
        if slot.delivered_kwh is None or slot.delivered_kwh == slot.result.value_kwh:
            continue
        value, middle = float(slot.delivered_kwh), slot.number + 0.5
        label = REFUSED if slot.refused else REPLACED
        marker = "x" if slot.refused else "o"
        beyond = value > top * HEADROOM or value < -top * HEADROOM
        shown = value if not beyond else (top * 1.05 if value > 0 else -top * 1.05)
        axes.plot(
            [middle], [shown], label=label, zorder=6, marker=marker, color="black", linestyle="none", markersize=5
        )
        if beyond and written < MOST_VALUES_WRITTEN:
            right = slot.number > len(slots) * 0.8
            axes.annotate(
                f"{number(value, 3)} kWh, beyond the axis",
                (middle, shown),
                xytext=(-7 if right else 7, -3 - 12 * written),
                textcoords="offset points",
                fontsize=9,
                ha="right" if right else "left",
                va="center",
                zorder=7,
            )
            written += 1


def _versions(axes: Axes, slots: Sequence[Slot], top: float) -> None:
    """Draw the versions that were not chosen, as far as the axis reaches."""
    for slot in slots:
        for delivery in slot.deliveries:
            if (
                delivery.role in ("superseded", "impossible")
                and delivery.kwh is not None
                and abs(float(delivery.kwh)) <= top * HEADROOM
            ):
                axes.plot(
                    [slot.number + 0.5],
                    [float(delivery.kwh)],
                    marker="o",
                    markerfacecolor="white",
                    markeredgecolor="black",
                    markersize=5,
                    linestyle="none",
                    label=VERSION,
                    zorder=6,
                )


def _clock_change(axes: Axes, explanation: Explanation, channel: Channel, top: float) -> None:
    """Mark where the clocks change: where the offset of local time from UTC differs from that of the day's start."""
    locals_ = [slot.local for slot in channel.slots]
    back = next((place for place, text in enumerate(locals_) if text.endswith("b")), None)
    if back is not None:
        axes.axvline(back, color="black", linestyle=":", linewidth=1)
        axes.annotate(
            "clocks back",
            (back, top * HEADROOM),
            xytext=(4, -4),
            textcoords="offset points",
            fontsize=9,
            va="top",
        )
        return
    day = DeliveryDay(explanation.day, explanation.timezone)
    if day.minutes < 1_440:
        minutes = day.local_minutes(channel.interval_minutes).tolist()
        jump = next(
            place for place in range(1, len(minutes)) if minutes[place] - minutes[place - 1] > channel.interval_minutes
        )
        axes.axvline(jump, color="black", linestyle=":", linewidth=1)
        axes.annotate(
            "clocks forward", (jump, top * HEADROOM), xytext=(4, -4), textcoords="offset points", fontsize=9, va="top"
        )


@dataclass(frozen=True)
class _Row:
    """A row of the strip: its name, and where it is of which colour; slots ``first`` to ``first + length - 1``."""

    name: str
    spans: Sequence[tuple[int, int]]
    colours: Sequence[str]


def _rows(channel: Channel) -> list[_Row]:
    """Return the rows of the strip: status, methods, and the rules that found something."""
    slots = channel.slots
    rows = [
        _Row("status", [(slot.number, 1) for slot in slots], [STATUS_COLOURS[slot.result.status] for slot in slots])
    ]
    for method in dict.fromkeys(slot.result.method for slot in slots if slot.result.method):
        ours = [slot for slot in slots if slot.result.method == method]
        colours = [STATUS_COLOURS[slot.result.status] for slot in ours]
        rows.append(_Row(method, [(slot.number, 1) for slot in ours], colours))
    findings = [(slot.number, 1, finding) for slot in slots for finding in slot.findings]
    findings += [(0, len(slots), finding) for finding in channel.day_findings]
    for rule in dict.fromkeys(finding.rule for _, _, finding in findings):
        hits = [(first, length, finding) for first, length, finding in findings if finding.rule == rule]
        colours = [BLOCKS if finding.severity == "block" else NOTED for _, _, finding in hits]
        rows.append(_Row(rule, [(first, length) for first, length, _ in hits], colours))
    return rows


def _strip(axes: Axes, explanation: Explanation, channel: Channel) -> None:
    rows = _rows(channel)
    for place, row in enumerate(rows):
        axes.broken_barh(row.spans, (place + 0.15, 0.7), facecolors=row.colours, linewidth=0, antialiased=False)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([place + 0.5 for place in range(len(rows))], [row.name for row in rows], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    places, labels = _ticks(explanation, channel)
    axes.set_xticks(places, labels)
    words = f"local time, {explanation.timezone}"
    if channel.summary.by_rule:
        words += "; findings in black belong to rules that refuse a value, those in grey are noted"
    axes.set_xlabel(words, fontsize=9)


def _ticks(explanation: Explanation, channel: Channel) -> tuple[list[int], list[str]]:
    """Return every third full hour by the wall clock, and the end of the day."""
    day = DeliveryDay(explanation.day, explanation.timezone)
    minutes = day.local_minutes(channel.interval_minutes).tolist()
    places = [place for place, minute in enumerate(minutes) if minute % 180 == 0]
    labels = [channel.slots[place].local for place in places]
    return [*places, len(minutes)], [*labels, "24:00"]


def _short(point: str) -> str:
    return point if len(point) <= 16 else f"{point[:8]}…{point[-6:]}"


def _totals(channel: Channel) -> str:
    summary = channel.summary
    counts = ", ".join(f"{count} {status}" for status, count in summary.by_status.items())
    return f"{number(summary.energy_kwh, 3)} kWh in {summary.slots} slots: {counts}"
