"""Benchmark ``analytics``: forecasts of control areas, judged on 2019, beside the operators' own and simple ones.

Belongs here: the real series, the peers and the figures. Does not belong here: the forecast itself
(``metrify_assets/analytics/forecast``). Features and parameters were chosen on 2018: fitted to its first half, judged
on its second, where the operators' own forecast is there, too. 2019 is the test year; nothing was fitted to it by hand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from benchmarks.frame import Bench, BenchmarkError, Figures
from metrify_assets.analytics.forecast.backtest import roll
from metrify_assets.analytics.forecast.champion import MODEL, ForecastParameters, Forecasts, forecasts
from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.features import DAY_AHEAD, LEADS, MEDIAN_DAYS, WEEK_AHEAD, design
from metrify_assets.analytics.forecast.scores import Score, score
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.reference.control_areas import AREAS, holiday_share
from metrify_assets.vee.arrays import Float64Array
from tests import real_data

YEAR_2018 = "grid/opsd_2018/DE_TSO_60min_2018_with_forecast.csv"
YEAR_2019 = "grid/opsd/DE_TSO_60min_filtered.csv"
ACTUAL, OPERATOR = "load_actual_entsoe_transparency", "load_forecast_entsoe_transparency"
COLUMNS = {
    "DE": "DE",
    "Amprion": "DE_amprion",
    "TenneT": "DE_tennet",
    "TransnetBW": "DE_transnetbw",
    "50Hertz": "DE_50hertz",
}
GOALS = {"DE": 2.3, "Amprion": 2.6, "TenneT": 2.6, "TransnetBW": 3.0, "50Hertz": 4.1}
WEEK_GOAL_DE = 2.7
FIRST_ROLLED = 70
"""Row of the first target day: before it there is too little to fit a model to."""
SECOND_HALF, TEST = date(2018, 7, 1), date(2019, 1, 1)
BIAS_DAYS = 7
NAMES = {DAY_AHEAD: "day", WEEK_AHEAD: "week"}
WORDS = {DAY_AHEAD: "day ahead, issued at 08:00 the day before", WEEK_AHEAD: "seven days ahead, issued at 08:00"}


def _meanings() -> dict[str, str]:
    meanings: dict[str, str] = {}
    for area in COLUMNS:
        name = area.lower()
        for lead, words in WORDS.items():
            cell = f"{name}_{NAMES[lead]}"
            meanings |= {
                f"{cell}_wape": f"{area} 2019, {words}: sum of the errors / load, percent",
                f"{cell}_mase": f"{area} 2019, {words}: error / that of the same hour a week earlier",
                f"{cell}_pinball": f"{area} 2019, {words}: mean pinball loss of P10, P50, P90 / load, percent",
                f"{cell}_coverage": f"{area} 2019, {words}: values from P10 to P90, percent; nominal 80",
                f"{cell}_coverage_worst_month": f"{area} 2019, {words}: the same in the worst month",
                f"{cell}_wape_second_half_2018": f"{area}, second half of 2018, {words}: WAPE, percent (chosen on it)",
            }
        meanings |= {
            f"{name}_goal": f"{area} 2019, a day ahead: goal without weather, percent",
            f"{name}_fallback_share": f"{area} 2019, a day ahead: hours that are not the model's, percent",
            f"{name}_lag7_wape": f"{area} 2019: WAPE of the same local hour a week earlier, percent",
            f"{name}_median13_wape": f"{area} 2019: WAPE of the median of the last 13 days, percent",
            f"{name}_operator_wape_second_half_2018": f"{area}, second half of 2018: WAPE of the operator's, percent",
            f"{name}_operator_corrected_wape_second_half_2018": f"{area}, second half of 2018: the same after "
            f"correction by the mean error of each hour on the last {BIAS_DAYS} known days, percent",
        }
    return meanings


FIGURES = {
    **_meanings(),
    "de_week_goal": "DE 2019, a week ahead: goal, percent",
    "backtest_seconds": "features, weekly models, forecasts and intervals of all areas and both leads over 2019",
    "day_seconds": "forecasts of one day of all areas and both leads, models and errors of the past at hand",
}


@dataclass(frozen=True, eq=False)
class Area:
    """A control area: its load, its calendar, and its operator's own forecast of 2018."""

    series: LoadSeries
    calendar: DayCalendar
    operator: LoadSeries


def measure(bench: Bench) -> Figures:
    """Return the figures; raise ``BenchmarkError`` where the real files are absent."""
    areas = read_areas(("TransnetBW",) if bench.short else tuple(COLUMNS))
    figures: Figures = {}
    seconds = 0.0
    for name, area in areas.items():
        for lead in LEADS:
            bench.say(f"{name}, {lead} days ahead")
            test = area.series.row(TEST)
            last = test + 40 if bench.short else len(area.series.values) - 1
            # Timed is what a backtest of 2019 needs; 2018 is rolled beside it.
            began = time.perf_counter()
            issued = _issue(area, lead, FIRST_ROLLED, last)
            seconds += time.perf_counter() - began
            figures |= _scores(name.lower(), area, lead, issued, last)
        figures |= _peers(name.lower(), area)
        figures[f"{name.lower()}_goal"] = GOALS[name]
    if not bench.short:
        figures["de_week_goal"] = WEEK_GOAL_DE
    figures["backtest_seconds"] = round(seconds, 2)
    figures["day_seconds"] = round(_one_day(areas), 3)
    return figures


def read_areas(names: tuple[str, ...]) -> dict[str, Area]:
    """Return control areas of 2018 and 2019; raise ``BenchmarkError`` where the real files are absent."""
    paths = [real_data.folder() / path for path in (YEAR_2018, YEAR_2019)]
    for path in paths:
        if not path.exists():
            raise BenchmarkError(f"{path} is not there: set {real_data.VARIABLE} to the folder of real files")
    before, after = (pd.read_csv(path, parse_dates=["utc_timestamp"]) for path in paths)
    # The year in Berlin begins an hour before that in UTC; where both files have an hour, 2019 counts.
    both = pd.concat([before, after]).drop_duplicates("utc_timestamp", keep="last")
    return {name: _area(name, both, before) for name in names}


def _area(name: str, both: pd.DataFrame, before: pd.DataFrame) -> Area:
    series = _series(name, both, f"{COLUMNS[name]}_{ACTUAL}")
    area = AREAS[name]
    calendar = DayCalendar.of(
        series.days,
        lambda day: holiday_share(name, day),
        latitude=area.latitude,
        longitude=area.longitude,
        minutes=series.minutes,
    )
    return Area(series, calendar, _series(name, before, f"{COLUMNS[name]}_{OPERATOR}"))


def _series(name: str, frame: pd.DataFrame, column: str) -> LoadSeries:
    starts = frame["utc_timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    return LoadSeries.of(name, starts, frame[column].to_numpy(float), minutes=60)


def _issue(area: Area, lead: int, first: int, last: int) -> Forecasts:
    parameters = ForecastParameters()
    designed = design(area.series, area.calendar, lead, 0, last)
    rolled = roll(area.series, designed, first, last, parameters.ridge)
    return forecasts(area.series, area.calendar, designed, rolled, parameters)


def _scores(name: str, area: Area, lead: int, issued: Forecasts, last: int) -> Figures:
    cell = f"{name}_{NAMES[lead]}"
    test, half = area.series.row(TEST), area.series.row(SECOND_HALF)
    of_test = _score(area, issued, test, last + 1)
    months = np.array([day.month for day in area.series.days])
    by_month = []
    for month in sorted(set(months[test : last + 1].tolist())):
        rows = np.flatnonzero(months[test : last + 1] == month) + test
        by_month.append(_percent(_score(area, issued, rows[0], rows[-1] + 1).coverage))
    figures: Figures = {
        f"{cell}_wape": _percent(of_test.wape),
        f"{cell}_mase": round(of_test.mase or np.nan, 3),
        f"{cell}_pinball": _percent(of_test.pinball),
        f"{cell}_coverage": _percent(of_test.coverage),
        f"{cell}_coverage_worst_month": min(by_month),
        f"{cell}_wape_second_half_2018": _percent(_score(area, issued, half, test).wape),
    }
    if lead == DAY_AHEAD:
        figures[f"{name}_fallback_share"] = _percent(float((issued.method[test - issued.first :] != MODEL).mean()))
    return figures


def _score(area: Area, issued: Forecasts, first: int, end: int) -> Score:
    rows = slice(first - issued.first, end - issued.first)
    week = area.series.lagged()[first - 7 : end - 7]
    return score(area.series.values[first:end], issued.p50[rows], issued.p10[rows], issued.p90[rows], week)


def _peers(name: str, area: Area) -> Figures:
    values, lagged = area.series.values, area.series.lagged()
    test, half = area.series.row(TEST), area.series.row(SECOND_HALF)
    end = len(values)
    median = np.stack([np.nanmedian(lagged[row - 1 - MEDIAN_DAYS : row - 1], axis=0) for row in range(test, end)])
    operator = area.operator.values[half - area.operator.row(area.series.first) : test]
    own, corrected = area.operator.values[:test], np.full((test - half, area.series.slots), np.nan)
    for row in range(half, test):
        # Issued as ours is: the day before yesterday is the last that is known whole.
        known = slice(row - 1 - BIAS_DAYS, row - 1)
        corrected[row - half] = own[row] + np.nanmean(values[known] - own[known], axis=0)
    return {
        f"{name}_lag7_wape": _wape(values[test:], lagged[test - 7 : end - 7]),
        f"{name}_median13_wape": _wape(values[test:], median),
        f"{name}_operator_wape_second_half_2018": _wape(values[half:test], operator),
        f"{name}_operator_corrected_wape_second_half_2018": _wape(values[half:test], corrected),
    }


def _one_day(areas: dict[str, Area]) -> float:
    """Return the seconds that the forecasts of one day take, with models and past errors at hand."""
    parameters = ForecastParameters()
    seconds = 0.0
    for area in areas.values():
        for lead in LEADS:
            target = area.series.row(TEST + timedelta(days=40))
            first = target - 150
            rolled = roll(
                area.series, design(area.series, area.calendar, lead, 0, target), first, target, parameters.ridge
            )
            began = time.perf_counter()
            designed = design(area.series, area.calendar, lead, first, target, features_from=target)
            forecasts(area.series, area.calendar, designed, rolled, parameters)
            seconds += time.perf_counter() - began
    return seconds


def _wape(values: Float64Array, forecast: Float64Array) -> float:
    both = np.isfinite(values) & np.isfinite(forecast)
    return _percent(float(np.abs(values - forecast)[both].sum() / values[both].sum()))


def _percent(share: float | None) -> float:
    return round(100 * share, 2) if share is not None else float("nan")
