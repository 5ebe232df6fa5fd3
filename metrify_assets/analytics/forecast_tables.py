"""The tables of forecasts: what is computed from which days, and what is kept.

Belongs here: reading loads, calling the forecast, and publishing rows with the digests that they follow from. Does not
belong here: the forecast itself (``forecast/``), and checks of assets (``orchestration/``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.analytics.fan import fan_svg
from metrify_assets.analytics.forecast.backtest import Rolled, fit_week, monday, roll
from metrify_assets.analytics.forecast.champion import (
    METHODS,
    MODEL,
    NONE,
    REASON_CODES,
    ForecastParameters,
    Forecasts,
    forecasts,
)
from metrify_assets.analytics.forecast.features import DAY_AHEAD, ISSUE_MINUTE, LEADS, NAMES, design
from metrify_assets.analytics.forecast.ridge import RidgeModel
from metrify_assets.analytics.forecast.scores import score
from metrify_assets.analytics.forecast.series import LoadSeries, instant_of, local_slots
from metrify_assets.analytics.grid_load import OPERATORS_FORECAST, AreaLoad, last_load_day, read_loads
from metrify_assets.errors import ForecastError
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import Audit, audit
from metrify_assets.schemas.forecast import (
    FORECAST,
    FORECAST_BACKTEST,
    FORECAST_FEATURES,
    FORECAST_MODEL,
    FORECAST_MODEL_TRIALS,
    FORECAST_SCORES,
)
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest
from metrify_assets.vee.arrays import Int64Array

PARAMETERS = ForecastParameters()
HISTORY_DAYS = 3 * 365
"""Days that a model may be fitted to."""
TRIAL_DAYS = 180
"""Past days whose errors corrections and intervals follow from."""
LOOKBACK_DAYS = 90
"""Days before the first of those that their features look back."""
OLDEST_MODEL_WEEKS = 4
BACKTEST_DAYS = 365
INTERCEPT = "intercept"
COMPARED_DAYS = 28
"""Last days of the trials on which a model is compared with the one before."""
ALL = "all"


def issue_instant(platform: Platform, day: date) -> int:
    """Return when forecasts of a day are issued, UTC microseconds; raise ``ForecastError`` if that is still to come."""
    issue = instant_of(day, ISSUE_MINUTE, platform.settings.timezone)
    if platform.clock.now() < issue:
        raise ForecastError(f"forecasts of {day} are issued at 08:00 local time of that day: run it after that")
    return issue


def compute_features(platform: Platform, day: date) -> tuple[Manifest, list[AreaLoad]]:
    """Publish the features of an issue day; return them with what they were made of."""
    loads = _loads_at(platform, day, day - timedelta(days=LOOKBACK_DAYS))
    columns: dict[str, list[Any]] = {name: [] for name in FORECAST_FEATURES.arrow.names}
    for load in loads:
        slots = load.series.slots
        for lead in LEADS:
            target = load.series.row(day) + lead
            features = design(load.series, load.calendar, lead, target, target).features[0]
            count = features.size
            columns["control_area"] += [load.area] * count
            columns["lead_days"] += [lead] * count
            columns["slot"] += np.repeat(np.arange(slots), len(NAMES)).tolist()
            columns["feature"] += list(NAMES) * slots
            columns["value"] += features.ravel().tolist()
            columns["day"] += [day] * count
    return _publish(platform, FORECAST_FEATURES, day, columns, _inputs(loads), {}), loads


def compute_model(platform: Platform, week: date) -> Manifest:
    """Fit and publish the models of a week, with raw forecasts of the days before it.

    Raises
    ------
    ForecastError
        If the week has not begun, or too little had arrived by its Monday 08:00.
    """
    loads = _loads_at(platform, week, week - timedelta(days=HISTORY_DAYS))
    coefficients: dict[str, list[Any]] = {name: [] for name in FORECAST_MODEL.arrow.names}
    trials: dict[str, list[Any]] = {name: [] for name in FORECAST_MODEL_TRIALS.arrow.names}
    numbers: dict[str, Any] = {}
    for load in loads:
        for lead in LEADS:
            start = load.series.row(week)
            last = start + lead - 1
            first = max(start - TRIAL_DAYS, 0)
            designed = design(load.series, load.calendar, lead, 0, last)
            model = fit_week(load.series, designed, week, PARAMETERS.ridge)
            rolled = roll(load.series, designed, first, last, PARAMETERS.ridge)
            _add_trials(trials, load, lead, rolled, week)
            issued = forecasts(load.series, load.calendar, designed, rolled, PARAMETERS)
            numbers[f"{load.area}/{lead}"] = _trial_numbers(load, issued, rolled, model)
            if model is not None:
                _add_model(coefficients, load.area, lead, model, week)
    if not coefficients["slot"]:
        arrived = max(int(np.isfinite(load.series.values).any(axis=1).sum()) for load in loads)
        raise ForecastError(
            f"no model of the week of {week}: {arrived} days of load had arrived by its Monday 08:00, "
            f"{PARAMETERS.ridge.least_days} days with all features are needed; past days are in forecast_backtest"
        )
    inputs = _inputs(loads)
    _publish(platform, FORECAST_MODEL_TRIALS, week, trials, inputs, {})
    return _publish(platform, FORECAST_MODEL, week, coefficients, inputs, {"models": numbers})


def compute_forecast(platform: Platform, day: date) -> tuple[Manifest, bool]:
    """Issue the forecasts of a day; return them, and whether they are new: what was issued is never overwritten.

    Raises
    ------
    ForecastError
        If it is too early, or nothing had arrived by the time of issue.
    """
    before = platform.lake.manifest(FORECAST.name, day)
    if before is not None:
        return before, False
    loads = _loads_at(platform, day, day - timedelta(days=TRIAL_DAYS + LOOKBACK_DAYS))
    weeks = [monday(day) - timedelta(weeks=back) for back in range(OLDEST_MODEL_WEEKS + 1)]
    manifests = ((week, platform.lake.manifest(FORECAST_MODEL.name, week)) for week in weeks)
    week, manifest = next(((week, found) for week, found in manifests if found is not None), (weeks[0], None))
    models = _read_models(platform, manifest)
    trials = _read_trials(platform, week) if manifest is not None else {}
    columns: dict[str, list[Any]] = {name: [] for name in FORECAST.arrow.names}
    for load in loads:
        for lead in LEADS:
            series = load.series
            target = series.row(day) + lead
            first = max(target - TRIAL_DAYS, 1)
            issued_since = max(series.row(week) + lead, first)
            designed = design(series, load.calendar, lead, first, target, features_from=issued_since)
            raw = np.full((target - first + 1, series.slots), np.nan)
            for trial_day, values in trials.get((load.area, lead), {}).items():
                position = series.row(trial_day) - first
                if 0 <= position < len(raw) and len(values) == series.slots:
                    raw[position] = values
            model = models.get((load.area, lead))
            if model is not None and model.intercept.shape == (series.slots,):
                rows_since = slice(issued_since - first, None)
                raw[rows_since] = model.predict(designed.features[rows_since])
            issued = forecasts(series, load.calendar, designed, Rolled(first, raw, raw), PARAMETERS)
            digest = model.digest if model is not None else None
            rows = _add_forecasts(columns, load, issued, [len(raw) - 1])
            columns["model_digest"] += [digest] * rows
            columns["day"] += [day] * rows
    if all(method == METHODS[NONE] for method in columns["method"]):
        raise ForecastError(
            f"nothing had arrived by 08:00 of {day} that a forecast follows from: past days are in forecast_backtest"
        )
    inputs = {**_inputs(loads), f"{FORECAST_MODEL.name}@{week}": manifest.digest if manifest else "none"}
    methods = {name: columns["method"].count(name) for name in METHODS}
    areas = sorted(set(columns["control_area"]))
    return _publish(platform, FORECAST, day, columns, inputs, {"methods": methods, "areas": areas}), True


def compute_backtest(platform: Platform, days: int = BACKTEST_DAYS) -> Manifest:
    """Publish the forecasts of the last ``days`` days as they would have been issued.

    A value counts as known once its interval has ended: history is often delivered later, in one piece.

    Raises
    ------
    ForecastError
        If there is no load.
    """
    last = last_load_day(platform)
    if last is None:
        raise ForecastError("there is no load in clean_grid_status: deliver grid status first")
    loads = read_loads(platform, last - timedelta(days=days + HISTORY_DAYS), last, last)
    if not loads:
        raise ForecastError("there is no load in clean_grid_status: deliver grid status with the metric load_mw")
    of_operators = read_loads(platform, last - timedelta(days=days), last, last, OPERATORS_FORECAST)
    operators = {load.area: load.series for load in of_operators}
    columns: dict[str, list[Any]] = {name: [] for name in FORECAST_BACKTEST.arrow.names}
    for load in loads:
        lagged = load.series.lagged()
        end = len(load.series.values) - 1
        for lead in LEADS:
            first = max(end - days + 1, lead + 1)
            # Intervals and corrections begin before the first day that is kept.
            begin = max(first - TRIAL_DAYS, lead + 1)
            designed = design(load.series, load.calendar, lead, 0, end)
            rolled = roll(load.series, designed, begin, end, PARAMETERS.ridge)
            issued = forecasts(load.series, load.calendar, designed, rolled, PARAMETERS)
            for row in range(first, end + 1):
                _add_forecasts(columns, load, issued, [row - begin])
                _, slots = _intervals(load, row)
                columns["actual"] += load.series.values[row, slots].tolist()
                week = lagged[row - 7, slots] if row >= 7 else np.full(len(slots), np.nan)
                columns["week_before"] += week.tolist()
                columns["operator"] += _on_slots(operators.get(load.area), load, row, slots)
                columns["target_day"] += [load.series.first + timedelta(days=row)] * len(slots)
    inputs = _inputs(loads) | {f"operator of {load.area}": load.digest for load in of_operators}
    return _publish(platform, FORECAST_BACKTEST, None, columns, inputs, {})


def compute_scores(platform: Platform) -> Manifest:
    """Score and publish the backtest.

    Raises
    ------
    ForecastError
        If there is no backtest.
    """
    manifest = platform.lake.manifest(FORECAST_BACKTEST.name, None)
    if manifest is None:
        raise ForecastError("there is no backtest: materialise forecast_backtest first")
    frame = platform.lake.read(manifest, FORECAST_BACKTEST.arrow).to_pandas()
    frame["month"] = frame["target_day"].map(lambda day: f"{day:%Y-%m}")
    columns: dict[str, list[Any]] = {name: [] for name in FORECAST_SCORES.arrow.names}
    for (area, lead), of_lead in frame.groupby(["control_area", "lead_days"], observed=True, sort=True):
        parts = [(ALL, of_lead), *of_lead.groupby("month", sort=True)]
        for month, part in parts:
            values = [part[name].to_numpy(float) for name in ("actual", "p50", "p10", "p90", "week_before")]
            result = asdict(score(*values))
            columns["control_area"].append(area)
            columns["lead_days"].append(lead)
            columns["month"].append(month)
            columns["compared"].append(result.pop("count"))
            for name, value in result.items():
                columns[name].append(value)
            theirs = score(values[0], part["operator"].to_numpy(float), *values[2:])
            columns["operator_wape"].append(theirs.wape if lead == DAY_AHEAD else None)
            columns["fallback_share"].append(float((part["method"] != METHODS[MODEL]).mean()))
    return _publish(platform, FORECAST_SCORES, None, columns, {FORECAST_BACKTEST.name: manifest.digest}, {})


def _loads_at(platform: Platform, day: date, first: date) -> list[AreaLoad]:
    """Return the loads from ``first`` to ``day`` with what had arrived by the time of issue."""
    issue = issue_instant(platform, day)
    loads = read_loads(platform, first, day, day + timedelta(days=max(LEADS)))
    if not loads:
        raise ForecastError(f"there is no load in clean_grid_status up to {day}: deliver grid status first")
    return [_arrived_by(load, issue) for load in loads]


def _arrived_by(load: AreaLoad, issue: int) -> AreaLoad:
    return replace(load, series=load.series.received_by(issue))


def _inputs(loads: Sequence[AreaLoad]) -> dict[str, str]:
    return {"parameters": PARAMETERS.digest, **{f"load of {load.area}": load.digest for load in loads}}


def _intervals(load: AreaLoad, row: int) -> tuple[Int64Array, Int64Array]:
    return local_slots(load.series.first + timedelta(days=row), load.series.minutes, load.series.zone)


def _on_slots(other: LoadSeries | None, load: AreaLoad, row: int, slots: Int64Array) -> list[float]:
    """Return another series on the slots of a load's day; NaN where it has none of that resolution."""
    own = other.row(load.series.first + timedelta(days=row)) if other is not None else -1
    if other is None or other.minutes != load.series.minutes or not 0 <= own < len(other.values):
        return [np.nan] * len(slots)
    values: list[float] = other.values[own, slots].tolist()
    return values


def _add_forecasts(columns: dict[str, list[Any]], load: AreaLoad, issued: Forecasts, positions: Sequence[int]) -> int:
    """Append the forecasts of some target days, interval by interval; return how many rows that are."""
    rows = 0
    for position in positions:
        row = issued.first + position
        starts, slots = _intervals(load, row)
        issue_day = load.series.first + timedelta(days=row - issued.lead)
        rows += len(starts)
        columns["control_area"] += [load.area] * len(starts)
        columns["source_id"] += [load.source_id] * len(starts)
        columns["lead_days"] += [issued.lead] * len(starts)
        columns["issued_at"] += [instant_of(issue_day, ISSUE_MINUTE, load.series.zone)] * len(starts)
        columns["interval_start"] += starts.tolist()
        columns["resolution_minutes"] += [load.series.minutes] * len(starts)
        for name in ("p10", "p50", "p90"):
            columns[name] += getattr(issued, name)[position, slots].tolist()
        columns["method"] += [METHODS[code] for code in issued.method[position, slots]]
        columns["reason"] += [REASON_CODES[code] for code in issued.reason[position, slots]]
    return rows


def _add_model(columns: dict[str, list[Any]], area: str, lead: int, model: RidgeModel, week: date) -> None:
    slots = len(model.intercept)
    names = (INTERCEPT, *model.names)
    count = slots * len(names)
    values = np.column_stack([model.intercept, model.coefficients])
    columns["control_area"] += [area] * count
    columns["lead_days"] += [lead] * count
    columns["slot"] += np.repeat(np.arange(slots), len(names)).tolist()
    columns["feature"] += list(names) * slots
    columns["coefficient"] += values.ravel().tolist()
    columns["first_day"] += [date.fromisoformat(model.first_day)] * count
    columns["last_day"] += [date.fromisoformat(model.last_day)] * count
    columns["model_digest"] += [model.digest] * count
    columns["day"] += [week] * count


def _add_trials(columns: dict[str, list[Any]], load: AreaLoad, lead: int, rolled: Rolled, week: date) -> None:
    days, slots = rolled.raw.shape
    targets = [load.series.first + timedelta(days=rolled.first + number) for number in range(days)]
    columns["control_area"] += [load.area] * (days * slots)
    columns["lead_days"] += [lead] * (days * slots)
    columns["target_day"] += [target for target in targets for _ in range(slots)]
    columns["slot"] += list(range(slots)) * days
    columns["raw"] += rolled.raw.ravel().tolist()
    columns["day"] += [week] * (days * slots)


def _trial_numbers(load: AreaLoad, issued: Forecasts, rolled: Rolled, model: RidgeModel | None) -> dict[str, Any]:
    """Return how the last days went: by these models, by those of a week before, by the week before."""
    end = len(load.series.values)
    first = max(end - COMPARED_DAYS, rolled.first, 7)
    rows = slice(first - rolled.first, end - rolled.first)
    values, week = load.series.values[first:end], load.series.lagged()[first - 7 : end - 7]
    whole = score(values, issued.p50[rows], issued.p10[rows], issued.p90[rows], week)
    nothing = np.full(values.shape, np.nan)
    both = np.isfinite(rolled.raw[rows]) & np.isfinite(rolled.stale[rows])
    raw, stale = (np.where(both, side[rows], np.nan) for side in (rolled.raw, rolled.stale))
    return {
        **asdict(whole),
        "raw_wape": score(values, raw, nothing, nothing, week).wape,
        "wape_of_model_before": score(values, stale, nothing, nothing, week).wape,
        "training_days": model.days if model is not None else 0,
    }


def _read_models(platform: Platform, manifest: Manifest | None) -> dict[tuple[str, int], RidgeModel]:
    if manifest is None:
        return {}
    models = {}
    frame = platform.lake.read(manifest, FORECAST_MODEL.arrow).to_pandas()
    for (area, lead), part in frame.groupby(["control_area", "lead_days"], observed=True):
        wide = part.pivot(index="slot", columns="feature", values="coefficient").sort_index()
        if {INTERCEPT, *NAMES} != set(wide.columns):
            # Features of another release: this model cannot be used with those of today.
            continue
        window = part.iloc[0]
        models[(area, int(lead))] = RidgeModel(
            NAMES,
            wide[INTERCEPT].to_numpy(float),
            wide[list(NAMES)].to_numpy(float),
            window["first_day"].isoformat(),
            window["last_day"].isoformat(),
            (window["last_day"] - window["first_day"]).days + 1,
        )
    return models


def _read_trials(platform: Platform, week: date) -> dict[tuple[str, int], dict[date, np.ndarray]]:
    manifest = platform.lake.manifest(FORECAST_MODEL_TRIALS.name, week)
    frame = platform.lake.read(manifest, FORECAST_MODEL_TRIALS.arrow).to_pandas()
    trials: dict[tuple[str, int], dict[date, np.ndarray]] = {}
    for (area, lead, target), part in frame.groupby(["control_area", "lead_days", "target_day"], observed=True):
        trials.setdefault((area, int(lead)), {})[target] = part.sort_values("slot")["raw"].to_numpy(float)
    return trials


def _publish(
    platform: Platform,
    table: Table,
    day: date | None,
    columns: Mapping[str, list[Any]],
    inputs: Mapping[str, str],
    numbers: Mapping[str, Any],
) -> Manifest:
    """Audit rows and make them the day of a table, or the table."""
    arrays = [_array(columns[field.name], field) for field in table.arrow]
    rows = pa.table(arrays, schema=table.arrow)
    verdict = audit(table, rows) if rows.num_rows else Audit()
    verdict.require_structure(f"{table.name} of {day}" if day else table.name)
    noted = {**numbers, "audit": verdict.as_numbers()}
    shard = platform.lake.write_shard(table.name, day, 0, rows, inputs=inputs, numbers=noted)
    return platform.lake.publish(table.name, day, {0: shard})


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_floating(field.type):
        return pa.array(np.array(values, dtype=float), field.type, from_pandas=True)
    return pa.array(values, field.type)


def is_blind_to_the_future(platform: Platform, day: date) -> tuple[bool, int]:
    """Return whether the features of an issue day stay when all that came after it is scrambled, and their number.

    Looked at is what lies in the lake by now, with nonsense in every interval that had not ended at the time of issue.
    """
    loads = read_loads(platform, day - timedelta(days=LOOKBACK_DAYS), day + timedelta(days=7), day + timedelta(days=7))
    blind, compared = True, 0
    for load in loads:
        issue = load.series.row(day)
        slots = np.arange(load.series.slots)
        row = np.arange(len(load.series.values))[:, None]
        after = (row > issue) | ((row == issue) & (slots >= ISSUE_MINUTE // load.series.minutes))
        nonsense = np.random.default_rng(issue).uniform(-1e6, 1e6, after.shape)
        scrambled = replace(load.series, values=np.where(after, nonsense, load.series.values))
        for lead in LEADS:
            ours, theirs = (
                design(series, load.calendar, lead, issue + lead, issue + lead).features
                for series in (load.series, scrambled)
            )
            blind &= np.array_equal(ours, theirs, equal_nan=True)
            compared += ours.size
    return blind, compared


def fans(platform: Platform, manifest: Manifest, day: date) -> list[str]:
    """Return pictures of what was issued for the next day, one per control area, beside the load of a week before."""
    frame = platform.lake.read(manifest, FORECAST.arrow).to_pandas()
    target = day + timedelta(days=DAY_AHEAD)
    week_day = target - timedelta(days=7)
    weeks = {load.area: load.series for load in read_loads(platform, week_day, week_day, week_day)}
    pictures = []
    for area, part in frame[frame["lead_days"] == DAY_AHEAD].groupby("control_area", observed=True):
        of_area = part.sort_values("interval_start")
        ends = [of_area[name].to_numpy(float) for name in ("p10", "p50", "p90")]
        week = np.full(len(of_area), np.nan)
        minutes = int(of_area["resolution_minutes"].iloc[0])
        if area in weeks and weeks[area].minutes == minutes:
            _, slots = local_slots(target, minutes, platform.settings.timezone)
            week = weeks[area].lagged()[0, slots]
        title = f"{area}, {target}, issued {day} 08:00 ({DAY_AHEAD} day ahead)"
        pictures.append(fan_svg(title, ends[0], ends[1], ends[2], week))
    return pictures
