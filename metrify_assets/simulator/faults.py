"""What goes wrong with single rows and runs between the meter and the file, and its labels.

Belongs here: events that hit some slots of a channel's day: what is delivered instead. Does not belong here: events
that hit the whole day (``day_faults.py``), who has which event (``injection.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.simulator.delivery import Delivery, FaultKind, Malformation, SenderStatus, Site

_OUTLIERS = 3


def _gap(delivery: Delivery, site: Site, shortest: int, longest: int) -> None:
    run = site.run(delivery.slots, shortest, longest)
    delivery.copies[site.channel, run] = 0
    delivery.label(site.channel, run, FaultKind.GAP, f"{len(run)} slots missing")


def short_gap(delivery: Delivery, site: Site) -> None:
    _gap(delivery, site, 1, 8)


def long_gap(delivery: Delivery, site: Site) -> None:
    _gap(delivery, site, 9, 32)


def day_gap(delivery: Delivery, site: Site) -> None:
    _gap(delivery, site, 33, min(96, delivery.slots))


def blank(delivery: Delivery, site: Site) -> None:
    run = site.run(delivery.slots, 1, 8)
    delivery.blank[site.channel, run] = True
    delivery.label(site.channel, run, FaultKind.BLANK, f"{len(run)} values blank")


def _spike_wh(values: np.ndarray, site: Site) -> int | None:
    """Return a size that stands out of the day and is possible; None if there is none."""
    third = int(np.sort(values)[-3])
    smallest, largest = int(third * 3.2) + 1_000, int(site.limit_wh * 0.98)
    return min(smallest + int(site.size * 2 * third), largest) if smallest <= largest else None


def spike(delivery: Delivery, site: Site) -> None:
    """At least 3.2 times the day's third-highest value and 1 kWh above it, so that any sensible threshold sees it.

    A channel whose day leaves no room for that below the connection power keeps its values, without a label.
    """
    values = delivery.wh[site.channel]
    size = _spike_wh(values, site)
    if size is None:
        return
    slot = site.slot(len(values))
    true = int(values[slot])
    values[slot] = size
    delivery.label(site.channel, [slot], FaultKind.SPIKE, f"{values[slot]} Wh instead of {true} Wh")


def stuck(delivery: Delivery, site: Site) -> None:
    """The value of the first slot, or of a small load where that is zero, differing from both neighbours."""
    values = delivery.wh[site.channel]
    length = 9 + int(site.size * 8)
    start = 1 + int(site.where * (len(values) - length - 1))
    run = range(start, start + length)
    stuck = int(values[start]) or 20 + int(site.variant * 60)
    while stuck in (values[start - 1], values[run.stop]):
        stuck += 1
    values[run] = stuck
    delivery.label(site.channel, run, FaultKind.STUCK, f"{stuck} Wh for {length} slots")


def negative(delivery: Delivery, site: Site) -> None:
    values = delivery.wh[site.channel]
    slot = site.slot(len(values))
    values[slot] = -values[slot] - 10
    delivery.label(site.channel, [slot], FaultKind.NEGATIVE, f"{values[slot]} Wh")


def physical_limit(delivery: Delivery, site: Site) -> None:
    values = delivery.wh[site.channel]
    slot = site.slot(len(values))
    values[slot] = int(site.limit_wh * (2 + 8 * site.size))
    detail = f"{values[slot]} Wh in a slot, the connection allows {site.limit_wh:.0f} Wh"
    delivery.label(site.channel, [slot], FaultKind.PHYSICAL_LIMIT, detail)


def duplicate(delivery: Delivery, site: Site) -> None:
    slot = site.slot(delivery.slots)
    delivery.copies[site.channel, slot] = 2
    delivery.label(site.channel, [slot], FaultKind.DUPLICATE, "the same row twice")


def malformed_row(delivery: Delivery, site: Site) -> None:
    slot = site.slot(delivery.slots)
    malformation = Malformation(1 + int(site.variant * 4))
    delivery.malformed[site.channel, slot] = malformation
    detail = malformation.name.lower().replace("_", " ")
    delivery.label(site.channel, [slot], FaultKind.MALFORMED_ROW, detail)


def substitute(delivery: Delivery, site: Site) -> None:
    """The sender fills a run with the mean of the values around it, alternating by 1 Wh as its rounding does."""
    values = delivery.wh[site.channel]
    run = site.run(len(values), 1, 8)
    mean = (int(values[max(run.start - 1, 0)]) + int(values[min(run.stop, len(values) - 1)])) // 2
    values[run] = mean + (np.arange(len(run)) % 2 if mean else 0)
    delivery.status[site.channel, run] = SenderStatus.SUBSTITUTE
    delivery.label(site.channel, run, FaultKind.SUBSTITUTE, f"{len(run)} values substituted by the sender")


def provisional(delivery: Delivery, site: Site) -> None:
    run = site.run(delivery.slots, 1, 8)
    delivery.status[site.channel, run] = SenderStatus.PROVISIONAL
    delivery.label(site.channel, run, FaultKind.PROVISIONAL, f"{len(run)} values provisional")


def robust_outlier(delivery: Delivery, site: Site) -> None:
    """Three values of the size of a spike, at least five hours apart and within 2 % of each other.

    Where there is no room for a spike, there is none for these either.
    """
    values = delivery.wh[site.channel]
    size = _spike_wh(values, site)
    if size is None:
        return
    first = site.slot(len(values) // 4)
    slots = [first + number * (len(values) // 4 + 4) for number in range(_OUTLIERS)]
    values[slots] = [size - size * number // 100 for number in range(_OUTLIERS)]
    delivery.label(site.channel, slots, FaultKind.ROBUST_OUTLIER, f"{_OUTLIERS} values of about {size} Wh")


def future_stamp(delivery: Delivery, site: Site) -> None:
    """One row carries the stamp of a later day."""
    slot = site.slot(delivery.slots)
    delivery.ahead[site.channel, slot] = True
    delivery.label(site.channel, [slot], FaultKind.FUTURE_STAMP, "stamped some days ahead")
