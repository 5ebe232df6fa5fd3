"""The import registers of the utility: which points have one that is read, and its true state at every midnight.

Belongs here: counters, their exchange and roll-over, as they really are. Does not belong here: what goes wrong with a
read, and the file (``register_reads.py``).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS
from metrify_assets.simulator.incidents import NEVER
from metrify_assets.simulator.load import block_values
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.population import PointBlock, point_block
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay

REGISTER_OBIS = "1-0:1.8.0"
DIGITS = 6
RESOLUTION_KWH = 0.001
MODULUS_WH = 10**DIGITS * 1_000
_EXCHANGE_EVERY = 20
_WH_PER_YEAR_AND_DAY = 1_000 / 365


def has_register(plan: SimulationPlan, block: PointBlock) -> BoolArray:
    """Return which points have an import register that is read; bool, shape (points,)."""
    return block.draws[:, 5] < plan.register_share


def exchange_offset(block: PointBlock) -> Int64Array:
    """Return the day (0 = first) on which each point's meter is exchanged, ``NEVER`` = none; shape (points,).

    Some meters are exchanged 10 to 19 days into the period.
    """
    position = block.block * BLOCK_POINTS + np.arange(len(block.point_ids))
    return np.where(position % _EXCHANGE_EVERY == 7, 10 + np.floor(block.draws[:, 4] * 10).astype(np.int64), NEVER)


@lru_cache(maxsize=65_536)
def _used_wh(plan: SimulationPlan, vendor: int, block: int, offset: int) -> Int64Array:
    """Return what each point of a block takes from the grid on a day, Wh; int64, shape (points,)."""
    points = point_block(plan, vendor, block)
    values = block_values(plan, points, DeliveryDay(plan.day(offset), plan.zone))
    used: Int64Array = values[~points.channel_exports].sum(axis=1, dtype=np.int64)
    return used


def counted_wh(plan: SimulationPlan, block: PointBlock, first: int, end: int) -> Int64Array:
    """Return what the points of a block take from the grid on the days ``first`` to ``end - 1``, Wh; int64."""
    days = (_used_wh(plan, block.vendor, block.block, offset) for offset in range(first, end))
    return sum(days, start=np.zeros(len(block.point_ids), dtype=np.int64))


def initial_wh(block: PointBlock) -> Int64Array:
    """Return the state of the meters that come in by exchange, Wh: up to 5 kWh from their calibration."""
    return np.floor(block.draws[:, 6] * 5_000).astype(np.int64)


def first_states_wh(plan: SimulationPlan, block: PointBlock) -> Int64Array:
    """Return the state of the registers on the first midnight of the period, Wh; int64, shape (points,).

    Some stand 3 to 28 days of mean use below their highest state: those roll over.
    """
    usual = np.floor((2_000 + 90_000 * block.draws[:, 6]) * 1_000)
    days_left = 3 + 25 * block.draws[:, 6]
    high = MODULUS_WH - np.floor(block.annual_kwh * _WH_PER_YEAR_AND_DAY * days_left)
    rolls = (block.draws[:, 7] < plan.register_rollover_rate) & (exchange_offset(block) == NEVER)
    return np.where(rolls, high, usual).astype(np.int64)


def states_wh(plan: SimulationPlan, block: PointBlock, offset: int) -> Int64Array:
    """Return the states of the registers at the first instant of a day, Wh; int64, shape (points,).

    On the day of an exchange it is the new meter's.
    """
    exchange = exchange_offset(block)
    states = first_states_wh(plan, block) + counted_wh(plan, block, 0, offset)
    for since in np.unique(exchange[(exchange != NEVER) & (exchange <= offset)]).tolist():
        new = initial_wh(block) + counted_wh(plan, block, since, offset)
        states = np.where(exchange == since, new, states)
    shown: Int64Array = states % MODULUS_WH
    return shown


def final_states_wh(plan: SimulationPlan, block: PointBlock, offset: int) -> Int64Array:
    """Return the states of the meters that were there first at the first instant of a day, Wh."""
    states: Int64Array = (first_states_wh(plan, block) + counted_wh(plan, block, 0, offset)) % MODULUS_WH
    return states
