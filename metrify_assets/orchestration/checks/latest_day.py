"""Checks that the delivery day which ended last is computed and published.

Belongs here: these checks, the node of the asset graph that carries them, and the freshness policy beside them. Does
not belong here: when a day is computed (``automation/``).

Dagster's freshness policies ignore partitions: any materialisation, of a day years ago too, makes an asset fresh. The
checks have a node of their own, because a run of some assets evaluates every check of these assets, whatever its days.
"""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg

from metrify_assets.orchestration.assets.common import OWNERS
from metrify_assets.orchestration.assets.published import PUBLISHED_MARTS
from metrify_assets.platform import Platform
from metrify_assets.published.catalog import Catalog, read_catalog
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.storage.lake import Manifest
from metrify_assets.vee.codes import Status

LATEST_DAY = "latest_day"
COMPUTED, PUBLISHED = "computed", "published"
DEADLINE = "30 7 * * *"
"""An hour after the schedule `finished_day` asked for the day that has ended."""


def daily_freshness(timezone: str) -> dg.FreshnessPolicy:
    """Return the policy of an asset that grows by a day every morning."""
    return dg.FreshnessPolicy.cron(deadline_cron=DEADLINE, lower_bound_delta=timedelta(days=1), timezone=timezone)


def latest_day() -> dg.AssetSpec:
    """Return the node of the asset graph for the delivery day that ended last."""
    return dg.AssetSpec(
        LATEST_DAY,
        group_name="published",
        kinds={"parquet"},
        owners=OWNERS,
        deps=[CLEAN_READINGS.name, PUBLISHED_MARTS],
        description="The delivery day that ended last. Its checks look every morning at 07:30 whether it is computed "
        "and published. Nothing is stored here.",
    )


def latest_day_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks that the day which has ended is computed, and published."""

    @dg.asset_check(
        name=COMPUTED,
        asset=LATEST_DAY,
        description="The delivery day that ended last is in `clean_readings`. If it fails, see the runs of "
        "`delivery_days` that failed, and whether the schedule `finished_day` is switched on.",
    )
    def is_computed(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        day = platform.today - timedelta(days=1)
        return computed_result(day, platform.lake.manifest(CLEAN_READINGS.name, day))

    @dg.asset_check(
        name=PUBLISHED,
        asset=LATEST_DAY,
        description="The delivery day that ended last is in every mart by day that consumers see. If it fails, see "
        "the runs that failed, and run `metrify publish`.",
    )
    def is_published(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        return published_result(platform.today - timedelta(days=1), read_catalog(platform.store))

    return [is_computed, is_published]


def computed_result(day: date, manifest: Manifest | None) -> dg.AssetCheckResult:
    """Return whether a day is computed, and how many slots of each status it has."""
    slots = {f"{status} slots": int(manifest.total("status", status)) for status in Status} if manifest else {}
    return _result(COMPUTED, day, manifest is not None, {**slots})


def published_result(day: date, catalog: Catalog | None) -> dg.AssetCheckResult:
    """Return whether a day is in every published mart by day."""
    marts = [published for published in catalog.models.values() if published.model.period == "day"] if catalog else []
    absent = sorted(published.model.table for published in marts if day.isoformat() not in published.parts)
    return _result(PUBLISHED, day, bool(marts) and not absent, {"marts without it": ", ".join(absent)})


def _result(name: str, day: date, passed: bool, metadata: dict[str, int | str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{day} is {'there' if passed else 'not there'}.",
        metadata={"day": day.isoformat(), **metadata},
    )
