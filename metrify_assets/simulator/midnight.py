"""Runs of one value across midnight: the one fault that two days share.

Belongs here: the draws of a run and its part of a day. They are drawn for the midnight, so that both days agree without
knowing each other's values. Does not belong here: whether both days are free of other faults (``injection.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.simulator.delivery import Delivery, FaultKind
from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.population import PointBlock
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

_SHORTEST_SLOTS, _LONGEST_SLOTS = 9, 16
"""As long as the runs within a day; what each day sees of one may be too short to be found."""


@dataclass(frozen=True)
class MidnightRuns:
    """Runs across the midnight that ends a day; arrays of shape (channels,).

    Attributes
    ----------
    happens : bool
    before, after : int64
        Slots on the day that ends and on the one that begins, each at least one.
    wh : int64
        Energy in every slot of the run.
    """

    happens: BoolArray
    before: Int64Array
    after: Int64Array
    wh: Int64Array


def midnight_runs(plan: SimulationPlan, block: PointBlock, ended: DeliveryDay) -> MidnightRuns:
    """Return the runs across the midnight that ends a day."""
    drawn = uniform((BLOCK_POINTS, 2, 4), plan.seed, Stream.MIDNIGHT, block.vendor, block.block, day_number(ended.day))[
        block.channel_point, block.channel_exports.astype(int)
    ]

    def between(column: int, first: int, last: int | Int64Array) -> Int64Array:
        number: Int64Array = first + np.floor(drawn[:, column] * (last - first + 1)).astype(np.int64)
        return number

    length = between(1, _SHORTEST_SLOTS, _LONGEST_SLOTS)
    before = between(2, 1, length - 1)
    return MidnightRuns(drawn[:, 0] < plan.stuck_across_midnight_rate, before, length - before, between(3, 20, 79))


def stick(delivery: Delivery, channel: int, slots: range, wh: int) -> None:
    """Put one day's part of a run into a channel; neighbours that happen to hold its value belong to it."""
    values = delivery.wh[channel]
    values[slots] = wh
    first, end = slots.start, slots.stop
    while first > 0 and values[first - 1] == wh:
        first -= 1
    while end < len(values) and values[end] == wh:
        end += 1
    delivery.label(channel, range(first, end), FaultKind.STUCK_ACROSS_MIDNIGHT, f"{wh} Wh in a run across midnight")
