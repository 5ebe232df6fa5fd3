"""Daily register reads: what is delivered of the counters' states, what goes wrong with it, and its labels.

Belongs here: the feed ``registers_daily``. Does not belong here: the true states (``counters.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metrify_assets.simulator.counters import (
    MODULUS_WH,
    REGISTER_OBIS,
    counted_wh,
    exchange_offset,
    has_register,
    states_wh,
)
from metrify_assets.simulator.delivery import FaultKind
from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.injection import channel_events
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import EVENT_RATES, INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import IMPORT_OBIS, PointBlock, block_count, point_block
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

REGISTER_FEED = "registers_daily"
REGISTER_HEADER = "point_id,obis,read_at,kwh"
_SUM_CHECK = EVENT_RATES.index("sum_check_rate")


@dataclass(frozen=True)
class Reads:
    """What is read of a block's registers at the first instant of a day; arrays of shape (points,).

    Attributes
    ----------
    there : bool
        Points with a register.
    wh : int64
        State as delivered.
    decreased, late : bool
        The read is too low; it comes with the second wave.
    """

    there: BoolArray
    wh: Int64Array
    decreased: BoolArray
    late: BoolArray


def _draws(plan: SimulationPlan, block: PointBlock, offset: int) -> Float64Array:
    """Return the draws of a day's reads, shape (points, 3): too low, by how much, late."""
    keys = (block.vendor, block.block, day_number(plan.day(offset)))
    return uniform((BLOCK_POINTS, 3), plan.seed, Stream.REGISTERS, *keys)[: len(block.point_ids)]


def _wrong_sums(plan: SimulationPlan, block: PointBlock, offset: int) -> BoolArray:
    """Return the points whose intervals of a day deviate from the register; bool, shape (points,)."""
    if offset < 0:
        return np.zeros(len(block.point_ids), dtype=bool)
    events = channel_events(plan, block, DeliveryDay(plan.day(offset), plan.zone)).event
    wrong: BoolArray = events[~block.channel_exports] == _SUM_CHECK
    return wrong


@lru_cache(maxsize=65_536)
def block_reads(plan: SimulationPlan, vendor: int, number: int, offset: int) -> Reads:
    """Return the reads of a block.

    A read is only made too low where its neighbours tell: the day before and this one have the right sums, and neither
    the first day nor an exchange, a roll-over or another such read is near. It is lower than the read before.
    """
    block = point_block(plan, vendor, number)
    there = has_register(plan, block)
    states = states_wh(plan, block, offset)
    draws = _draws(plan, block, offset)
    late = there & (draws[:, 2] < plan.late_register_rate) & (offset == plan.late_register_day)
    candidate = draws[:, 0] < plan.register_decrease_rate
    neighbours = (_draws(plan, block, offset - 1)[:, 0] < plan.register_decrease_rate) & (offset >= 2)
    near_exchange = np.abs(exchange_offset(block) - offset) <= 1
    odd_sums = _wrong_sums(plan, block, offset - 1) | _wrong_sums(plan, block, offset)
    less = (
        counted_wh(plan, block, max(offset - 1, 0), offset) + 5_000 + np.floor(draws[:, 1] * 100_000).astype(np.int64)
    )
    rolls = (states < states_wh(plan, block, max(offset - 1, 0))) | (states_wh(plan, block, offset + 1) < states)
    possible = (offset >= 2) & (states >= less) & ~near_exchange & ~rolls & ~odd_sums & ~late
    decreased = there & candidate & ~neighbours & possible
    return Reads(there, np.where(decreased, states - less, states), decreased, late)


def _blocks(plan: SimulationPlan) -> Iterator[tuple[int, int]]:
    for vendor in range(len(VENDORS)):
        for number in range(block_count(plan, vendor)):
            yield vendor, number


def register_file(plan: SimulationPlan, offset: int, *, late: bool = False) -> bytes | None:
    """Return the reads at the first instant of a day, those in time or the late ones; None if there are none."""
    read_at = np.datetime64(DeliveryDay(plan.day(offset), plan.zone).start, "us").astype("datetime64[s]")
    lines = []
    for vendor, number in _blocks(plan):
        block, reads = point_block(plan, vendor, number), block_reads(plan, vendor, number, offset)
        for point in np.flatnonzero(reads.there & (reads.late == late)).tolist():
            whole, thousandths = divmod(int(reads.wh[point]), 1_000)
            lines.append(f"{block.point_ids[point]},{REGISTER_OBIS},{read_at}Z,{whole}.{thousandths:03d}\n")
    return (REGISTER_HEADER + "\n" + "".join(lines)).encode() if lines else None


def register_file_name(plan: SimulationPlan, offset: int, *, late: bool = False) -> str:
    """Return the name of a day's file."""
    return f"registers_{plan.day(offset).isoformat()}{'_late' if late else ''}.csv"


def register_labels(plan: SimulationPlan, offset: int) -> Iterator[tuple[str, str, str, int, FaultKind, str]]:
    """Yield the labels of a day: feed, point, OBIS code, instant in UTC microseconds, kind, detail.

    A read that is too low or late is labelled at its instant, on the register. A roll-over and an exchange are no
    faults; they are labelled on the slots of the days whose energy they touch, on the interval channel.
    """
    day = DeliveryDay(plan.day(offset), plan.zone)
    for vendor, number in _blocks(plan):
        block, reads = point_block(plan, vendor, number), block_reads(plan, vendor, number, offset)
        states, following = states_wh(plan, block, offset), states_wh(plan, block, offset + 1)
        exchange = exchange_offset(block)
        rolls = (following < states) & (exchange != offset + 1)
        touched = (exchange >= 0) & ((exchange == offset) | (exchange == offset + 1))
        for point in np.flatnonzero(reads.there).tolist():
            name = block.point_ids[point]
            if reads.decreased[point]:
                detail = f"{reads.wh[point]} Wh instead of {states[point]} Wh"
                yield REGISTER_FEED, name, REGISTER_OBIS, day.start, FaultKind.REGISTER_DECREASE, detail
            if reads.late[point]:
                file_name = register_file_name(plan, offset, late=True)
                yield REGISTER_FEED, name, REGISTER_OBIS, day.start, FaultKind.LATE_REGISTER, file_name
            for happens, kind, detail in (
                (rolls[point], FaultKind.REGISTER_ROLLOVER, f"the register passes {MODULUS_WH // 1_000} kWh"),
                (
                    touched[point],
                    FaultKind.METER_EXCHANGE,
                    f"the meter is exchanged on {plan.day(int(exchange[point]))}",
                ),
            ):
                if happens:
                    for start in day.slot_starts(INTERVAL_MINUTES).tolist():
                        yield REGISTER_FEED, name, IMPORT_OBIS, start, kind, detail
