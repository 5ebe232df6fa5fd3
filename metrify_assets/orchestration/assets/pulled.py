"""Pulled sources: a day of the weather service, of OpenWeatherMap and of SMARD, landed and read.

Belongs here: thin assets over ``pull/``. Does not belong here: HTTP, file names, and reading what was fetched.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from metrify_assets.drops.ledger import Drop
from metrify_assets.orchestration.assets.common import OWNERS, final_failure
from metrify_assets.orchestration.checks.results import WHOLE_RANGE, span
from metrify_assets.orchestration.partitions import days_of
from metrify_assets.platform import Platform

DESCRIPTIONS = {
    "dwd": "Weather of the configured stations (DWD Climate Data Center), read into `raw_weather`; the zips as they "
    "came, and the lines of each day, are in `landing/`. Set METRIFY_DWD_STATIONS.",
    "smard": "Load and generation (SMARD.de), a week per series, read into `raw_grid_status`; the documents as "
    "they came are in `landing/`. Set METRIFY_SMARD_SERIES.",
    "openweathermap": "Hourly weather of the configured places (OpenWeatherMap), read into `raw_weather`; the "
    "documents as they came are in `landing/`. Set METRIFY_OPENWEATHERMAP_STATIONS and METRIFY_OPENWEATHERMAP_KEY.",
}


def asset_name(source: str) -> str:
    """Return the name of a source's asset."""
    return f"pulled_{source}"


def pulled_assets(days: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return one asset per source."""
    return [_pulled_asset(source, days) for source in DESCRIPTIONS]


def _pulled_asset(source: str, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=asset_name(source),
        group_name="sources",
        owners=OWNERS,
        kinds={"file"},
        description=DESCRIPTIONS[source],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="pull",
    )
    def pulled(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from metrify_assets.errors import PullError
        from metrify_assets.orchestration.automation.jobs import report_drops
        from metrify_assets.sources.http.client import HttpClient
        from metrify_assets.sources.http.run import pull_day

        client = HttpClient()
        days = days_of(context)
        counts: dict[date, dict[str, int]] = {}
        failed: list[str] = []
        drops: list[Drop] = []
        for day in days:
            with final_failure(PullError):
                fetched = pull_day(platform, source, day, client)
            counts[day] = {"landed": len(fetched.landed), "unchanged": len(fetched.unchanged)}
            drops += fetched.drops
            failed += [f"{day} {text}" for text in fetched.failed]
            context.log.info(f"{day}: {len(fetched.landed)} landed, {len(fetched.unchanged)} unchanged")
        report_drops(context, platform, drops)
        if failed:
            # What was landed stays; another run fetches the rest, for the client has tried often enough.
            raise dg.Failure(f"{len(failed)} were not pulled: {'; '.join(failed[:3])}", allow_retries=False)
        if len(days) == 1:
            yield dg.MaterializeResult(metadata=counts[days[0]])
            return
        yield dg.MaterializeResult(metadata={WHOLE_RANGE: span(days)})
        # After Dagster's own events of the range, so that each day's latest event carries the numbers of that day.
        for day in days:
            context.log_event(
                dg.AssetMaterialization(asset_name(source), partition=day.isoformat(), metadata=counts[day])
            )

    return pulled
