"""Validated and clean readings, clean grid status, weather and power quality: the assets by delivery day.

Belongs here: thin assets; each computes the days of its run through ``tables/``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from datetime import date
from typing import Any

import dagster as dg

from metrify_assets.days.clean import compute_clean
from metrify_assets.days.day import DayResult
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.days.power_quality import PowerQualityTally, compute_power_quality
from metrify_assets.days.validated import compute_validated
from metrify_assets.orchestration.assets.common import (
    OWNERS,
    Conservation,
    Numbers,
    materialise_days,
    retry_policy,
    table_metadata,
)
from metrify_assets.orchestration.checks.results import check_specs
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import remember
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS, VALIDATED_READINGS
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest
from metrify_assets.vee.codes import FLAG_NAMES, Status
from metrify_assets.vee.grid import Tally

VALIDATED_CONSERVATION = (
    "Raw interval values = current + identical redeliveries + superseded; current = measured + refused + off-grid + "
    "unassigned. If it fails, values were lost or counted twice: report the day."
)
CLEAN_CONSERVATION = (
    "Every validated slot is one clean slot: measured + validated + estimated + provisional + missing. If it fails, "
    "slots were lost or counted twice: report the day."
)
POWER_QUALITY_CONSERVATION = (
    "Raw values = unassigned + off-grid + current + identical redeliveries + superseded; current = valid + out of "
    "range + missing. If it fails, values were lost or counted twice: report the day."
)


def reading_assets(days: dg.PartitionsDefinition, freshness: dg.FreshnessPolicy) -> list[dg.AssetsDefinition]:
    """Return the assets from raw to clean."""
    return [
        _asset(
            VALIDATED_READINGS,
            days,
            group="validated",
            deps=["raw_readings", "points", "registers", "outages"],
            starter=_validated,
            numbers=_validated_numbers,
            conservation=_validated_conservation,
            conserves=VALIDATED_CONSERVATION,
        ),
        _asset(
            CLEAN_READINGS,
            days,
            group="clean",
            # History from 28 days back and the next day's edge are found by digests. A mapping that said so would make
            # a backfill of two days one of 31: Dagster adds every day that follows from one that was asked for.
            deps=["validated_readings"],
            starter=_clean,
            numbers=_clean_numbers,
            conservation=_clean_conservation,
            conserves=CLEAN_CONSERVATION,
            freshness=freshness,
        ),
        _asset(
            CLEAN_GRID_STATUS, days, group="clean", deps=["raw_grid_status"], starter=_grid, numbers=_status_numbers
        ),
        _asset(CLEAN_WEATHER, days, group="clean", deps=["raw_weather"], starter=_weather, numbers=_weather_numbers),
        _asset(
            CLEAN_POWER_QUALITY,
            days,
            group="clean",
            deps=["raw_power_quality", "points"],
            starter=_power_quality,
            numbers=_power_quality_numbers,
            conservation=_power_quality_conservation,
            conserves=POWER_QUALITY_CONSERVATION,
        ),
    ]


Compute = Callable[..., DayResult]


def _asset(
    table: Table,
    days: dg.PartitionsDefinition,
    *,
    group: str,
    deps: Sequence[Any],
    starter: Callable[[Platform], Compute],
    numbers: Numbers,
    conservation: Conservation | None = None,
    conserves: str = "",
    freshness: dg.FreshnessPolicy | None = None,
) -> dg.AssetsDefinition:
    @dg.asset(
        name=table.name,
        group_name=group,
        owners=OWNERS,
        kinds={"parquet"},
        deps=deps,
        description=table.description,
        metadata=table_metadata(table),
        partitions_def=days,
        freshness_policy=freshness,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(table, conservation=conserves, days=days),
        retry_policy=retry_policy(),
    )
    def by_day(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        yield from materialise_days(context, table, starter(platform), numbers, conservation)

    return by_day


def _validated(platform: Platform) -> Compute:
    remember(platform)
    digests = Digests(platform)

    def compute(day: date, *, force: bool) -> DayResult:
        return compute_validated(platform, day, digests, force=force)

    return compute


def _clean(platform: Platform) -> Compute:
    remember(platform)
    digests = Digests(platform)
    shards = clean_shards(digests)

    def compute(day: date, *, force: bool) -> DayResult:
        return compute_clean(platform, day, digests, shards, force=force)

    return compute


def _grid(platform: Platform) -> Compute:
    digests = Digests(platform)

    def compute(day: date, *, force: bool) -> DayResult:
        return compute_grid_status(platform, day, digests, force=force)

    return compute


def _weather(platform: Platform) -> Compute:
    digests = Digests(platform)

    def compute(day: date, *, force: bool) -> DayResult:
        return compute_weather(platform, day, digests, force=force)

    return compute


def _power_quality(platform: Platform) -> Compute:
    digests = Digests(platform)

    def compute(day: date, *, force: bool) -> DayResult:
        return compute_power_quality(platform, day, digests, force=force)

    return compute


TALLY = tuple(field.name for field in fields(Tally))


def _tally(manifest: Manifest) -> dict[str, int]:
    return {name: int(manifest.total("tally", name)) for name in TALLY}


def _validated_numbers(manifest: Manifest) -> dict[str, Any]:
    rules = {f"rule/{name}": int(manifest.total("rules", name)) for name in FLAG_NAMES.values()}
    examples = sorted({e for s in manifest.shards.values() for e in s.numbers.get("unassigned_examples", [])})
    return {
        **{f"values/{name}": count for name, count in _tally(manifest).items()},
        **rules,
        "points": int(manifest.total("points")),
        "register_reads": int(manifest.total("register_reads")),
        "rule_set": _rule_set(manifest),
        "unassigned_examples": ", ".join(examples[:5]),
    }


def _validated_conservation(manifest: Manifest) -> tuple[dict[str, int], bool]:
    tally = _tally(manifest)
    holds = (
        tally["raw"] == tally["current"] + tally["identical"] + tally["superseded"]
        and tally["current"] == tally["measured"] + tally["refused"] + tally["off_grid"] + tally["unassigned"]
        and tally["raw"] + tally["register_reads"] == int(manifest.total("raw_rows"))
    )
    return {**tally, "raw_rows": int(manifest.total("raw_rows"))}, holds


def _clean_numbers(manifest: Manifest) -> dict[str, Any]:
    status = {str(name): int(manifest.total("status", name)) for name in Status}
    slots = max(manifest.rows, 1)
    methods = {name for shard in manifest.shards.values() for name in shard.numbers.get("method", {})}
    return {
        **{f"slots/{name}": count for name, count in status.items()},
        **{f"method/{name}": int(manifest.total("method", name)) for name in sorted(methods)},
        "completeness": 1 - status["missing"] / slots,
        "estimated_share": status["estimated"] / slots,
        "energy_kwh": manifest.total("micro_kwh") / 1_000_000,
        "corrections": int(manifest.total("corrections", "slots")),
        "corrections_kwh": manifest.total("corrections", "micro_kwh") / 1_000_000,
        "rule_set": _rule_set(manifest),
    }


def _rule_set(manifest: Manifest) -> str:
    """Return the edition of the rule book that the day was computed by."""
    return ", ".join(sorted({shard.numbers.get("rule_set", "") for shard in manifest.shards.values()}))


def _clean_conservation(manifest: Manifest) -> tuple[dict[str, int], bool]:
    slots = sum(int(manifest.total("status", name)) for name in Status)
    validated = int(manifest.total("validated_slots"))
    counts = {"validated_slots": validated, "clean_slots": slots, "rows": manifest.rows}
    return counts, validated == slots == manifest.rows


def _status_numbers(manifest: Manifest) -> dict[str, Any]:
    names = ("measured", "implausible", "missing")
    return {"raw": int(manifest.total("raw"))} | {
        f"values/{name}": int(manifest.total("status", name)) for name in names
    }


def _weather_numbers(manifest: Manifest) -> dict[str, Any]:
    return {"raw": int(manifest.total("raw")), "stations": int(manifest.total("stations"))}


def _power_quality_tally(manifest: Manifest) -> PowerQualityTally:
    return PowerQualityTally(
        **{field.name: int(manifest.total("tally", field.name)) for field in fields(PowerQualityTally)}
    )


def _power_quality_numbers(manifest: Manifest) -> dict[str, Any]:
    examples = sorted({e for s in manifest.shards.values() for e in s.numbers.get("unassigned_examples", [])})
    return {
        **{f"values/{name}": count for name, count in asdict(_power_quality_tally(manifest)).items()},
        "unassigned_examples": ", ".join(examples[:5]),
    }


def _power_quality_conservation(manifest: Manifest) -> tuple[dict[str, int], bool]:
    tally = _power_quality_tally(manifest)
    return {**asdict(tally), "rows": manifest.rows}, tally.holds and tally.current == manifest.rows
