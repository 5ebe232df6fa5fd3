"""Control areas: where they lie, and which share of their people has a holiday.

Belongs here: the federal states of each area by population, and its centre. Does not belong here: which days are
holidays in a state (``calendar.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from metrify_assets.digest import digest_of
from metrify_assets.reference.calendar import holiday_digest, is_holiday
from metrify_assets.schemas.grid_and_weather import GERMANY


@dataclass(frozen=True)
class ControlArea:
    """Where the load of an area is used.

    Attributes
    ----------
    people : mapping of str to float
        Millions of inhabitants by federal state.
    latitude, longitude : float
        Of the middle of its people, degrees north and east.
    """

    people: Mapping[str, float]
    latitude: float
    longitude: float


_50HERTZ = {"BE": 3.6, "BB": 2.5, "HH": 1.8, "MV": 1.6, "SN": 4.1, "ST": 2.2, "TH": 2.1}
_AMPRION = {"NW": 15.8, "RP": 4.1, "SL": 1.0, "HE": 3.5, "BY": 1.9, "NI": 1.0}
_TENNET = {"BY": 11.2, "NI": 7.0, "HE": 2.8, "SH": 2.9, "HB": 0.7, "NW": 2.1}
_TRANSNETBW = {"BW": 11.1}

AREAS: Mapping[str, ControlArea] = {
    "50Hertz": ControlArea(_50HERTZ, 52.2, 12.8),
    "Amprion": ControlArea(_AMPRION, 50.8, 7.5),
    "TenneT": ControlArea(_TENNET, 51.0, 10.0),
    "TransnetBW": ControlArea(_TRANSNETBW, 48.7, 9.0),
    GERMANY: ControlArea(
        {
            state: sum(area.get(state, 0.0) for area in (_50HERTZ, _AMPRION, _TENNET, _TRANSNETBW))
            for state in sorted({*_50HERTZ, *_AMPRION, *_TENNET, *_TRANSNETBW})
        },
        51.2,
        10.0,
    ),
}
"""Inhabitants at the end of 2018 (Destatis), rounded. How states that lie in two areas divide is our own estimate."""

ASSUMPTION = (8, 15)
ASSUMPTION_IN_BAVARIA = 0.7
"""Share of Bavaria's people whose municipality has the Assumption as a holiday (BayFTG, article 1); our estimate."""


def holiday_share(control_area: str, day: date) -> float:
    """Return which share of an area's people has a public holiday, 0 to 1."""
    people = AREAS[control_area].people
    total = sum(people.values())
    off = sum(number for state, number in people.items() if is_holiday(day, state))
    if (day.month, day.day) == ASSUMPTION:
        off += ASSUMPTION_IN_BAVARIA * people.get("BY", 0.0)
    return off / total


def holiday_share_digest(control_area: str, first_year: int, last_year: int) -> str:
    """Return the digest of what the shares of these years follow from."""
    area = AREAS[control_area]
    years = [holiday_digest(date(year, 1, 1)) for year in range(first_year, last_year + 1)]
    return digest_of(sorted(area.people.items()), ASSUMPTION_IN_BAVARIA, *years)
