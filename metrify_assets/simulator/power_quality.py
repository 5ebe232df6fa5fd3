"""Voltage, current, power factor and frequency of some points, with labelled faults.

Belongs here: the values, their faults and their files. Does not belong here: energy (``load.py``, ``injection.py``).

The first points of the utility deliver it, dealt out to the vendors in turn. Values are synthetic: they follow no load.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import point_block
from metrify_assets.simulator.vendor_files import utc_times
from metrify_assets.vee.arrays import Float64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

POWER_QUALITY_FEED = "power_quality"
POWER_QUALITY_HEADER = "point_id,timestamp_utc,obis_code,value,unit"
VOLTAGES = ("1-0:32.25.0", "1-0:52.25.0", "1-0:72.25.0")
LOWEST_VOLTAGES = ("1-0:32.23.0", "1-0:52.23.0", "1-0:72.23.0")
CURRENTS = ("1-0:31.7.0", "1-0:51.7.0", "1-0:71.7.0")
POWER_FACTOR, FREQUENCY = "1-0:13.7.0", "1-0:14.7.0"
UNITS = {
    **dict.fromkeys((*VOLTAGES, *LOWEST_VOLTAGES), "V"),
    **dict.fromkeys(CURRENTS, "A"),
    POWER_FACTOR: "1",
    FREQUENCY: "Hz",
}
"""The channels and their units."""


class PowerQualityFault(StrEnum):
    """Kind of a label."""

    UNDERVOLTAGE = "undervoltage"
    PHASE_LOSS = "phase_loss"
    LOW_POWER_FACTOR = "low_power_factor"


class PowerQualityLabel(NamedTuple):
    """A slot of a channel with an injected fault; ``interval_start`` is in UTC microseconds."""

    point_id: str
    obis_code: str
    interval_start: int
    kind: PowerQualityFault


@dataclass(frozen=True)
class _Event:
    kind: PowerQualityFault
    slots: slice
    phase: int


def power_quality_points(plan: SimulationPlan) -> list[tuple[int, str]]:
    """Return number and name of the points that deliver it."""
    numbers = range(min(plan.power_quality_points, plan.points))
    return [(number, _point_id(plan, number)) for number in numbers]


def _point_id(plan: SimulationPlan, number: int) -> str:
    position, vendor = divmod(number, len(VENDORS))
    block, place = divmod(position, BLOCK_POINTS)
    return point_block(plan, vendor, block).point_ids[place]


def power_quality_values(plan: SimulationPlan, number: int, day: DeliveryDay) -> dict[str, Float64Array]:
    """Return the values of a point's channels, each of shape (slots,), faults included."""
    slots = day.slots(INTERVAL_MINUTES)
    draws = uniform((len(UNITS), slots), plan.seed, Stream.POWER_QUALITY, 0, number, day_number(day.day))
    draw = dict(zip(UNITS, draws, strict=True))
    values = {code: np.round(226.0 + 8 * draw[code], 1) for code in VOLTAGES}
    values |= {
        low: np.round(values[code] - 3 * draw[low], 1) for low, code in zip(LOWEST_VOLTAGES, VOLTAGES, strict=True)
    }
    values |= {code: np.round(0.5 + 19 * draw[code], 2) for code in CURRENTS}
    values[POWER_FACTOR] = np.round(0.9 + 0.09 * draw[POWER_FACTOR], 3)
    values[FREQUENCY] = np.round(49.95 + 0.1 * draw[FREQUENCY], 3)
    event = _event(plan, number, day)
    if event is not None:
        for code in _channels_of(event):
            values[code][event.slots] = _faulty(event, code, draw[code][event.slots])
    return values


def power_quality_labels(plan: SimulationPlan) -> Iterator[PowerQualityLabel]:
    """Yield the injected faults, one row per slot and channel."""
    for day in plan.delivery_days:
        starts = day.slot_starts(INTERVAL_MINUTES)
        for number, point in power_quality_points(plan):
            event = _event(plan, number, day)
            if event is not None:
                for code in _channels_of(event):
                    for start in starts[event.slots].tolist():
                        yield PowerQualityLabel(point, code, start, event.kind)


def power_quality_file(plan: SimulationPlan, day: DeliveryDay) -> bytes | None:
    """Return the file of a delivery day; None if no point delivers any."""
    stamps = utc_times(day.slot_starts(INTERVAL_MINUTES))
    lines = [
        f"{point},{stamp},{code},{value:g},{UNITS[code]}\n"
        for number, point in power_quality_points(plan)
        for code, values in power_quality_values(plan, number, day).items()
        for stamp, value in zip(stamps, values.tolist(), strict=True)
    ]
    return (POWER_QUALITY_HEADER + "\n" + "".join(lines)).encode() if lines else None


def _event(plan: SimulationPlan, number: int, day: DeliveryDay) -> _Event | None:
    """Return the fault of a point on a day, if it has one: it has one at most, and it lies within the day."""
    happens, kind, where, length, phase = uniform(
        (5,), plan.seed, Stream.POWER_QUALITY, 1, number, day_number(day.day)
    ).tolist()
    if happens >= plan.power_quality_fault_rate:
        return None
    kinds = list(PowerQualityFault)
    slots = 4 + int(12 * length)
    first = int(where * (day.slots(INTERVAL_MINUTES) - slots))
    return _Event(kinds[int(kind * len(kinds))], slice(first, first + slots), int(phase * len(VOLTAGES)))


def _channels_of(event: _Event) -> tuple[str, ...]:
    if event.kind is PowerQualityFault.UNDERVOLTAGE:
        return (*VOLTAGES, *LOWEST_VOLTAGES)
    if event.kind is PowerQualityFault.PHASE_LOSS:
        return (VOLTAGES[event.phase], LOWEST_VOLTAGES[event.phase])
    return (POWER_FACTOR,)


def _faulty(event: _Event, code: str, draw: Float64Array) -> Float64Array:
    """Return what a channel delivers in the slots of a fault.

    Undervoltage lies below the valid range, a lost phase has no voltage, and a low power factor is anomalous.
    """
    if event.kind is PowerQualityFault.UNDERVOLTAGE:
        mean = np.round(192.0 + 7 * draw, 1)
        return mean if code in VOLTAGES else np.round(180.0 + 7 * draw, 1)
    if event.kind is PowerQualityFault.PHASE_LOSS:
        return np.zeros(len(draw))
    return np.round(0.5 + 0.25 * draw, 3)
