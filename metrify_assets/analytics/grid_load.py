"""Load of control areas from ``clean_grid_status``, and the calendar of an area.

Belongs here: which rows of the lake are a series. Does not belong here: what is forecast from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.digest import digest_of
from metrify_assets.platform import Platform
from metrify_assets.reference.control_areas import AREAS, holiday_share, holiday_share_digest
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CONTROL_AREAS

LOAD, OPERATORS_FORECAST = "load_mw", "load_forecast_mw"
COLUMNS = (
    "source_id",
    "control_area",
    "metric",
    "interval_start",
    "resolution_minutes",
    "value",
    "status",
    "received_at",
)


@dataclass(frozen=True, eq=False)
class AreaLoad:
    """The load of a control area, MW.

    Attributes
    ----------
    area, source_id : str
    series : LoadSeries
    calendar : DayCalendar
        Begins with the series and may end later.
    digest : str
        Digest of the days of the lake and the holidays that both follow from.
    """

    area: str
    source_id: str
    series: LoadSeries
    calendar: DayCalendar
    digest: str


def last_load_day(platform: Platform) -> date | None:
    """Return the last day of ``clean_grid_status``, None if there is none."""
    days = platform.lake.days(CLEAN_GRID_STATUS.name)
    return max(days) if days else None


def read_loads(platform: Platform, first: date, last: date, until: date, metric: str = LOAD) -> list[AreaLoad]:
    """Return the load of every control area that has one from ``first`` to ``last``, with a calendar to ``until``.

    ``metric`` may also be the operators' own forecast of it, which is compared and never looked at.

    Where several sources publish an area's load, the one with the most hours counts.

    Raises
    ------
    DamagedFileError
        If a day in between is damaged.
    """
    manifests = platform.lake.days(CLEAN_GRID_STATUS.name)
    for day in sorted(manifests.damaged):
        if first <= day <= last:
            raise manifests.damaged[day]
    days = sorted(day for day in manifests if first <= day <= last)
    tables = [_load_rows(platform.lake.read(manifests[day], CLEAN_GRID_STATUS.arrow, COLUMNS), metric) for day in days]
    if not tables:
        return []
    rows = pa.concat_tables(tables)
    digest = digest_of(*((day, manifests[day].digest) for day in days))
    loads = (_area_load(platform, area, rows, digest, (days[0], last), until) for area in CONTROL_AREAS)
    return [load for load in loads if load is not None]


def _load_rows(day: pa.Table, metric: str) -> pa.Table:
    plain = day.set_column(1, "control_area", day["control_area"].cast(pa.string()))
    plain = plain.set_column(0, "source_id", day["source_id"].cast(pa.string()))
    is_load = pc.and_(
        pc.equal(day["metric"].cast(pa.string()), metric), pc.equal(day["status"].cast(pa.string()), "measured")
    )
    return plain.filter(is_load).drop_columns(["metric", "status"])


def _area_load(
    platform: Platform, area: str, rows: pa.Table, digest: str, days: tuple[date, date], until: date
) -> AreaLoad | None:
    of_area = rows.filter(pc.equal(rows["control_area"], area))
    if of_area.num_rows == 0:
        return None
    by_source = of_area.group_by(["source_id", "resolution_minutes"]).aggregate([("resolution_minutes", "sum")])
    most = by_source.sort_by([("resolution_minutes_sum", "descending"), ("source_id", "ascending")]).to_pylist()[0]
    source, minutes = most["source_id"], most["resolution_minutes"]
    chosen = of_area.filter(
        pc.and_(pc.equal(of_area["source_id"], source), pc.equal(of_area["resolution_minutes"], minutes))
    )
    zone = platform.settings.timezone
    series = LoadSeries.of(
        area,
        _microseconds(chosen["interval_start"]),
        chosen["value"].cast(pa.float64()).to_numpy(),
        minutes=minutes,
        zone=zone,
        received_at=_microseconds(chosen["received_at"]),
        days=days,
    )
    place = AREAS[area]
    calendar = DayCalendar.of(
        [days[0] + timedelta(days=number) for number in range((until - days[0]).days + 1)],
        lambda day: holiday_share(area, day),
        latitude=place.latitude,
        longitude=place.longitude,
        minutes=minutes,
        zone=zone,
    )
    holidays = holiday_share_digest(area, days[0].year, until.year)
    return AreaLoad(area, source, series, calendar, digest_of(digest, area, source, minutes, holidays))


def _microseconds(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy())
