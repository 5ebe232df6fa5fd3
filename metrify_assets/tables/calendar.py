"""Holidays, from the ``holidays`` package: which days count as Sundays.

Belongs here: the one place that asks the library. Does not belong here: what a like day is (``vee/``).
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from metrify_assets.lake import digest_of
from metrify_assets.vee.like_days import LikeDays

COUNTRY = "DE"


@lru_cache(maxsize=8)
def like_days(first_year: int, last_year: int) -> LikeDays:
    """Return the day kinds of these years, with Germany's nationwide holidays as Sundays."""
    import holidays

    return LikeDays(frozenset(holidays.country_holidays(COUNTRY, years=range(first_year, last_year + 1))))


def like_days_around(day: date) -> LikeDays:
    """Return the day kinds that the estimation of a day may look at."""
    return like_days(day.year - 1, day.year + 1)


@lru_cache(maxsize=65_536)
def holiday_digest(day: date) -> str:
    """Return the digest of the holidays that the estimation of a day may look at."""
    return digest_of(tuple(sorted(found.isoformat() for found in like_days_around(day).holidays)))
