"""Forecasts of load as assets: features, models, what is issued, the backtest and its scores.

Belongs here: thin assets, their checks and metadata. Does not belong here: what is computed (``analytics/``).
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg

from metrify_assets.analytics.forecast.features import DAY_AHEAD, LEADS
from metrify_assets.analytics.forecast.scores import TOO_GOOD
from metrify_assets.analytics.forecast_tables import (
    ALL,
    compute_backtest,
    compute_features,
    compute_forecast,
    compute_model,
    compute_scores,
    fans,
    is_blind_to_the_future,
)
from metrify_assets.errors import ForecastError
from metrify_assets.orchestration.assets.common import (
    ANALYTICS_OWNERS,
    final_failure,
    retry_policy,
    svg_image,
    table_metadata,
)
from metrify_assets.orchestration.checks.results import audit_results, check_specs
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import Audit, AuditError
from metrify_assets.schemas.forecast import (
    FORECAST,
    FORECAST_BACKTEST,
    FORECAST_FEATURES,
    FORECAST_MODEL,
    FORECAST_MODEL_TRIALS,
    FORECAST_SCORES,
)
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest

GROUP = "forecast"
REFUSED = (ForecastError, AuditError)
"""Trying again would find the same."""
CORRUPTED_FUTURE = "corrupted_future"
BEATS_WEEK_BEFORE = "beats_the_week_before"
NOT_WORSE = "not_worse_than_the_model_before"
NONE_MISSING = "no_forecast_missing"
COVERAGE = "coverage"
TOO_GOOD_TO_BE_TRUE = "too_good_to_be_true"

WORSE_BY = 1.05
"""Error of this week's models / that of the week before, on the same days, from which a warning is due."""
COVERED = (0.75, 0.85)
"""Share of the load between P10 and P90 that is in order over the whole backtest; nominal is 0.8."""
COVERED_IN_MONTH = 0.7


def forecast_assets(days: dg.PartitionsDefinition, weeks: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return the assets of forecasts."""
    return [_features(days), _model(weeks), _issued(days), _backtest(), _scores()]


def forecast_weeks(first_day: date, timezone: str) -> dg.WeeklyPartitionsDefinition:
    """Return one partition per week, named by its Monday, the running week among them."""
    return dg.WeeklyPartitionsDefinition(
        start_date=first_day.isoformat(), timezone=timezone, fmt="%Y-%m-%d", day_offset=1, end_offset=1
    )


def _features(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = dg.AssetCheckSpec(
        CORRUPTED_FUTURE,
        asset=FORECAST_FEATURES.name,
        partitions_def=days,
        blocking=True,
        description="The features stay bit by bit when everything after the time of issue is replaced by nonsense. If "
        "it fails, the forecast sees what it cannot know: report the day.",
    )

    @_asset(FORECAST_FEATURES, deps=[CLEAN_GRID_STATUS.name], partitions_def=days, further_checks=[spec])
    def forecast_features(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        day = date.fromisoformat(context.partition_key)
        with final_failure(*REFUSED):
            manifest, loads = compute_features(platform, day)
        blind, compared = is_blind_to_the_future(platform, day)
        check = dg.AssetCheckResult(check_name=CORRUPTED_FUTURE, passed=blind, metadata={"features_compared": compared})
        return _result(manifest, {"areas": ", ".join(load.area for load in loads)}, [check])

    return forecast_features


def _model(weeks: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    specs = [
        dg.AssetCheckSpec(
            NOT_WORSE,
            asset=FORECAST_MODEL.name,
            partitions_def=weeks,
            description="On the last 28 days, models of their own week erred no more than 5 % more than those of the "
            "week before, each on days that it had not seen. If it warns, look what changed in the load.",
        ),
        dg.AssetCheckSpec(
            BEATS_WEEK_BEFORE,
            asset=FORECAST_MODEL.name,
            partitions_def=weeks,
            description="On the last 28 days forecasts erred less than the same local slot a week earlier. If it "
            "warns, look at the load; from a tenth behind similar days on, those are issued instead.",
        ),
    ]

    @_asset(
        FORECAST_MODEL,
        # The days before its Monday; older ones are found by digests.
        deps=[
            dg.AssetDep(
                CLEAN_GRID_STATUS.name,
                partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1),
            )
        ],
        partitions_def=weeks,
        further_checks=specs,
    )
    def forecast_model(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        week = date.fromisoformat(context.partition_key)
        with final_failure(*REFUSED):
            manifest = compute_model(platform, week)
        models: dict[str, dict[str, Any]] = manifest.shards[0].numbers["models"]
        metadata: dict[str, Any] = {"trials": f"{FORECAST_MODEL_TRIALS.name}: {FORECAST_MODEL_TRIALS.description}"}
        worse, behind = [], []
        for name, numbers in models.items():
            for measure in ("wape", "coverage", "pinball", "mase"):
                if numbers[measure] is not None:
                    metadata[f"{measure}/{name}"] = numbers[measure]
            metadata[f"training_days/{name}"] = numbers["training_days"]
            ours, before = numbers["raw_wape"], numbers["wape_of_model_before"]
            if ours is not None and before is not None and ours > WORSE_BY * before:
                worse.append(f"{name}: WAPE {ours:.4f}, before {before:.4f}")
            if numbers["mase"] is not None and numbers["mase"] >= 1:
                behind.append(f"{name}: error / that of the week before {numbers['mase']:.2f}")
        return _result(manifest, metadata, [_warning(NOT_WORSE, worse), _warning(BEATS_WEEK_BEFORE, behind)])

    return forecast_model


def _issued(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = dg.AssetCheckSpec(
        NONE_MISSING,
        asset=FORECAST.name,
        partitions_def=days,
        description="Every interval of every control area with a load has a forecast, for both lead times. If it "
        "fails, look whether the load arrives before 08:00.",
    )

    @_asset(
        FORECAST,
        deps=[FORECAST_FEATURES.name, FORECAST_MODEL.name, CLEAN_GRID_STATUS.name],
        partitions_def=days,
        further_checks=[spec],
    )
    def forecast(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        day = date.fromisoformat(context.partition_key)
        with final_failure(*REFUSED):
            manifest, is_new = compute_forecast(platform, day)
        if not is_new:
            context.log.info(f"forecasts of {day} were issued before: they stay")
        methods: dict[str, int] = manifest.shards[0].numbers["methods"]
        metadata: dict[str, Any] = {f"method/{name}": count for name, count in methods.items()}
        metadata["areas"] = ", ".join(manifest.shards[0].numbers["areas"])
        metadata["lead_days"] = ", ".join(map(str, LEADS))
        metadata["fan"] = dg.MetadataValue.md(
            "\n\n".join(svg_image("forecast", picture) for picture in fans(platform, manifest, day))
        )
        missing = methods["none"]
        check = dg.AssetCheckResult(
            check_name=NONE_MISSING, passed=missing == 0, metadata={"intervals": manifest.rows, "missing": missing}
        )
        return _result(manifest, metadata, [check])

    return forecast


def _backtest() -> dg.AssetsDefinition:
    @_asset(FORECAST_BACKTEST, deps=[CLEAN_GRID_STATUS.name])
    def forecast_backtest(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with final_failure(*REFUSED):
            manifest = compute_backtest(platform)
        return _result(manifest, {}, [])

    return forecast_backtest


def _scores() -> dg.AssetsDefinition:
    specs = [
        dg.AssetCheckSpec(
            BEATS_WEEK_BEFORE,
            asset=FORECAST_SCORES.name,
            description="Over the backtest forecasts err less than the same local slot a week earlier.",
        ),
        dg.AssetCheckSpec(
            COVERAGE,
            asset=FORECAST_SCORES.name,
            description="Between P10 and P90 lie 75 to 85 % of the load, a day ahead, and 70 % in each month.",
        ),
        dg.AssetCheckSpec(
            TOO_GOOD_TO_BE_TRUE,
            asset=FORECAST_SCORES.name,
            description="No WAPE of a day ahead lies below 1 %. If it warns, look for a value that was known "
            "too early.",
        ),
    ]

    @_asset(FORECAST_SCORES, deps=[FORECAST_BACKTEST.name], further_checks=specs)
    def forecast_scores(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with final_failure(*REFUSED):
            manifest = compute_scores(platform)
        rows = platform.lake.read(manifest, FORECAST_SCORES.arrow).to_pylist()
        metadata = {
            f"{measure}/{row['control_area']}/{row['lead_days']}": row[measure]
            for row in rows
            if row["month"] == ALL
            for measure in ("wape", "operator_wape", "mase", "pinball", "coverage")
            if row[measure] is not None
        }
        return _result(manifest, metadata, score_checks(rows))

    return forecast_scores


def score_checks(rows: list[dict[str, Any]]) -> list[dg.AssetCheckResult]:
    """Return the checks of scores, rows of ``forecast_scores``."""
    behind, uncovered, too_good = [], [], []
    for row in rows:
        name = f"{row['control_area']}, {row['lead_days']} days ahead, {row['month']}"
        day_ahead, whole, covered = row["lead_days"] == DAY_AHEAD, row["month"] == ALL, row["coverage"]
        if whole and row["mase"] is not None and row["mase"] >= 1:
            behind.append(f"{name}: error / that of the week before {row['mase']:.2f}")
        if day_ahead and covered is not None:
            low, high = COVERED if whole else (COVERED_IN_MONTH, 1.0)
            if not low <= covered <= high:
                uncovered.append(f"{name}: {covered:.1%}")
        if day_ahead and whole and row["wape"] is not None and row["wape"] < TOO_GOOD:
            too_good.append(f"{name}: WAPE {row['wape']:.2%}")
    return [
        _warning(BEATS_WEEK_BEFORE, behind),
        _warning(COVERAGE, uncovered),
        _warning(TOO_GOOD_TO_BE_TRUE, too_good),
    ]


def _asset(
    table: Table, *, further_checks: Sequence[dg.AssetCheckSpec] = (), **further: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        name=table.name,
        group_name=GROUP,
        owners=ANALYTICS_OWNERS,
        kinds={"parquet"},
        description=table.description,
        metadata=table_metadata(table),
        check_specs=[*check_specs(table, days=further.get("partitions_def")), *further_checks],
        retry_policy=retry_policy(),
        **further,
    )
    return decorator


def _result(
    manifest: Manifest, metadata: dict[str, Any], checks: list[dg.AssetCheckResult]
) -> dg.MaterializeResult[Any]:
    verdict = Audit.merged(Audit.from_numbers(shard.numbers["audit"]) for shard in manifest.shards.values())
    return dg.MaterializeResult(
        metadata={"dagster/row_count": manifest.rows, **metadata},
        data_version=dg.DataVersion(manifest.digest),
        check_results=[*audit_results(verdict), *checks],
    )


def _warning(name: str, examples: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not examples,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"cases": len(examples), "examples": dg.MetadataValue.md("\n".join(f"- {line}" for line in examples))},
    )
