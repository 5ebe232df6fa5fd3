"""What the points really use and feed in: the true energy of every slot of a day.

Belongs here: load shapes, heat pumps, cars, PV. Does not belong here: what goes wrong on the way (``faults.py``).

Bulk arithmetic is limited to the four basic operations and rounding to whole Wh, whose results are the same on every
platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.incidents import incidents, offset_of
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import (
    CLASSES,
    EV_SESSION_PROBABILITY,
    EV_SHORT_SLOTS,
    EV_SLOT_WH,
    EV_SLOTS,
    PointBlock,
    block_count,
    point_block,
)
from metrify_assets.simulator.weather import slot_weather
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int32Array, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

SLOTS_PER_YEAR = 365 * 96
_HEATING_LIMIT_C = 15.0
_DEGREE_DAYS = 2_400.0
"""Degree days below the heating limit in a year of the simulated weather."""
_PERFORMANCE_RATIO = 0.80
_APPLIANCE_RUNS = 2
_MEAN_RUN_SLOTS = 4.5
_LOAD_FACTOR_LIMIT = 0.95
"""Share of the connection power that is never exceeded."""

# Relative power at 0:00, 1:00 ... 23:00 on weekdays, Saturdays, Sundays.
_HOUSEHOLD = (
    "55 45 40 38 40 55 95 125 115 100 95 100 110 100 92 92 105 135 170 185 170 140 105 75",
    "60 50 42 40 40 45 60 90 120 135 135 135 135 120 110 105 115 140 165 170 150 125 105 80",
    "65 55 45 40 40 42 50 75 110 135 150 165 160 125 110 105 110 135 160 170 155 125 100 70",
)
_BUSINESS = (
    "40 38 38 38 40 50 80 130 180 205 210 210 195 195 200 195 180 150 110 80 60 50 45 42",
    "40 38 38 38 38 42 50 65 90 110 115 110 100 85 70 60 55 50 48 45 44 42 42 40",
    "38 38 38 38 38 38 40 42 44 45 46 46 46 45 45 44 44 44 46 46 44 42 40 40",
)


def _minute_profiles() -> Float64Array:
    """Return relative power, weekly mean 1, shape (classes, day types, 1,440 minutes)."""
    shapes = [_BUSINESS if name == "business" else _HOUSEHOLD for name in CLASSES]
    hours = np.array([[[float(value) for value in row.split()] for row in shape] for shape in shapes])
    closed = np.concatenate([hours, hours[:, :, :1]], axis=2)
    minutes = np.arange(1_440)
    table = np.array([[np.interp(minutes / 60, np.arange(25), row) for row in day_types] for day_types in closed])
    weekly_mean = (5 * table[:, 0] + table[:, 1] + table[:, 2]).mean(axis=1) / 7
    shares: Float64Array = np.round(table / weekly_mean[:, None, None], 6)
    return shares


_PROFILES = _minute_profiles()


@dataclass(frozen=True)
class DayValues:
    """The true energy of a day.

    Attributes
    ----------
    day : DeliveryDay
    point_ids : list of str, one per channel
    obis_codes : list of str, one per channel
    starts : int64, UTC microseconds, shape (slots,)
    wh : int32, energy in Wh, shape (channels, slots)
    """

    day: DeliveryDay
    point_ids: list[str]
    obis_codes: list[str]
    starts: Int64Array
    wh: Int32Array


def day_type(day: DeliveryDay) -> int:
    """Return 0 on weekdays, 1 on Saturdays, 2 on Sundays."""
    return max(day.day.weekday() - 4, 0)


@lru_cache(maxsize=64)
def winter_share(day: DeliveryDay) -> float:
    """Return 1 in mid-January, -1 in mid-July."""
    return round(float(np.cos(2 * np.pi * (day.day.timetuple().tm_yday - 15) / 365.2425)), 6)


def _runs(slots: int, start: Int64Array, length: Int64Array) -> BoolArray:
    """Return a mask of ``length`` slots from ``start`` on, shape (points, slots)."""
    position = np.arange(slots)
    return (position >= start[:, None]) & (position < (start + length)[:, None])


def _session_slots(draw: Float64Array, short_share: float) -> Int64Array:
    """Return the length of charging sessions, int64; the lowest draws make the short ones."""

    def between(share: Float64Array, bounds: tuple[int, int]) -> Int64Array:
        return bounds[0] + np.floor(share * (bounds[1] - bounds[0] + 1)).astype(np.int64)

    short = draw < short_share
    within = np.where(short, draw / max(short_share, 1e-9), (draw - short_share) / max(1 - short_share, 1e-9))
    return np.where(short, between(within, EV_SHORT_SLOTS), between(within, EV_SLOTS))


def _use_wh(
    block: PointBlock, plan: SimulationPlan, day: DeliveryDay, draws: Float64Array, noise: Float64Array
) -> Float64Array:
    """Return what the points use, Wh, shape (points, slots)."""
    local = day.local_minutes(INTERVAL_MINUTES)
    slots = len(local)
    shape = _PROFILES[
        block.class_index[:, None], day_type(day), (local[None, :] - block.shift_minutes[:, None]) % 1_440
    ]
    base = (block.base_kwh * (1_000 / SLOTS_PER_YEAR) * (1 + 0.12 * winter_share(day)))[:, None]
    used = base * shape * (0.65 + 0.7 * noise[0])

    run_wh = block.appliance_kwh * (1_000 / (365 * _APPLIANCE_RUNS * _MEAN_RUN_SLOTS))
    for run in range(_APPLIANCE_RUNS):
        # From six in the morning on, and done by midnight.
        start = np.floor(24 + draws[:, 3 * run] * (slots - 30)).astype(np.int64)
        length = 3 + np.floor(4 * draws[:, 3 * run + 1]).astype(np.int64)
        power = run_wh * (0.6 + 0.8 * draws[:, 3 * run + 2])
        used += _runs(slots, start, length) * power[:, None] * (0.9 + 0.2 * noise[1])

    temperature = slot_weather(plan.seed, day).temperature_c[block.station]
    heat = block.heat_kwh[:, None] * np.maximum(_HEATING_LIMIT_C - temperature, 0.0)
    used += heat * (1_000 / (_DEGREE_DAYS * 96)) * (0.7 + 0.6 * noise[1])

    charging = block.charges & (draws[:, 6] < EV_SESSION_PROBABILITY)
    start = np.floor(64 + 22 * draws[:, 7]).astype(np.int64)
    length = np.where(charging, _session_slots(draws[:, 8], plan.short_charging_share), 0)
    used += _runs(slots, np.minimum(start, slots - 10), length) * EV_SLOT_WH * (0.96 + 0.04 * noise[1])
    total: Float64Array = used
    return total


def break_constant_runs(wh: Int32Array) -> Int32Array:
    """Raise every third slot by 1 Wh where it equals the slot before it and is not zero, in place.

    No non-zero value then lasts longer than 3 slots within a day, nor longer than 6 across midnight: whatever is
    stuck for 2 h was made so on purpose.
    """
    later, earlier = wh[:, 3::3], wh[:, 2:-1:3]
    later += (later == earlier) & (later > 0)
    return wh


def block_values(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> Int32Array:
    """Return the true energy of a block's channels, whole Wh, int32, shape (channels, slots)."""
    slots = day.slots(INTERVAL_MINUTES)
    points = len(block.point_ids)
    drawn = uniform(
        (BLOCK_POINTS, 2 * slots + 9), plan.seed, Stream.LOAD, block.vendor, block.block, day_number(day.day)
    )
    noise = drawn[:points, 9:].reshape(points, 2, slots).swapaxes(0, 1)
    used = _use_wh(block, plan, day, drawn[:points, :9], noise)
    radiation = slot_weather(plan.seed, day).global_radiation_wm2[block.station]
    # kWp x W/m2 / 1,000 W/m2 x 1/4 h, in Wh; clouds pass at random.
    generated = block.peak_kwp[:, None] * radiation * (_PERFORMANCE_RATIO / 4) * (0.9 + 0.2 * noise[1])
    net = (used - generated)[block.channel_point]
    energy = np.maximum(np.where(block.channel_exports[:, None], -net, net), 0.0)
    limit = np.floor(block.connection_kw * (1_000 / 4 * _LOAD_FACTOR_LIMIT))[block.channel_point]
    values = break_constant_runs(np.rint(np.minimum(energy, limit[:, None])).astype(np.int32))
    without_supply = incidents(plan, block.vendor, block.block).outage_slots(offset_of(plan, day), slots)
    return np.where(without_supply[block.channel_point], np.int32(0), values)


def day_values(plan: SimulationPlan, day: DeliveryDay) -> DayValues:
    """Return the true energy of every channel of the utility on a day."""
    blocks = [
        point_block(plan, vendor, number)
        for vendor in range(len(VENDORS))
        for number in range(block_count(plan, vendor))
    ]
    return DayValues(
        day=day,
        point_ids=[block.point_id(channel) for block in blocks for channel in range(block.channels)],
        obis_codes=[block.obis_code(channel) for block in blocks for channel in range(block.channels)],
        starts=day.slot_starts(INTERVAL_MINUTES),
        wh=np.concatenate([block_values(plan, block, day) for block in blocks]),
    )
