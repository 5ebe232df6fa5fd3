"""What goes wrong with all of a channel's day between the meter and the file, and its labels.

Belongs here: events and incidents that hit every slot of a day, and the repeated hour of autumn. Does not belong here:
events that hit some slots (``faults.py``), who has which event (``injection.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.simulator.delivery import Delivery, FaultKind, Site
from metrify_assets.simulator.load import break_constant_runs
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay

PROLONGED_DAYS = 14
"""A point that is silent for so many days is labelled so, from the last of them on; before, its slots are gaps."""
FINER_MINUTES, COARSER_MINUTES = 5, 60
NOT_DELIVERED = "not delivered"
UNRESOLVED_PASS = "delivered, but not which pass it was"


def _whole_day(delivery: Delivery, channel: int, kind: FaultKind, detail: str) -> None:
    delivery.label(channel, range(delivery.slots), kind, detail)


def _scaled(delivery: Delivery, channel: int, factor: float) -> None:
    """Multiply a channel's day; values that were apart do not become one."""
    values = np.rint(delivery.wh[channel] * factor).astype(np.int64)
    delivery.wh[channel] = break_constant_runs(values[None, :])[0]


def zero_run(delivery: Delivery, site: Site) -> None:
    """Zeros all day; a day that really is all zeros keeps its values, without a label."""
    if not delivery.wh[site.channel].any():
        return
    delivery.wh[site.channel] = 0
    _whole_day(delivery, site.channel, FaultKind.ZERO_RUN, "zeros all day")


def interval_size(delivery: Delivery, site: Site) -> None:
    """The values come for another interval, by another feed."""
    minutes = FINER_MINUTES if site.variant < 0.5 else COARSER_MINUTES
    delivery.interval[site.channel] = minutes
    delivery.copies[site.channel] = 0
    _whole_day(delivery, site.channel, FaultKind.INTERVAL_SIZE, f"{minutes}-minute values")


def clock_drift(delivery: Delivery, site: Site) -> None:
    """All stamps are off by up to three minutes, either way."""
    seconds = (5 + int(site.size * 171)) * (1 if site.variant < 0.5 else -1)
    delivery.drift_s[site.channel] = seconds
    _whole_day(delivery, site.channel, FaultKind.CLOCK_DRIFT, f"stamps {seconds:+d} s off")


def high_low(delivery: Delivery, site: Site) -> None:
    """All values are a third, or three times where the connection can carry that; not on a day without energy."""
    largest = int(delivery.wh[site.channel].max())
    if largest == 0:
        return
    triples = site.variant < 0.5 and 3 * largest <= site.limit_wh
    _scaled(delivery, site.channel, 3.0 if triples else 1 / 3)
    _whole_day(delivery, site.channel, FaultKind.HIGH_LOW, "three times the energy" if triples else "a third of it")


def sum_check(delivery: Delivery, site: Site) -> None:
    """All values are 3-8 % too low or too high: the register counts what really flowed."""
    percent = (3 + 5 * site.size) * (1 if site.variant < 0.5 else -1)
    _scaled(delivery, site.channel, 1 + percent / 100)
    _whole_day(delivery, site.channel, FaultKind.SUM_CHECK, f"{percent:+.1f} % of what the register counts")


def silence(delivery: Delivery, channel: int, days: int) -> None:
    """Nothing is delivered, as on the days before; ``days`` counts this one too."""
    delivery.copies[channel] = 0
    kind = FaultKind.PROLONGED_ESTIMATION if days >= PROLONGED_DAYS else FaultKind.GAP
    _whole_day(delivery, channel, kind, f"silent for {days} days")


def outage(delivery: Delivery, channel: int, slots: Int64Array) -> None:
    """Nothing is delivered for slots without supply; ``slots`` is a bool array, shape (slots,)."""
    delivery.copies[channel, slots] = 0
    delivery.label(channel, np.flatnonzero(slots), FaultKind.OUTAGE, "declared outage")


def unit_mismatch(delivery: Delivery, channel: int) -> None:
    """The values are as they should be, but the registry says that they come in another unit."""
    _whole_day(delivery, channel, FaultKind.UNIT_MISMATCH, "the registry names another unit")


def collapsed_dst(delivery: Delivery, channel: int, day: DeliveryDay, interval_minutes: int, second: bool) -> None:
    """One pass of the repeated hour is not delivered: the second, or else the first."""
    minutes = day.local_minutes(interval_minutes)
    values, counts = np.unique(minutes, return_counts=True)
    repeated = np.flatnonzero(np.isin(minutes, values[counts > 1]))
    passes = np.split(repeated, 2)
    lost, kept = (passes[1], passes[0]) if second else (passes[0], passes[1])
    delivery.copies[channel, lost] = 0
    delivery.label(channel, lost, FaultKind.COLLAPSED_DST, NOT_DELIVERED)
    delivery.label(channel, kept, FaultKind.COLLAPSED_DST, UNRESOLVED_PASS)
