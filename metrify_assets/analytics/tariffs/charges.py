"""What energy, peaks and days cost by one component: exact fractions, no rounding.

Belongs here: the arithmetic. Does not belong here: what is missing or refused (``bills.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from metrify_assets.analytics.tariffs.model import DAY_KINDS, PRICE_ONE, QUARTER_MINUTES, Block, Window
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, to_local
from metrify_assets.vee.units import MICRO_PER_KWH

QUARTER = QUARTER_MINUTES * MICROSECONDS_PER_MINUTE
_MICROSECONDS_PER_DAY = 86_400_000_000
_THURSDAY = 3
"""Weekday of 1970-01-01, Monday being 0."""

PricesAt = Callable[[Int64Array], tuple[Int64Array, BoolArray]]
"""Prices (billionths per kWh) and whether there is one, at instants."""


@dataclass(frozen=True)
class Readings:
    """Slots of one channel of a point, in any order.

    Attributes
    ----------
    start : int64 array, shape (N,)
        UTC microseconds.
    minutes : int64 array, shape (N,)
    micro_kwh : int64 array, shape (N,)
        Of no meaning where not present.
    present, estimated : bool array, shape (N,)
        Whether there is a value, and whether it is an estimate.
    """

    start: Int64Array
    minutes: Int64Array
    micro_kwh: Int64Array
    present: BoolArray
    estimated: BoolArray

    def where(self, rows: BoolArray) -> Readings:
        """Return some of the slots."""
        return self.at(np.flatnonzero(rows))

    def at(self, rows: Int64Array) -> Readings:
        """Return the slots of some row numbers."""
        return Readings(
            self.start[rows], self.minutes[rows], self.micro_kwh[rows], self.present[rows], self.estimated[rows]
        )


@dataclass(frozen=True)
class SlotPrices:
    """Prices of slots: billionths per kWh, whether each has one, and whether it holds in the whole slot."""

    price: Int64Array
    present: BoolArray
    uniform: BoolArray


def slot_prices(readings: Readings, prices_at: PricesAt) -> SlotPrices:
    """Return the price of each slot. It must be one and the same in all quarter hours that the slot touches."""
    price, present = prices_at(readings.start)
    present, uniform = present.copy(), np.ones(len(price), dtype=bool)
    longest = int(readings.minutes.max(initial=0))
    for offset in range(QUARTER_MINUTES, longest, QUARTER_MINUTES):
        rows = np.flatnonzero(readings.minutes > offset)
        further, there = prices_at(readings.start[rows] + offset * MICROSECONDS_PER_MINUTE)
        present[rows] &= there
        uniform[rows] &= further == price[rows]
    return SlotPrices(price, present, uniform | ~present)


def constant_price(price: int) -> PricesAt:
    """Return one price for all instants."""
    return lambda instants: (np.full(len(instants), price, dtype=np.int64), np.ones(len(instants), dtype=bool))


def window_prices(windows: Sequence[Window], otherwise: int, zone: str, holidays: frozenset[int]) -> PricesAt:
    """Return prices by local time. ``holidays`` are numbers of days since 1970; on them no day of the week counts."""

    def at(instants: Int64Array) -> tuple[Int64Array, BoolArray]:
        local = to_local(instants, zone)
        day = local // _MICROSECONDS_PER_DAY
        minute = local % _MICROSECONDS_PER_DAY // MICROSECONDS_PER_MINUTE
        month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
        kind = np.where(np.isin(day, list(holidays)), DAY_KINDS.index("holiday"), (day + _THURSDAY) % 7)
        price = np.full(len(instants), otherwise, dtype=np.int64)
        # The first window that fits decides, so it is set last.
        for window in reversed(windows):
            hours = (minute >= window.start) & (minute < window.end)
            if window.end < window.start:
                hours = (minute >= window.start) | (minute < window.end)
            days = np.isin(kind, [DAY_KINDS.index(name) for name in window.days])
            price[hours & days & np.isin(month, window.months)] = window.price
        return price, np.ones(len(instants), dtype=bool)

    return at


@dataclass(frozen=True)
class PriceSeries:
    """Prices of a market.

    Attributes
    ----------
    start : int64 array, shape (N,)
        UTC microseconds, rising.
    minutes : int64 array, shape (N,)
    price : int64 array, shape (N,)
        Billionths of the currency per kWh.
    """

    start: Int64Array
    minutes: Int64Array
    price: Int64Array

    def plus(self, markup: int) -> PricesAt:
        """Return the prices with a markup, in billionths per kWh."""

        def at(instants: Int64Array) -> tuple[Int64Array, BoolArray]:
            if not len(self.start):
                return np.zeros(len(instants), dtype=np.int64), np.zeros(len(instants), dtype=bool)
            row = np.searchsorted(self.start, instants, side="right") - 1
            end = self.start[row] + self.minutes[row] * MICROSECONDS_PER_MINUTE
            present = (row >= 0) & (instants < end)
            return np.where(present, self.price[row] + markup, 0), present

        return at


_NOTHING = np.empty(0, dtype=np.int64)
NO_PRICES = PriceSeries(_NOTHING, _NOTHING, _NOTHING)


def energy_amount(micro_kwh: Int64Array, price: Int64Array) -> Fraction:
    """Return the sum of energy times price, in units of the currency; exact, whatever the size.

    Energy is added up by price first: few products are left, and they have no bound.
    """
    prices, place = np.unique(price, return_inverse=True)
    energy = np.zeros(len(prices), dtype=np.int64)
    np.add.at(energy, place, micro_kwh)
    total = sum(each * of for each, of in zip(prices.tolist(), energy.tolist(), strict=True))
    return Fraction(total, PRICE_ONE * MICRO_PER_KWH)


def block_amount(blocks: Sequence[Block], before: int, micro_kwh: int) -> Fraction:
    """Return what energy costs by blocks of which ``before`` micro-kWh are used already."""
    total, low = 0, 0
    for block in blocks:
        high = block.up_to_kwh if block.up_to_kwh is not None else max(low, before + micro_kwh)
        inside = max(0, min(high, before + micro_kwh) - max(low, before))
        total += inside * block.price
        low = high
    return Fraction(total, PRICE_ONE * MICRO_PER_KWH)


@dataclass(frozen=True)
class Peak:
    """The highest mean power of a quarter hour: kW, and whether each quarter hour that reaches it is estimated."""

    kw: Fraction
    estimated: bool


def peak_power(readings: Readings) -> Peak:
    """Return the peak of slots that are all present and of 15 minutes at most; there is at least one."""
    quarters, place = np.unique(readings.start // QUARTER, return_inverse=True)
    energy = np.zeros(len(quarters), dtype=np.int64)
    np.add.at(energy, place, readings.micro_kwh)
    estimated = np.zeros(len(quarters), dtype=bool)
    np.logical_or.at(estimated, place, readings.estimated)
    highest = int(energy.max())
    per_hour = 60 // QUARTER_MINUTES
    return Peak(Fraction(highest * per_hour, MICRO_PER_KWH), bool(estimated[energy == highest].all()))
