"""Which channel has which event on a day: faults put into true values.

Belongs here: who is hit, and that no two faults share a slot. Does not belong here: what an event does (``faults.py``,
``day_faults.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metrify_assets.simulator import day_faults, faults
from metrify_assets.simulator.counters import has_register
from metrify_assets.simulator.delivery import Delivery, FaultKind, Site
from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.incidents import incidents, offset_of
from metrify_assets.simulator.load import block_values, break_constant_runs
from metrify_assets.simulator.midnight import midnight_runs, stick
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import EVENT_RATES, INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import PointBlock
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

FEEDS_WITHOUT_STATUS = ("meters_west", "meters_east")
FEEDS_WITHOUT_ROWS_TO_BREAK = ("meters_west",)
FEEDS_WITH_UTC_STAMPS = ("meters_west", "meters_east")
MINUTES_PER_DAY = 1_440
CORRECTED_FEED = "meters_north"
_CORRECTED_EVERY = 5
"""On the corrected day every fifth point of the feed was read with a factor 10 % too low."""

_EVENTS: tuple[Callable[[Delivery, Site], None], ...] = (
    faults.short_gap,
    faults.long_gap,
    faults.blank,
    faults.spike,
    faults.stuck,
    faults.negative,
    faults.physical_limit,
    faults.duplicate,
    faults.malformed_row,
    faults.substitute,
    faults.provisional,
    day_faults.zero_run,
    faults.robust_outlier,
    day_faults.interval_size,
    day_faults.clock_drift,
    day_faults.high_low,
    faults.future_stamp,
    day_faults.sum_check,
    faults.day_gap,
)
"""In the order of ``EVENT_RATES``."""
NO_EVENT = -1


@dataclass(frozen=True)
class ChannelEvents:
    """Events of a block's channels on a day; arrays of shape (channels,).

    Attributes
    ----------
    event : int64
        Position in ``EVENT_RATES``, ``NO_EVENT`` = none.
    draws : float64, shape (channels, 3)
        Uniform draws that decide on place, size and variant of the event.
    """

    event: Int64Array
    draws: Float64Array


def _impossible(feed: str) -> set[str]:
    """Return the events that a feed's format cannot express."""
    rates: set[str] = set()
    if feed in FEEDS_WITHOUT_STATUS:
        rates |= {"substitute_rate", "provisional_rate"}
    if feed in FEEDS_WITHOUT_ROWS_TO_BREAK:
        rates.add("malformed_row_rate")
    if feed not in FEEDS_WITH_UTC_STAMPS:
        rates.add("clock_drift_rate")
    return rates


def channel_events(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> ChannelEvents:
    """Return which channel of a block has which event on a day: none on a day with an incident or a wrong factor."""
    # One row of draws per point and direction, so that channels do not depend on each other.
    drawn = uniform((BLOCK_POINTS, 2, 4), plan.seed, Stream.FAULTS, block.vendor, block.block, day_number(day.day))[
        block.channel_point, block.channel_exports.astype(int)
    ]
    thresholds = np.cumsum([getattr(plan, name) for name in EVENT_RATES])
    event = np.searchsorted(thresholds, drawn[:, 0], side="right")
    impossible = _impossible(VENDORS[block.vendor].feed)
    possible = np.array([*(name not in impossible for name in EVENT_RATES), False])[event]
    read = has_register(plan, block)[block.channel_point] & ~block.channel_exports
    possible &= read | (event != EVENT_RATES.index("sum_check_rate"))
    possible &= ~miscounted_channels(plan, block, day) & ~_has_incident(plan, block, day)
    return ChannelEvents(np.where(possible, event, NO_EVENT), drawn[:, 1:])


def _has_incident(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> BoolArray:
    """Return which channels belong to a point with an incident on a day; bool, shape (channels,)."""
    block_incidents, offset = incidents(plan, block.vendor, block.block), offset_of(plan, day)
    hit = block_incidents.silent_days(offset) > 0
    hit |= (block_incidents.outage_day == offset) | (block_incidents.unit_day == offset)
    return (hit & (offset >= 0))[block.channel_point]


def miscounted_channels(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> BoolArray:
    """Return which channels the first delivery of the corrected day holds with wrong values, bool (channels,)."""
    wrong_day = VENDORS[block.vendor].feed == CORRECTED_FEED and day.day == plan.day(plan.corrected_day)
    chosen: BoolArray = block.channel_point % _CORRECTED_EVERY == 0
    miscounted: BoolArray = chosen & wrong_day & ~_has_incident(plan, block, day)
    return miscounted


def _miscount(delivery: Delivery, channel: int) -> None:
    true = delivery.wh[channel].copy()
    delivery.wh[channel] = break_constant_runs(true[None, :] * 9 // 10)[0]
    for slot in np.flatnonzero(delivery.wh[channel] != true):
        detail = f"first {delivery.wh[channel, slot]} Wh, then {true[slot]} Wh"
        delivery.labels.append((channel, int(slot), FaultKind.CORRECTED, detail))


def block_delivery(plan: SimulationPlan, block: PointBlock, day: DeliveryDay, *, corrected: bool = False) -> Delivery:
    """Return what is delivered for a block on a day.

    Parameters
    ----------
    plan, block, day
        What is simulated.
    corrected : bool
        The second delivery of the corrected day: wrong values are replaced by true ones, all else is as it was.
    """
    delivery = Delivery.of(block_values(plan, block, day))
    events = channel_events(plan, block, day)
    limit_wh = block.connection_kw[block.channel_point] * 1_000 * INTERVAL_MINUTES / 60
    for channel in np.flatnonzero(events.event != NO_EVENT):
        site = Site(int(channel), float(limit_wh[channel]), *events.draws[channel].tolist())
        _EVENTS[events.event[channel]](delivery, site)
    miscounted = miscounted_channels(plan, block, day)
    if not corrected:
        for channel in np.flatnonzero(miscounted):
            _miscount(delivery, int(channel))
    _apply_incidents(delivery, plan, block, day)
    stuck = _stick_across_midnights(delivery, plan, block, day)
    if day.minutes > MINUTES_PER_DAY:
        _collapse(delivery, plan, block, day, _free(plan, block, day) & ~stuck)
    return delivery


def _free(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> BoolArray:
    """Return which channels have no event, incident or wrong factor on a day; bool, shape (channels,)."""
    event = channel_events(plan, block, day).event
    free: BoolArray = (event == NO_EVENT) & ~miscounted_channels(plan, block, day) & ~_has_incident(plan, block, day)
    return free


def _stick_across_midnights(delivery: Delivery, plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> BoolArray:
    """Put the day's parts of runs across its two midnights in; return which channels have one, bool (channels,)."""
    hit = np.zeros(len(delivery.wh), dtype=bool)
    for ended in (day.plus(-1), day):
        if offset_of(plan, ended) < 0:
            continue
        planned = midnight_runs(plan, block, ended)
        if not planned.happens.any():
            continue
        runs = planned.happens & _free(plan, block, ended) & _free(plan, block, ended.plus(1))
        for channel in np.flatnonzero(runs).tolist():
            head, tail = range(planned.after[channel]), range(delivery.slots - planned.before[channel], delivery.slots)
            stick(delivery, channel, tail if ended is day else head, int(planned.wh[channel]))
        hit |= runs
    return hit


def _apply_incidents(delivery: Delivery, plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> None:
    block_incidents, offset = incidents(plan, block.vendor, block.block), offset_of(plan, day)
    silent_days = block_incidents.silent_days(offset)
    without_supply = block_incidents.outage_slots(offset, delivery.slots)
    for channel in np.flatnonzero(_has_incident(plan, block, day)).tolist():
        point = block.channel_point[channel]
        if silent_days[point]:
            day_faults.silence(delivery, channel, int(silent_days[point]))
        elif block_incidents.unit_day[point] == offset:
            day_faults.unit_mismatch(delivery, channel)
        else:
            day_faults.outage(delivery, channel, without_supply[point])


def _collapse(delivery: Delivery, plan: SimulationPlan, block: PointBlock, day: DeliveryDay, free: BoolArray) -> None:
    """Let some channels deliver the repeated hour once."""
    drawn = uniform(
        (BLOCK_POINTS, 2, 2), plan.seed, Stream.CLOCK_CHANGE, block.vendor, block.block, day_number(day.day)
    )[block.channel_point, block.channel_exports.astype(int)]
    for channel in np.flatnonzero(free & (drawn[:, 0] < plan.collapsed_dst_rate)).tolist():
        day_faults.collapsed_dst(delivery, channel, day, INTERVAL_MINUTES, bool(drawn[channel, 1] < 0.5))


def unknown_point_delivers(plan: SimulationPlan, vendor: int, day: DeliveryDay) -> bool:
    """Return whether a vendor's file of the day holds rows of a point that no registry knows."""
    drawn = uniform((1,), plan.seed, Stream.UNKNOWN_POINT, vendor, day_number(day.day))
    return bool(drawn[0] < plan.unknown_point_rate)
