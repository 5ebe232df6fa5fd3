"""The bill of a point and month: a line for each component, to the cent or refused by name, and their total.

Belongs here: which days a tariff bills, what refuses a line, where a sum is rounded. Does not belong here: the
arithmetic of a component (``charges.py``) and where readings come from (``months.py``).

Each component of a tariff is rounded once a month, half to even, to the cent; the total is the sum of those cents. A
tax is taken of the rounded cents, so that a bill can be checked from its lines.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

import numpy as np

from metrify_assets.analytics.tariffs.charges import (
    NO_PRICES,
    PricesAt,
    PriceSeries,
    Readings,
    block_amount,
    constant_price,
    energy_amount,
    peak_power,
    slot_prices,
    window_prices,
)
from metrify_assets.analytics.tariffs.model import (
    PRICE_ONE,
    QUARTER_MINUTES,
    TOTAL,
    Assignment,
    Demand,
    Dynamic,
    Flat,
    Standing,
    Tariff,
    TariffBook,
    Tax,
    Tiered,
    TimeOfUse,
)
from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, days_between

CENTS = 100
_PERCENT = 100 * 1_000_000


class Refusal(StrEnum):
    """Why a line has no amount."""

    NO_TARIFF = "no_tariff"
    """The point's tariff holds no longer, or not yet."""
    READINGS_MISSING = "readings_missing"
    PRICE_MISSING = "price_missing"
    INTERVAL_TOO_LONG = "interval_too_long"
    """The price changes within a slot, or a slot is longer than the quarter hour of a peak."""
    BASE_REFUSED = "base_refused"
    """A line that this one is computed of was refused."""


@dataclass(frozen=True)
class Span:
    """Days of a month, both included, that one version of a tariff bills; none holds where ``tariff`` is None."""

    name: str
    direction: str
    tariff: Tariff | None
    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Line:
    """A line of a bill.

    Attributes
    ----------
    component, kind : str
        ``total`` for the sum of the lines of a span.
    micro_kwh, estimated_micro_kwh : int or None
        Energy with a value in the span, and the part of it that is estimated; None where energy does not count.
    peak_kw : Fraction or None
        Of a demand charge.
    cents : int or None
        None if refused.
    turnover, estimated_turnover : Fraction
        Sum of the magnitudes of what the line adds up, and the part of it that rests on estimates; currency.
    refusal : Refusal or None
    refused_minutes : int
        Length of the slots that are concerned.
    refused_micro_kwh : int
        Their energy, as far as it has values.
    """

    component: str
    kind: str
    micro_kwh: int | None = None
    estimated_micro_kwh: int | None = None
    peak_kw: Fraction | None = None
    cents: int | None = None
    turnover: Fraction = Fraction(0)
    estimated_turnover: Fraction = Fraction(0)
    refusal: Refusal | None = None
    refused_minutes: int = 0
    refused_micro_kwh: int = 0

    @property
    def estimated_energy_share(self) -> float | None:
        """Share of the energy that is estimated; None where there is none."""
        return (
            self.estimated_micro_kwh / self.micro_kwh
            if self.micro_kwh and self.estimated_micro_kwh is not None
            else None
        )

    @property
    def estimated_money_share(self) -> float | None:
        """Share of the money that rests on estimates; None where there is none, or it was refused."""
        if self.cents is None or not self.turnover:
            return None
        return float(self.estimated_turnover / self.turnover)


@dataclass(frozen=True)
class Market:
    """What bills need beside readings and tariffs.

    Attributes
    ----------
    zone : str
        Of the delivery day.
    prices : mapping of (source, control area) to PriceSeries
    holidays : callable
        Days (since 1970) of a year that are holidays, by year and state; the state None is nationwide.
    """

    zone: str
    prices: Mapping[tuple[str, str], PriceSeries] = field(default_factory=dict)
    holidays: Callable[[int, str | None], frozenset[int]] = lambda year, state: frozenset()


def spans_of_month(book: TariffBook, assignments: Iterable[Assignment], month: date) -> list[Span]:
    """Return the days of a month that each version of a tariff bills, in the order of assignments and days.

    Days without an assignment are no part of any span.
    """
    last = month.replace(day=monthrange(month.year, month.month)[1])
    spans: list[Span] = []
    for assignment in assignments:
        for day in days_between(month, last):
            if not assignment.covers(day):
                continue
            tariff = book.on(assignment.tariff, day)
            before = spans[-1] if spans else None
            follows = before is not None and before.name == assignment.tariff and before.tariff is tariff
            if before is not None and follows and before.last + timedelta(days=1) == day:
                spans[-1] = replace(before, last=day)
            else:
                spans.append(Span(assignment.tariff, book.direction(assignment.tariff), tariff, day, day))
    return spans


def bill(spans: Sequence[Span], readings: Mapping[str, Readings], market: Market) -> list[tuple[Span, list[Line]]]:
    """Return the lines of the spans of a point and month; ``readings`` by direction."""
    bills = []
    for number, span in enumerate(spans):
        earlier = [before for before in spans[:number] if before.name == span.name and before.tariff is not None]
        bills.append((span, _SpanBill(span, readings[span.direction], market, earlier).lines()))
    return bills


class _SpanBill:
    """Lines of one span."""

    def __init__(self, span: Span, readings: Readings, market: Market, earlier: Sequence[Span]):
        self.span, self.market = span, market
        self.slots = _within(readings, [span], market.zone)
        self.missing_minutes = _missing_minutes(self.slots, [span], market.zone)
        self.earlier = _within(readings, earlier, market.zone)
        self.earlier_missing = _missing_minutes(self.earlier, earlier, market.zone)
        self.present = self.slots.where(self.slots.present)
        self.micro_kwh = int(self.present.micro_kwh.sum())
        self.estimated = int(self.present.micro_kwh[self.present.estimated].sum())

    def lines(self) -> list[Line]:
        if self.span.tariff is None:
            minutes = _minutes([self.span], self.market.zone)
            line = Line(TOTAL, TOTAL, self.micro_kwh, self.estimated)
            return [_refused(line, Refusal.NO_TARIFF, minutes, self.micro_kwh)]
        lines: list[Line] = []
        for component in self.span.tariff.components:
            match component:
                case Tax():
                    lines.append(_tax(component, lines))
                case Standing():
                    lines.append(self._standing(component))
                case Demand():
                    lines.append(self._demand(component))
                case Tiered():
                    lines.append(self._tiered(component))
                case _:
                    lines.append(self._by_price(component, self._prices(component)))
        return [*lines, self._total(lines)]

    def _prices(self, component: Flat | TimeOfUse | Dynamic) -> PricesAt:
        match component:
            case Flat():
                return constant_price(component.price)
            case Dynamic():
                return self.market.prices.get((component.source_id, component.control_area), NO_PRICES).plus(
                    component.markup
                )
            case TimeOfUse():
                return window_prices(component.windows, component.price, self.market.zone, self._holidays())

    def _holidays(self) -> frozenset[int]:
        state = self.span.tariff.holidays if self.span.tariff is not None else None
        if state is None:
            return frozenset()
        return self.market.holidays(self.span.first.year, None if state == "nationwide" else state)

    def _by_price(self, component: Flat | TimeOfUse | Dynamic, prices_at: PricesAt) -> Line:
        line = Line(component.name, component.kind, self.micro_kwh, self.estimated)
        if self.missing_minutes:
            return _refused(line, Refusal.READINGS_MISSING, self.missing_minutes, 0)
        slots, prices = self.present, slot_prices(self.present, prices_at)
        for refusal, wrong in ((Refusal.PRICE_MISSING, ~prices.present), (Refusal.INTERVAL_TOO_LONG, ~prices.uniform)):
            if wrong.any():
                return _refused_slots(line, refusal, slots, wrong)
        size, estimated = np.abs(prices.price), slots.estimated
        return _charged(
            line,
            energy_amount(slots.micro_kwh, prices.price),
            energy_amount(np.abs(slots.micro_kwh), size),
            energy_amount(np.abs(slots.micro_kwh[estimated]), size[estimated]),
        )

    def _tiered(self, component: Tiered) -> Line:
        line = Line(component.name, component.kind, self.micro_kwh, self.estimated)
        missing = self.missing_minutes + self.earlier_missing
        if missing:
            return _refused(line, Refusal.READINGS_MISSING, missing, 0)
        amount = block_amount(component.blocks, int(self.earlier.micro_kwh.sum()), self.micro_kwh)
        # The blocks say nothing of single slots: each kWh of the span bears the same share.
        share = Fraction(self.estimated, self.micro_kwh) if self.micro_kwh else Fraction(0)
        return _charged(line, amount, abs(amount), abs(amount) * share)

    def _demand(self, component: Demand) -> Line:
        line = Line(component.name, component.kind)
        if self.missing_minutes:
            return _refused(line, Refusal.READINGS_MISSING, self.missing_minutes, 0)
        too_long = self.present.minutes > QUARTER_MINUTES
        if too_long.any():
            return _refused_slots(line, Refusal.INTERVAL_TOO_LONG, self.present, too_long)
        peak = peak_power(self.present)
        amount = peak.kw * Fraction(component.price, PRICE_ONE) * self._share_of_month()
        return _charged(replace(line, peak_kw=peak.kw), amount, amount, amount if peak.estimated else Fraction(0))

    def _standing(self, component: Standing) -> Line:
        price = Fraction(component.price, PRICE_ONE)
        amount = price * (self.span.days if component.per == "day" else self._share_of_month())
        return _charged(Line(component.name, component.kind), amount, abs(amount), Fraction(0))

    def _share_of_month(self) -> Fraction:
        return Fraction(self.span.days, monthrange(self.span.first.year, self.span.first.month)[1])

    def _total(self, lines: Sequence[Line]) -> Line:
        total = Line(TOTAL, TOTAL, self.micro_kwh, self.estimated)
        first = next((line for line in lines if line.refusal is not None), None)
        if first is not None and first.refusal is not None:
            return _refused(total, first.refusal, first.refused_minutes, first.refused_micro_kwh)
        return _summed(total, lines, sum(line.cents for line in lines if line.cents is not None), Fraction(1))


def _tax(component: Tax, lines: Sequence[Line]) -> Line:
    base = [line for line in lines if component.of is None or line.component in component.of]
    line = Line(component.name, component.kind)
    if any(each.cents is None for each in base):
        return _refused(line, Refusal.BASE_REFUSED, 0, 0)
    share = Fraction(component.percent, _PERCENT)
    cents = round(sum(each.cents for each in base if each.cents is not None) * share)
    return _summed(line, base, cents, share)


def _summed(line: Line, parts: Sequence[Line], cents: int, share: Fraction) -> Line:
    turnover = sum((part.turnover for part in parts), Fraction(0)) * share
    estimated = sum((part.estimated_turnover for part in parts), Fraction(0)) * share
    return replace(line, cents=cents, turnover=turnover, estimated_turnover=estimated)


def _charged(line: Line, amount: Fraction, turnover: Fraction, estimated: Fraction) -> Line:
    """Return a line with its amount, rounded half to even to the cent."""
    return replace(line, cents=round(amount * CENTS), turnover=turnover, estimated_turnover=estimated)


def _refused(line: Line, refusal: Refusal, minutes: int, micro_kwh: int) -> Line:
    return replace(line, refusal=refusal, refused_minutes=minutes, refused_micro_kwh=micro_kwh)


def _refused_slots(line: Line, refusal: Refusal, slots: Readings, rows: BoolArray) -> Line:
    return _refused(line, refusal, int(slots.minutes[rows].sum()), int(slots.micro_kwh[rows].sum()))


def _within(readings: Readings, spans: Sequence[Span], zone: str) -> Readings:
    rows = np.zeros(len(readings.start), dtype=bool)
    for span in spans:
        first, end = DeliveryDay(span.first, zone).start, DeliveryDay(span.last, zone).end
        rows |= (readings.start >= first) & (readings.start < end)
    return readings.where(rows)


def _missing_minutes(slots: Readings, spans: Sequence[Span], zone: str) -> int:
    return _minutes(spans, zone) - int(slots.minutes[slots.present].sum())


def _minutes(spans: Sequence[Span], zone: str) -> int:
    windows = [(DeliveryDay(span.first, zone).start, DeliveryDay(span.last, zone).end) for span in spans]
    return sum(end - start for start, end in windows) // MICROSECONDS_PER_MINUTE
