"""The numbers behind a rule's finding on one slot, for people who ask why.

Belongs here: per rule of ``rules.py`` and ``daily_use.py``, a plain function of one series that says what was compared
with what, and ``fires``, which must agree with the rule's mask (tests compare the two on random grids). Does not belong
here: the rules (``rules.py``), sentences (``explain/``).

Energy is int micro-kWh. Values of one series are sequences over the slots of its day; ``valid`` says which of them the
rule looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np

from metrify_assets.vee.daily_use import LOOKBACK_DAYS, Totals, UsualChange, days_before, usual_change
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rules import MIN_WINDOW_VALUES, MINUTES_PER_HOUR, most_energy
from metrify_assets.vee.runs import stuck_length, zero_run_length
from metrify_assets.vee.units import MICRO_PER_KWH


def mean_kw(micro_kwh: float, interval_minutes: int) -> float:
    """Return energy in an interval as mean power: kW = kWh x 60 / interval minutes."""
    return micro_kwh / MICRO_PER_KWH * MINUTES_PER_HOUR / interval_minutes


@dataclass(frozen=True)
class PhysicalLimitNumbers:
    """A value against the connection.

    Attributes
    ----------
    power_kw, limit_kw : float
        Mean power of the value, and the power above which a value is refused.
    connection_kw : float
    percent : int
    limit : int
        Largest energy that passes, micro-kWh.
    fires : bool
    """

    power_kw: float
    limit_kw: float
    connection_kw: float
    percent: int
    limit: int
    fires: bool


def physical_limit_numbers(
    value: int, interval_minutes: int, connection_kw: float, percent: int
) -> PhysicalLimitNumbers:
    """Return what ``rules.physical_limit`` compares; ``connection_kw`` is not NaN."""
    limit = int(most_energy(np.array([connection_kw]), interval_minutes, percent)[0])
    return PhysicalLimitNumbers(
        power_kw=mean_kw(value, interval_minutes),
        limit_kw=connection_kw * percent / 100,
        connection_kw=connection_kw,
        percent=percent,
        limit=limit,
        fires=abs(value) > limit,
    )


@dataclass(frozen=True)
class SpikeNumbers:
    """The day's maximum against its third maximum.

    Attributes
    ----------
    largest, third, excess : int
        Micro-kWh; ``excess`` is their difference.
    excess_percent : float or None
        Excess as a share of the third maximum; None where that is zero.
    limit_percent : int
    floor : int
        Least excess, micro-kWh.
    fires : bool
    """

    largest: int
    third: int
    excess: int
    excess_percent: float | None
    limit_percent: int
    floor: int
    fires: bool


def spike_numbers(
    values: Sequence[int], valid: Sequence[bool], interval_minutes: int, excess_percent: int, floor_kw: float
) -> SpikeNumbers | None:
    """Return what ``rules.spike`` compares; None where fewer than three values are valid or the third is negative."""
    ordered = sorted((value for value, stands in zip(values, valid, strict=True) if stands), reverse=True)
    if len(ordered) < 3 or ordered[2] < 0:
        return None
    largest, third = ordered[0], ordered[2]
    excess = largest - third
    floor = round(floor_kw * MICRO_PER_KWH * interval_minutes / MINUTES_PER_HOUR)
    return SpikeNumbers(
        largest=largest,
        third=third,
        excess=excess,
        excess_percent=100 * excess / third if third else None,
        limit_percent=excess_percent,
        floor=floor,
        fires=excess * 100 > third * excess_percent and excess >= floor,
    )


@dataclass(frozen=True)
class OutlierNumbers:
    """A value against the median of the window around its slot.

    Attributes
    ----------
    median, mad, deviation, limit : float
        Micro-kWh: median of the window, median absolute deviation from it, the value's own deviation, and the largest
        that passes, k x 1.4826 x MAD + floor.
    count : int
        Valid values in the window.
    window_slots : int
    fires : bool
    """

    median: float
    mad: float
    deviation: float
    limit: float
    count: int
    window_slots: int
    fires: bool


def outlier_numbers(
    values: Sequence[int],
    valid: Sequence[bool],
    slot: int,
    interval_minutes: int,
    window_minutes: int,
    k: float,
    floor_kw: float,
) -> OutlierNumbers | None:
    """Return what ``rules.robust_outlier`` compares; None without enough valid values around the slot."""
    half = max(window_minutes // interval_minutes // 2, 2)
    window = range(max(slot - half, 0), min(slot + half + 1, len(values)))
    around = [float(values[other]) for other in window if valid[other]]
    if not valid[slot] or len(around) < MIN_WINDOW_VALUES:
        return None
    middle = median(around)
    mad = median(abs(value - middle) for value in around)
    limit = k * 1.4826 * mad + floor_kw * MICRO_PER_KWH * interval_minutes / MINUTES_PER_HOUR
    deviation = abs(values[slot] - middle)
    return OutlierNumbers(middle, mad, deviation, limit, len(around), 2 * half + 1, deviation > limit)


@dataclass(frozen=True)
class RunNumbers:
    """A run of equal values: slots ``first`` to ``end - 1``, and how many of them make a finding."""

    value: int
    first: int
    end: int
    least_slots: int

    @property
    def slots(self) -> int:
        """Length of the run."""
        return self.end - self.first

    @property
    def fires(self) -> bool:
        """Whether it is long enough."""
        return self.slots >= self.least_slots


def stuck_numbers(
    values: Sequence[int],
    valid: Sequence[bool],
    slot: int,
    interval_minutes: int,
    least_minutes: int,
    least_slots: int,
) -> RunNumbers | None:
    """Return the run that ``rules.stuck`` measures; None where the slot's value is zero or not valid."""
    if not valid[slot] or values[slot] == 0:
        return None
    return _run(values, valid, slot, stuck_length(interval_minutes, least_minutes, least_slots))


def zero_run_numbers(
    values: Sequence[int], valid: Sequence[bool], slot: int, interval_minutes: int, least_minutes: int
) -> RunNumbers | None:
    """Return the run that ``rules.zero_run`` measures; None where the slot's value is not a valid zero."""
    if not valid[slot] or values[slot] != 0:
        return None
    return _run(values, valid, slot, zero_run_length(len(values), interval_minutes, least_minutes))


def _run(values: Sequence[int], valid: Sequence[bool], slot: int, least_slots: int) -> RunNumbers:
    def same(other: int) -> bool:
        return bool(valid[other]) and values[other] == values[slot]

    first, end = slot, slot + 1
    while first > 0 and same(first - 1):
        first -= 1
    while end < len(values) and same(end):
        end += 1
    return RunNumbers(values[slot], first, end, least_slots)


@dataclass(frozen=True)
class HighLowNumbers:
    """A day's use against recent days of the same kind.

    Attributes
    ----------
    use : int
        Micro-kWh.
    days : tuple of (date, int)
        Complete days in the mean, the nearest first, with their use.
    low_percent, high_percent : int
    floor : int
        Least distance from the mean, micro-kWh.
    change : UsualChange, optional
        From one complete day to the next, where the rule looks at it and enough days are known.
    change_times : int
    fires : bool
    """

    use: int
    days: tuple[tuple[date, int], ...]
    low_percent: int
    high_percent: int
    floor: int
    change: UsualChange | None
    change_times: int
    fires: bool

    @property
    def mean(self) -> float:
        """Mean use of the days, micro-kWh; at least one day."""
        return sum(use for _, use in self.days) / len(self.days)


def high_low_numbers(
    day: date, use: int, row: int, totals: Totals, calendar: LikeDays, rules: RuleSet
) -> HighLowNumbers:
    """Return what ``daily_use.high_low`` compares for one complete day; arguments as there."""
    day_totals: list[tuple[date, int]] = []
    for other in calendar.candidates(day, LOOKBACK_DAYS):
        if len(day_totals) == rules.high_low_days:
            break
        past = totals(other, np.array([row]))
        if past is not None and past.complete[0]:
            day_totals.append((other, int(past.energy[0])))
    total, count = sum(energy for _, energy in day_totals), len(day_totals)
    floor = round(rules.high_low_floor_kwh * MICRO_PER_KWH)
    outside = (
        use * count * 100 < total * rules.high_low_low_percent
        or use * count * 100 > total * rules.high_low_high_percent
    )
    change = None
    if rules.high_low_change_times:
        month = {other: totals(other, np.array([row])) for other in days_before(day)}
        uses = {other: int(past.energy[0]) for other, past in month.items() if past is not None and past.complete[0]}
        change = usual_change(day, uses, calendar)
    exceeded = change is None or change.is_exceeded(use, rules.high_low_change_times)
    return HighLowNumbers(
        use=use,
        days=tuple(day_totals),
        low_percent=rules.high_low_low_percent,
        high_percent=rules.high_low_high_percent,
        floor=floor,
        change=change,
        change_times=rules.high_low_change_times,
        fires=count >= rules.high_low_min_days and outside and abs(use * count - total) >= floor * count and exceeded,
    )


def silent_days(day: date, measured: Callable[[date], int | None], candidates: Iterable[date]) -> list[date]:
    """Return the days in a row up to ``day`` without a measured slot, ``day`` first.

    Parameters
    ----------
    day : date
    measured : callable
        Measured slots of a day; None where there is no such day or the series had no slots on it.
    candidates : iterable of date
        The days before, the nearest first.
    """
    days = [day]
    for other in candidates:
        if measured(other) != 0:
            break
        days.append(other)
    return days
