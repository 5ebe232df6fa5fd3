"""Weather dependence of an installation: read, fitted, adjusted, published as tables of the lake.

Belongs here: results as rows, and publishing them with the digests of their inputs. Does not belong here: formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.analytics.weather.adjust import (
    MONTHS,
    MeanDegreeDays,
    adjusted_use,
    expected_day_of_months,
    expected_days,
    month_degree_days,
    month_lengths,
    month_use,
    ordinary_year,
)
from metrify_assets.analytics.weather.daily import station_degree_days
from metrify_assets.analytics.weather.fit import Fits, fit_points
from metrify_assets.analytics.weather.inputs import Inputs, StationDays, read_inputs
from metrify_assets.analytics.weather.rules import DEFAULT_RULES, Model, Refusal, WeatherRules
from metrify_assets.analytics.weather.sufficiency import NO_MONTH
from metrify_assets.digest import shard_of
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import Audit, audit
from metrify_assets.schemas.table import Table
from metrify_assets.schemas.weather_dependence import (
    STATION_DEGREE_DAYS,
    WEATHER_ADJUSTED_DAYS,
    WEATHER_ADJUSTED_MONTHS,
    WEATHER_DEPENDENCE,
    WEATHER_MODELS,
    WEATHER_REFUSALS,
)
from metrify_assets.storage.arrow import decimals
from metrify_assets.storage.lake import Manifest, Shard
from metrify_assets.vee.arrays import Float64Array, Int64Array

ORDINARY_YEAR = month_lengths(12 * 2025 + np.arange(MONTHS))
"""Days of the months of a year that is no leap year."""


@dataclass(frozen=True)
class Result:
    """What was worked out and published.

    Attributes
    ----------
    inputs : Inputs
    fits : Fits
    manifest : Manifest
        Of ``weather_dependence``.
    audit : Audit
        Of its rows.
    """

    inputs: Inputs
    fits: Fits
    manifest: Manifest
    audit: Audit

    @property
    def models(self) -> dict[str, int]:
        """Number of points by model, refused ones included."""
        return {name: int((self.fits.model == number).sum()) for number, name in enumerate(WEATHER_MODELS)}

    @property
    def refusals(self) -> dict[str, int]:
        """Number of refused points by rule."""
        refusal = self.fits.verdicts.refusal
        return {name: int((refusal == number).sum()) for number, name in enumerate(WEATHER_REFUSALS, start=1)}


def compute_weather_dependence(
    platform: Platform, through: date, default_station: str = "", rules: WeatherRules = DEFAULT_RULES
) -> Result:
    """Work out and publish the weather dependence of all points; the same inputs give the same tables.

    Parameters
    ----------
    through : date
        Last day of the baseline.
    default_station : str
        Station of points whose place is not registered.

    Raises
    ------
    AuditError
        If rows break their table's structure; nothing is published then.
    WeatherError
        If the default station is not registered.
    """
    inputs = read_inputs(platform, through, rules, default_station)
    fits = fit_points(inputs.baseline, rules)
    weather = inputs.weather
    by_month = month_degree_days(weather.temperature, weather.month, rules)
    ordinary = ordinary_year(by_month, np.unique(weather.month))
    months = _Months.of(inputs, fits, ordinary, rules)
    beside = {
        WEATHER_ADJUSTED_MONTHS: months.rows(inputs, fits),
        STATION_DEGREE_DAYS: _station_rows(weather, rules),
    }
    rows = _dependence_rows(inputs, fits, months, ordinary)
    for table, other in beside.items():
        audit(table, other).require_structure(table.name)
    found = audit(WEATHER_DEPENDENCE, rows)
    found.require_structure(WEATHER_DEPENDENCE.name)
    _publish_days(platform, inputs, fits, months)
    for table, other in beside.items():
        _publish(platform, table, other, inputs, {})
    # The results come last: who sees them finds the tables beside them.
    return Result(inputs, fits, _publish(platform, WEATHER_DEPENDENCE, rows, inputs, _numbers(fits)), found)


def _publish(platform: Platform, table: Table, rows: pa.Table, inputs: Inputs, numbers: Mapping[str, Any]) -> Manifest:
    shard = platform.lake.write_shard(table.name, None, 0, rows, inputs=inputs.digests, numbers=numbers)
    return platform.lake.publish(table.name, None, {0: shard})


def _numbers(fits: Fits) -> Mapping[str, Any]:
    return {"points": len(fits.model), "refused": int((fits.model == Model.REFUSED).sum())}


@dataclass(frozen=True)
class _Months:
    """Months of the baseline, kWh; float64 arrays, shape (N, M), NaN where missing.

    ``normal_day`` is the mean day of each in ordinary weather; ``normal_year`` has shape (N,).
    """

    months: Int64Array
    used: Float64Array
    expected: Float64Array
    normal: Float64Array
    normal_day: Float64Array
    normal_year: Float64Array

    @classmethod
    def of(cls, inputs: Inputs, fits: Fits, ordinary: MeanDegreeDays, rules: WeatherRules) -> _Months:
        baseline = inputs.baseline
        months = np.unique(baseline.month)
        days = month_lengths(months)
        of_baseline = month_degree_days(baseline.temperature, baseline.month, rules)
        expected = expected_day_of_months(fits, baseline.station, of_baseline, rules)
        normal_day = expected_day_of_months(fits, baseline.station, ordinary, rules)
        in_year = normal_day[:, months % MONTHS]
        used = month_use(baseline.energy, baseline.month, rules)
        year = normal_day @ ORDINARY_YEAR
        return cls(months, used * days, expected * days, in_year * days, normal_day, year)

    def rows(self, inputs: Inputs, fits: Fits) -> pa.Table:
        """Return the rows of the judged points."""
        judged = np.flatnonzero(fits.model != Model.REFUSED)
        adjusted = adjusted_use(self.used, self.expected, self.normal)
        columns = {"used_kwh": self.used, "expected_kwh": self.expected, "normal_kwh": self.normal}
        columns["adjusted_kwh"] = adjusted
        rows = np.repeat(judged, len(self.months))
        return pa.table(
            {
                **_channel_columns(inputs, rows),
                "month": pa.array(np.tile(_first_days(self.months), len(judged))),
                **{name: decimals(values[judged].ravel()) for name, values in columns.items()},
            }
        ).cast(WEATHER_ADJUSTED_MONTHS.arrow)


def _publish_days(platform: Platform, inputs: Inputs, fits: Fits, months: _Months) -> None:
    """Publish the days of the judged points, shard by shard: there are many."""
    baseline = inputs.baseline
    judged = fits.model != Model.REFUSED
    numbers = np.array([shard_of(point, platform.settings.shards) for point, _ in inputs.channels], dtype=np.int64)
    days = np.array(inputs.days, dtype="datetime64[D]")
    shards: dict[int, Shard] = {}
    for number in range(platform.settings.shards):
        chosen = np.flatnonzero(judged & (numbers == number))
        part = fits.take(chosen)
        expected = expected_days(part, baseline.station[chosen], baseline.temperature)
        used = baseline.energy[chosen]
        counted = np.arange(len(days)) >= baseline.begin[chosen, None]
        normal = months.normal_day[chosen][:, baseline.month % MONTHS]
        row, day = np.nonzero(np.isfinite(used) & counted)
        rows = pa.table(
            {
                **_channel_columns(inputs, chosen[row]),
                "day": pa.array(days[day]),
                "used_kwh": decimals(used[row, day]),
                "expected_kwh": decimals(expected[row, day]),
                "adjusted_kwh": decimals(adjusted_use(used, expected, normal)[row, day]),
            }
        ).cast(WEATHER_ADJUSTED_DAYS.arrow)
        shards[number] = platform.lake.write_shard(
            WEATHER_ADJUSTED_DAYS.name, None, number, rows, inputs=inputs.digests
        )
    platform.lake.publish(WEATHER_ADJUSTED_DAYS.name, None, shards)


def _dependence_rows(inputs: Inputs, fits: Fits, months: _Months, ordinary: MeanDegreeDays) -> pa.Table:
    baseline, verdicts = inputs.baseline, fits.verdicts
    rows = np.arange(len(inputs.channels))
    stations, station = inputs.weather.stations, baseline.station
    refused = verdicts.refusal != Refusal.NONE
    first = np.array(inputs.days, dtype="datetime64[D]")
    # A row for the points without a station, which nobody reads.
    years = np.append(ordinary.periods.min(axis=1, initial=np.iinfo(np.int16).max), 0)[station]
    return pa.table(
        {
            **_channel_columns(inputs, rows),
            "station_id": _texts(stations, station),
            "distance_km": _numbers_or_null(baseline.distance_km),
            "baseline_from": pa.array(first[np.minimum(baseline.begin, len(first) - 1)]),
            "baseline_to": pa.array(np.repeat(first[-1:], len(rows))),
            "days": pa.array(fits.days),
            "extreme_days": pa.array(fits.extreme),
            "model": _texts(list(WEATHER_MODELS), fits.model),
            "base_kwh_per_day": _numbers_or_null(fits.base_kwh),
            "heating_kwh_per_kelvin_day": _numbers_or_null(fits.heating_kwh),
            "heating_balance_c": _numbers_or_null(fits.heating_balance_c),
            "cooling_kwh_per_kelvin_day": _numbers_or_null(fits.cooling_kwh),
            "cooling_balance_c": _numbers_or_null(fits.cooling_balance_c),
            "r_squared": _numbers_or_null(fits.r_squared),
            "cv_rmse": _numbers_or_null(fits.cv_rmse),
            "normal_year_kwh": decimals(months.normal_year),
            "normal_years": pa.array(years, mask=refused),
            "refusal": _texts(list(WEATHER_REFUSALS), verdicts.refusal - 1),
            "refused_value": _numbers_or_null(verdicts.value),
            "refused_limit": _numbers_or_null(verdicts.limit),
            "refused_month": pa.array(_first_days(verdicts.month), mask=verdicts.month == NO_MONTH),
        }
    ).cast(WEATHER_DEPENDENCE.arrow)


def _station_rows(weather: StationDays, rules: WeatherRules) -> pa.Table:
    heating, cooling = station_degree_days(weather.temperature, rules)
    stations, days = weather.temperature.shape
    return pa.table(
        {
            "station_id": _texts(weather.stations, np.repeat(np.arange(stations), days)),
            "day": pa.array(np.tile(np.array(weather.days, dtype="datetime64[D]"), stations)),
            "hours": pa.array(weather.hours.ravel()),
            "temperature_c": _numbers_or_null(weather.temperature.ravel()),
            "heating_degree_days": _numbers_or_null(heating.ravel()),
            "cooling_degree_days": _numbers_or_null(cooling.ravel()),
        }
    ).cast(STATION_DEGREE_DAYS.arrow)


def _channel_columns(inputs: Inputs, rows: Int64Array) -> dict[str, pa.Array]:
    """Return the point and the code of some channels, dictionary-encoded."""
    columns = {}
    for name, texts in (
        ("point_id", [key[0] for key in inputs.channels]),
        ("obis_code", [k[1] for k in inputs.channels]),
    ):
        distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
        columns[name] = _texts(distinct.tolist(), place[rows])
    return columns


def _texts(texts: list[str], numbers: Int64Array) -> pa.DictionaryArray:
    """Return the text of each number, null for -1."""
    indices = pa.array(np.maximum(numbers, 0).astype(np.int32), mask=numbers < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


def _numbers_or_null(values: Float64Array) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _first_days(months: Int64Array) -> np.ndarray:
    """Return the first day of months, which are twelve times the year, and the month from 0."""
    since_1970: np.ndarray = (months - 12 * 1970).astype("datetime64[M]").astype("datetime64[D]")
    return since_1970
