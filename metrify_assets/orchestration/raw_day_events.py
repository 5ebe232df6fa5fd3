"""Reporting to Dagster what the command line changed: without it the UI would show raw days as they were.

Belongs here: the raw days whose latest event in Dagster's history is not what they are, and events for them outside of
any run. It looks at the difference, not at what the command did, so what a killed command left unreported the
next one reports. Does not belong here: making days dirty, which their digests do by themselves.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from metrify_assets.days.digests import SOURCE_OF
from metrify_assets.drops.ledger import LedgerView
from metrify_assets.platform import Platform

if TYPE_CHECKING:
    import dagster as dg

DATA_VERSION = "dagster/data_version"
TableDay = tuple[str, date]


def changed_days(before: LedgerView, after: LedgerView) -> list[TableDay]:
    """Return the raw tables' days whose content differs, those that are gone included."""
    return [
        (table, date.fromisoformat(day))
        for table in sorted(SOURCE_OF.values())
        for day in sorted(before.raw_digests(table).keys() | after.raw_digests(table).keys())
        if before.day_digest(table, day) != after.day_digest(table, day)
    ]


def unreported_days(instance: dg.DagsterInstance, view: LedgerView) -> list[TableDay]:
    """Return the raw tables' days whose latest event carries another version than the day has."""
    from dagster import AssetKey, DagsterEventType

    unreported: list[TableDay] = []
    for table in sorted(SOURCE_OF.values()):
        reported = instance.event_log_storage.get_latest_tags_by_partition(
            AssetKey(table), DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION]
        )
        unreported += [
            (table, date.fromisoformat(day))
            for day in sorted(view.raw_digests(table).keys() | reported.keys())
            if reported.get(day, {}).get(DATA_VERSION) != view.day_digest(table, day)
        ]
    return unreported


def report_raw_day_events(platform: Platform) -> None:
    """Log an event for every raw day that is not as Dagster's history shows it, and one for the quarantine then.

    An installation on which Dagster never ran has no history to write to.
    """
    if not (platform.settings.dagster_home / "dagster.yaml").exists():
        return
    import dagster as dg

    from metrify_assets.landing.quarantine.files import quarantine_rows
    from metrify_assets.orchestration.assets.raw import day_materialization, quarantine_numbers
    from metrify_assets.orchestration.automation.jobs import RAW_TABLES
    from metrify_assets.orchestration.home import open_instance
    from metrify_assets.schemas.readings import QUARANTINE

    view = platform.ledger.view()
    with open_instance(platform.settings) as instance:
        days = unreported_days(instance, view)
        for table, day in days:
            instance.report_runless_asset_event(day_materialization(view, RAW_TABLES[table], day))
        if days:
            drops = list(view.active.values())
            numbers = quarantine_numbers(quarantine_rows(platform.store, drops), drops)
            instance.report_runless_asset_event(dg.AssetMaterialization(QUARANTINE.name, metadata=numbers))
