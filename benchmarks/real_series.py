"""Real series of meters as whole days: the ground that estimates are tried on.

Belongs here: which days of the series of ``metrify_assets/scoring/gaps/real_series.py`` are taken. Does not belong
here: reading their files, and cutting gaps (``estimates.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from benchmarks.frame import BenchmarkError
from metrify_assets.scoring.gaps.real_series import EXPORT, IMPORT, read_set, set_folder
from metrify_assets.scoring.gaps.series import MeasuredSeries
from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_numbers
from tests import real_data


@dataclass(frozen=True, eq=False)
class Series:
    """A series with nothing but days of 24 hours that are complete.

    Attributes
    ----------
    measured : MeasuredSeries
    days : dict of date to int64 array, shape (slots,)
        Ascending; micro-kWh.
    """

    measured: MeasuredSeries
    days: dict[date, np.ndarray]

    @classmethod
    def of(cls, series: MeasuredSeries, zone: str) -> Series:
        """Return the complete days of a series in a zone."""
        numbers = day_numbers(series.starts, zone)
        slots = 1_440 // series.minutes
        days: dict[date, np.ndarray] = {}
        chosen = np.zeros(len(numbers), dtype=bool)
        distinct, firsts, counts = np.unique(numbers, return_index=True, return_counts=True)
        for number, first, count in zip(distinct.tolist(), firsts.tolist(), counts.tolist(), strict=True):
            values = series.values[first : first + count]
            day = day_from_number(number)
            if count == slots and DeliveryDay(day, zone).minutes == 1_440 and (values >= 0).all():
                days[day] = values
                chosen[first : first + count] = True
        whole = replace(series, zone=zone, starts=series.starts[chosen], values=series.values[chosen])
        return cls(whole, days)


def households() -> list[Series]:
    """Return the households of London, half hours of 2013, days of UTC."""
    return _series("lcl_halfhourly", "UTC", lambda series: True)


def industry() -> list[Series]:
    """Return the industrial load profiles, quarter hours of 2021."""
    return _series("lastgang", "Europe/Berlin", lambda series: True)


def site_of_2012() -> list[Series]:
    """Return the industrial site, quarter hours of 2012."""
    return _series("lastgang_end_stamped", "UTC", lambda series: True)


def home_with_pv(channel: str) -> list[Series]:
    """Return a channel of the household in Konstanz, hours, days of UTC."""
    code = {"grid_import": IMPORT, "grid_export": EXPORT}[channel]
    return _series("opsd_household", "UTC", lambda series: series.obis_code == code)


def _series(name: str, zone: str, wanted: Callable[[MeasuredSeries], bool]) -> list[Series]:
    folder = set_folder(real_data.folder(), name)
    if not folder.exists():
        raise BenchmarkError(f"{folder} is not there: set {real_data.VARIABLE} to the folder of real files")
    return [Series.of(each, zone) for each in read_set(real_data.folder(), name) if wanted(each)]
