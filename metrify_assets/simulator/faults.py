"""What goes wrong between the meter and the file: faults put into true values, and their labels.

Belongs here: which fault hits which slots and what is delivered instead. Does not belong here: how a vendor writes it
down (``vendor_files.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.load import block_values, break_constant_runs
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import PointBlock
from metrify_assets.vee.delivery_day import DeliveryDay, day_number


class FaultKind(StrEnum):
    """Kind of a label; where a rule looks for the fault, the name is the rule's."""

    GAP = "gap"
    BLANK = "blank"
    SPIKE = "spike"
    STUCK = "stuck"
    NEGATIVE = "negative"
    PHYSICAL_LIMIT = "physical_limit"
    DUPLICATE = "duplicate"
    MALFORMED_ROW = "malformed_row"
    SUBSTITUTE = "substitute"
    PROVISIONAL = "provisional"
    UNKNOWN_POINT = "unknown_point"
    CORRECTED = "corrected"
    LATE_FILE = "late_file"
    REDELIVERED_FILE = "redelivered_file"


class SenderStatus(IntEnum):
    """What the sender says of a value."""

    MEASURED = 0
    SUBSTITUTE = 1
    PROVISIONAL = 2


class Malformation(IntEnum):
    """What is wrong with a row that cannot be read; a JSON line is always cut off."""

    NONE = 0
    TOO_FEW_COLUMNS = 1
    TOO_MANY_COLUMNS = 2
    LETTERS = 3
    BAD_DATE = 4


FEEDS_WITHOUT_STATUS = ("meters_west", "meters_east")
FEEDS_WITHOUT_ROWS_TO_BREAK = ("meters_west",)
CORRECTED_FEED = "meters_north"
_CORRECTED_EVERY = 5
"""On the corrected day every fifth point of the feed was read with a factor 10 % too low."""


@dataclass
class Delivery:
    """What a vendor delivers for a block of points on a day; all arrays of shape (channels, slots).

    Attributes
    ----------
    wh : int64
        Energy in Wh as delivered.
    copies : int8
        How often the row is in the file: 0 where it is missing.
    blank : bool
        Row without a value.
    status : int8
        ``SenderStatus``.
    malformed : int8
        ``Malformation``.
    labels : list of (channel, slot, kind, detail)
    """

    wh: np.ndarray
    copies: np.ndarray
    blank: np.ndarray
    status: np.ndarray
    malformed: np.ndarray
    labels: list[tuple[int, int, FaultKind, str]] = field(default_factory=list)

    @classmethod
    def of(cls, wh: np.ndarray) -> Delivery:
        """Return a delivery of these values without any fault."""
        return cls(
            wh=wh.astype(np.int64),
            copies=np.ones(wh.shape, dtype=np.int8),
            blank=np.zeros(wh.shape, dtype=bool),
            status=np.full(wh.shape, SenderStatus.MEASURED, dtype=np.int8),
            malformed=np.full(wh.shape, Malformation.NONE, dtype=np.int8),
        )

    def label(self, channel: int, slots: range, kind: FaultKind, detail: str) -> None:
        """Add one label for every slot."""
        self.labels.extend((channel, slot, kind, detail) for slot in slots)


@dataclass(frozen=True)
class _Site:
    """Where an event happens: the channel, its connection power in Wh per slot, three draws in [0, 1)."""

    channel: int
    limit_wh: float
    where: float
    size: float
    variant: float

    def run(self, slots: int, shortest: int, longest: int) -> range:
        """Return a run of slots whose length lies between the two, anywhere in the day."""
        length = shortest + int(self.size * (longest - shortest + 1))
        start = int(self.where * (slots - length + 1))
        return range(start, start + length)

    def slot(self, slots: int) -> int:
        """Return one slot of the day."""
        return int(self.where * slots)


def _gap(delivery: Delivery, site: _Site, shortest: int, longest: int) -> None:
    run = site.run(delivery.wh.shape[1], shortest, longest)
    delivery.copies[site.channel, run] = 0
    delivery.label(site.channel, run, FaultKind.GAP, f"{len(run)} slots missing")


def _short_gap(delivery: Delivery, site: _Site) -> None:
    _gap(delivery, site, 1, 8)


def _long_gap(delivery: Delivery, site: _Site) -> None:
    _gap(delivery, site, 9, 32)


def _blank(delivery: Delivery, site: _Site) -> None:
    run = site.run(delivery.wh.shape[1], 1, 8)
    delivery.blank[site.channel, run] = True
    delivery.label(site.channel, run, FaultKind.BLANK, f"{len(run)} values blank")


def _spike(delivery: Delivery, site: _Site) -> None:
    """At least 3.2 times the day's third-highest value and 1 kWh above it, so that any sensible threshold sees it.

    A channel whose day leaves no room for that below the connection power keeps its values, without a label.
    """
    values = delivery.wh[site.channel]
    third = int(np.sort(values)[-3])
    smallest, largest = int(third * 3.2) + 1_000, int(site.limit_wh * 0.98)
    if smallest > largest:
        return
    slot = site.slot(len(values))
    true = int(values[slot])
    values[slot] = min(smallest + int(site.size * 2 * third), largest)
    delivery.label(site.channel, range(slot, slot + 1), FaultKind.SPIKE, f"{values[slot]} Wh instead of {true} Wh")


def _stuck(delivery: Delivery, site: _Site) -> None:
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


def _negative(delivery: Delivery, site: _Site) -> None:
    values = delivery.wh[site.channel]
    slot = site.slot(len(values))
    values[slot] = -values[slot] - 10
    delivery.label(site.channel, range(slot, slot + 1), FaultKind.NEGATIVE, f"{values[slot]} Wh")


def _physical_limit(delivery: Delivery, site: _Site) -> None:
    values = delivery.wh[site.channel]
    slot = site.slot(len(values))
    values[slot] = int(site.limit_wh * (2 + 8 * site.size))
    detail = f"{values[slot]} Wh in a slot, the connection allows {site.limit_wh:.0f} Wh"
    delivery.label(site.channel, range(slot, slot + 1), FaultKind.PHYSICAL_LIMIT, detail)


def _duplicate(delivery: Delivery, site: _Site) -> None:
    slot = site.slot(delivery.wh.shape[1])
    delivery.copies[site.channel, slot] = 2
    delivery.label(site.channel, range(slot, slot + 1), FaultKind.DUPLICATE, "the same row twice")


def _malformed_row(delivery: Delivery, site: _Site) -> None:
    slot = site.slot(delivery.wh.shape[1])
    malformation = Malformation(1 + int(site.variant * 4))
    delivery.malformed[site.channel, slot] = malformation
    detail = malformation.name.lower().replace("_", " ")
    delivery.label(site.channel, range(slot, slot + 1), FaultKind.MALFORMED_ROW, detail)


def _substitute(delivery: Delivery, site: _Site) -> None:
    """The sender fills a run with the mean of the values around it, alternating by 1 Wh as its rounding does."""
    values = delivery.wh[site.channel]
    run = site.run(len(values), 1, 8)
    mean = (int(values[max(run.start - 1, 0)]) + int(values[min(run.stop, len(values) - 1)])) // 2
    values[run] = mean + (np.arange(len(run)) % 2 if mean else 0)
    delivery.status[site.channel, run] = SenderStatus.SUBSTITUTE
    delivery.label(site.channel, run, FaultKind.SUBSTITUTE, f"{len(run)} values substituted by the sender")


def _provisional(delivery: Delivery, site: _Site) -> None:
    run = site.run(delivery.wh.shape[1], 1, 8)
    delivery.status[site.channel, run] = SenderStatus.PROVISIONAL
    delivery.label(site.channel, run, FaultKind.PROVISIONAL, f"{len(run)} values provisional")


_EVENTS: tuple[tuple[str, Callable[[Delivery, _Site], None]], ...] = (
    ("short_gap_rate", _short_gap),
    ("long_gap_rate", _long_gap),
    ("blank_rate", _blank),
    ("spike_rate", _spike),
    ("stuck_rate", _stuck),
    ("negative_rate", _negative),
    ("physical_limit_rate", _physical_limit),
    ("duplicate_rate", _duplicate),
    ("malformed_row_rate", _malformed_row),
    ("substitute_rate", _substitute),
    ("provisional_rate", _provisional),
)


def _events_possible(feed: str) -> list[bool]:
    impossible = set()
    if feed in FEEDS_WITHOUT_STATUS:
        impossible |= {"substitute_rate", "provisional_rate"}
    if feed in FEEDS_WITHOUT_ROWS_TO_BREAK:
        impossible.add("malformed_row_rate")
    return [name not in impossible for name, _ in _EVENTS]


def miscounted_channels(plan: SimulationPlan, block: PointBlock, day: DeliveryDay) -> np.ndarray:
    """Return which channels the first delivery of the corrected day holds with wrong values, bool (channels,)."""
    wrong_day = VENDORS[block.vendor].feed == CORRECTED_FEED and day.day == plan.day(plan.corrected_day)
    return (block.channel_point % _CORRECTED_EVERY == 0) & wrong_day


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
    # One row of draws per point and direction, so that channels do not depend on each other.
    drawn = uniform((BLOCK_POINTS, 2, 4), plan.seed, Stream.FAULTS, block.vendor, block.block, day_number(day.day))[
        block.channel_point, block.channel_exports.astype(int)
    ]
    thresholds = np.cumsum([getattr(plan, name) for name, _ in _EVENTS])
    events = np.searchsorted(thresholds, drawn[:, 0], side="right")
    miscounted = miscounted_channels(plan, block, day)
    possible = np.array([*_events_possible(VENDORS[block.vendor].feed), False])
    limit_wh = block.connection_kw[block.channel_point] * 1_000 * INTERVAL_MINUTES / 60
    for channel in np.flatnonzero(possible[events] & ~miscounted):
        site = _Site(int(channel), float(limit_wh[channel]), *drawn[channel, 1:].tolist())
        _EVENTS[events[channel]][1](delivery, site)
    if not corrected:
        for channel in np.flatnonzero(miscounted):
            _miscount(delivery, int(channel))
    return delivery


def unknown_point_delivers(plan: SimulationPlan, vendor: int, day: DeliveryDay) -> bool:
    """Return whether a vendor's file of the day holds rows of a point that no registry knows."""
    drawn = uniform((1,), plan.seed, Stream.UNKNOWN_POINT, vendor, day_number(day.day))
    return bool(drawn[0] < plan.unknown_point_rate)
