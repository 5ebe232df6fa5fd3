"""Delivery days as Dagster partitions.

Belongs here: the one partition dimension of the platform and the days a run was asked for. Does not belong here:
calendar arithmetic (``vee/delivery_day.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import dagster as dg

from metrify_assets.settings import Settings


def delivery_days(settings: Settings, first_day: date | None = None) -> dg.DailyPartitionsDefinition:
    """Return one partition per delivery day from the first day to today, in the zone of the delivery day."""
    return dg.DailyPartitionsDefinition(
        start_date=(first_day or settings.first_day).isoformat(),
        timezone=settings.timezone,
        fmt="%Y-%m-%d",
        # One more than the finished days: today, whose reads arrive while it runs.
        end_offset=1,
    )


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Return the days that a run materialises: one, or every day of its range."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def ranges(days: Iterable[date], longest: int) -> list[tuple[date, date]]:
    """Group days into contiguous ranges of at most ``longest`` days, in order; both ends belong to the range."""
    joined: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if joined and (day - joined[-1][1]).days == 1 and (day - joined[-1][0]).days < longest:
            joined[-1] = (joined[-1][0], day)
        else:
            joined.append((day, day))
    return joined
