"""Figures as people read them: energy, power, instants and local times.

Belongs here: formatting. Does not belong here: sentences on rules (``findings.py``) and estimates (``estimates.py``).
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from metrify_assets import clock
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.rules import MINUTES_PER_HOUR
from metrify_assets.vee.units import MICRO_PER_KWH


def kwh(micro_kwh: int) -> Decimal:
    """Return micro-kWh as exact kWh."""
    return Decimal(int(micro_kwh)).scaleb(-6)


def number(value: Decimal | float, places: int = 6) -> str:
    """Return a number without trailing zeros, thousands separated: 1,234.5."""
    text = f"{value:,.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def energy(micro_kwh: float) -> str:
    """Return micro-kWh with its unit; whole micro-kWh exactly."""
    value = kwh(micro_kwh) if isinstance(micro_kwh, int) else micro_kwh / MICRO_PER_KWH
    return f"{number(value)} kWh"


def mean_kw(micro_kwh: float, interval_minutes: int) -> float:
    """Return energy in an interval as mean power: kW = kWh x 60 / interval minutes."""
    return micro_kwh / MICRO_PER_KWH * MINUTES_PER_HOUR / interval_minutes


def below_zero(micro_kwh: int) -> str:
    """Return what is wrong with energy below zero."""
    return f"{energy(micro_kwh)} < 0 on a channel that counts in one direction"


def power(value_kw: float) -> str:
    """Return mean power with its unit, to the watt."""
    return f"{number(value_kw, 3)} kW"


def percent(value: float) -> str:
    """Return a share in percent, rounded as far as it is of use."""
    return f"{number(value, 0 if abs(value) >= 100 else 1)} %"


def moment(microseconds: int) -> datetime:
    """Return UTC microseconds as a moment."""
    return clock.instant(int(microseconds))


def instant(microseconds: int) -> str:
    """Return UTC microseconds as ISO text, such as 2026-03-10T23:15:00Z; fractions only where there are any."""
    utc = moment(microseconds)
    text = utc.isoformat(timespec="microseconds" if utc.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def local_times(day: DeliveryDay, interval_minutes: int) -> list[str]:
    """Return the local start of every slot; ``a`` and ``b`` name the two passes of the repeated hour."""
    minutes = day.local_minutes(interval_minutes).tolist()
    counts = Counter(minutes)
    seen: Counter[int] = Counter()
    texts = []
    for minute in minutes:
        text = f"{minute // 60:02d}:{minute % 60:02d}"
        if counts[minute] > 1:
            text += "ab"[seen[minute]]
        seen[minute] += 1
        texts.append(text)
    return texts


def local(microseconds: int, zone: str, day: date) -> str:
    """Return an instant in local time: the time alone on ``day``, else with its date."""
    wall_clock = moment(microseconds).astimezone(ZoneInfo(zone))
    shape = "%H:%M" if wall_clock.date() == day else "%Y-%m-%d %H:%M"
    # Seconds show where a clock drifts; on ordinary days they are none.
    return wall_clock.strftime(shape + (":%S" if wall_clock.second else ""))
