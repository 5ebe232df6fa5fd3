"""Telling Dagster what the command line changed: without it the UI would show raw days as they were.

Belongs here: the raw days that differ between two views of the ledger, and their events outside of any run. Does not
belong here: making days dirty, which their digests do by themselves.
"""

from __future__ import annotations

from datetime import date

from metrify_assets.ledger import LedgerView
from metrify_assets.platform import Platform
from metrify_assets.tables.digests import SOURCE_OF


def changed_days(before: LedgerView, after: LedgerView) -> list[tuple[str, date]]:
    """Return the raw tables' days whose content differs, those that are gone included."""
    return [
        (table, date.fromisoformat(day))
        for table in sorted(SOURCE_OF.values())
        for day in sorted(before.raw_digests(table).keys() | after.raw_digests(table).keys())
        if before.day_digest(table, day) != after.day_digest(table, day)
    ]


def refused_differs(before: LedgerView, after: LedgerView) -> bool:
    """Return whether other rows are in the quarantine of what counts."""

    def refused(view: LedgerView) -> set[str]:
        return {drop.quarantine for drop in view.active.values() if drop.quarantine}

    return refused(before) != refused(after)


def announce(platform: Platform, before: LedgerView) -> list[tuple[str, date]]:
    """Log an event for every raw day, and for the quarantine, that changed since ``before``; return the days.

    An installation on which Dagster never ran has no history to write to.
    """
    after = platform.ledger.view()
    days = changed_days(before, after)
    others = refused_differs(before, after)
    if not (platform.settings.dagster_home / "dagster.yaml").exists() or not (days or others):
        return days
    import dagster as dg

    from metrify_assets.assets.raw import day_materialization, quarantine_numbers
    from metrify_assets.automation.jobs import RAW_TABLES
    from metrify_assets.home import open_instance
    from metrify_assets.schemas.readings import QUARANTINE
    from metrify_assets.tables.quarantine import quarantine_rows

    with open_instance(platform.settings) as instance:
        for table, day in days:
            instance.report_runless_asset_event(day_materialization(after, RAW_TABLES[table], day))
        if others:
            numbers = quarantine_numbers(quarantine_rows(platform, after.active.values()))
            instance.report_runless_asset_event(dg.AssetMaterialization(QUARANTINE.name, metadata=numbers))
    return days
