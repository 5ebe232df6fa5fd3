"""Pulled sources: a day of the weather service, of OpenWeatherMap and of SMARD, fetched into the inbox.

Belongs here: thin assets over ``pull/``. Does not belong here: HTTP, file names, and reading what was fetched.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from metrify_assets.assets.common import OWNERS
from metrify_assets.checks.results import WHOLE_RANGE, span
from metrify_assets.partitions import days_of
from metrify_assets.platform import Platform

DESCRIPTIONS = {
    "dwd": "Weather of the configured stations (DWD Climate Data Center), as files in `inbox/dwd_*/`; the zips as they "
    "came are in `landing/`. Set METRIFY_DWD_STATIONS.",
    "smard": "Load and generation (SMARD.de), a week per series as a file in `inbox/smard_chart/`. Set "
    "METRIFY_SMARD_SERIES.",
    "openweathermap": "Hourly weather of the configured places (OpenWeatherMap), a file per place and day in "
    "`inbox/openweathermap_history/`. Set METRIFY_OPENWEATHERMAP_STATIONS and METRIFY_OPENWEATHERMAP_KEY.",
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
    ) -> Iterator[dg.MaterializeResult]:
        from metrify_assets.errors import PullError
        from metrify_assets.pull.client import HttpClient
        from metrify_assets.pull.run import pull_day

        client = HttpClient()
        days = days_of(context)
        counts: dict[date, dict[str, int]] = {}
        failed: list[str] = []
        for day in days:
            try:
                found = pull_day(platform, source, day, client)
            except PullError as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            counts[day] = {"landed": len(found.landed), "unchanged": len(found.unchanged)}
            failed += [f"{day} {text}" for text in found.failed]
            context.log.info(f"{day}: {len(found.landed)} landed, {len(found.unchanged)} unchanged")
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
