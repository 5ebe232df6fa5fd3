"""Holidays, from the ``holidays`` package: which days count as Sundays, nationwide and by federal state.

Belongs here: the one place that asks the library. Does not belong here: what a like day is (``vee/``).
"""

from __future__ import annotations

from datetime import date
from functools import cache, lru_cache
from importlib.metadata import version

from metrify_assets.digest import digest_of
from metrify_assets.vee.like_days import LikeDays

COUNTRY = "DE"
STATES = ("BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH")
"""Germany's federal states."""


@lru_cache(maxsize=256)
def like_days(first_year: int, last_year: int, state: str | None = None) -> LikeDays:
    """Return the day kinds of these years, with public holidays as Sundays.

    Parameters
    ----------
    first_year, last_year : int
    state : str, optional
        Federal state, two letters: holidays of the whole state count too, those of single municipalities do not. None
        or anything else: the nationwide holidays only.
    """
    import holidays

    subdivision = state if state in STATES else None
    years = range(first_year, last_year + 1)
    return LikeDays(frozenset(holidays.country_holidays(COUNTRY, subdiv=subdivision, years=years)))


def like_days_around(day: date, state: str | None = None) -> LikeDays:
    """Return the day kinds that the estimation of a day may look at, in a federal state or nationwide."""
    return like_days(day.year - 1, day.year + 1, state if state in STATES else None)


def is_holiday(day: date, state: str | None = None) -> bool:
    """Return whether a day is a public holiday in a federal state, or nationwide if there is none."""
    return day in like_days_around(day, state).holidays


def holiday_digest(day: date) -> str:
    """Return the digest of the holidays, nationwide and of all states, that the estimation of a day may look at.

    The release of the library stands for them: to list all states' holidays of a year takes the most part of a second,
    which every run would pay.
    """
    return digest_of(COUNTRY, _release(), day.year)


@cache
def _release() -> str:
    return version("holidays")


def holiday_rows(first_year: int, last_year: int) -> list[tuple[date, str, bool, str]]:
    """Return the public holidays of these years as the warehouse's calendar knows them, by day.

    Returns
    -------
    list of (day, name, whether it is nationwide, states)
        ``states`` are those of ``STATES`` in which the day is a holiday, separated by blanks. A day that is another
        holiday in another state has both names.
    """
    import holidays

    years = range(first_year, last_year + 1)
    nationwide = holidays.country_holidays(COUNTRY, years=years, language="de")
    names: dict[date, list[str]] = {day: [name] for day, name in nationwide.items()}
    states: dict[date, list[str]] = {day: [] for day in nationwide}
    for state in STATES:
        for day, name in holidays.country_holidays(COUNTRY, subdiv=state, years=years, language="de").items():
            names_of_day = names.setdefault(day, [])
            if name not in names_of_day and day not in nationwide:
                names_of_day.append(name)
            states.setdefault(day, []).append(state)
    return [(day, " / ".join(names[day]), day in nationwide, " ".join(states[day])) for day in sorted(names)]
