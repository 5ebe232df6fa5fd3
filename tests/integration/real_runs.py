"""Runs over real files: registry rows, and the tables of a run in the units of ``independent.py``.

Belongs here: what the tests with real files share. Does not belong here: any expected number.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import dagster as dg

from metrify_assets.vee.codes import OUTLIERS
from tests.harness import Installation
from tests.integration.independent import Slot

IMPORT = "1-0:1.29.0"
POINT_COLUMNS = (
    "point_id",
    "obis_code",
    "interval_minutes",
    "valid_from",
    "valid_to",
    "connection_kw",
    "control_area",
    "latitude",
    "longitude",
)
TALLY = (
    "raw",
    "current",
    "identical",
    "superseded",
    "measured",
    "refused",
    "off_grid",
    "unassigned",
    "register_reads",
)


def put_points(metrify: Installation, *rows: dict) -> None:
    """Put a registry of points into the inbox; ``valid_to`` and whatever else is not given stays open."""
    lines = [",".join(str(row.get(column, "")) for column in POINT_COLUMNS) for row in rows]
    metrify.put("registry_points", "\n".join([",".join(POINT_COLUMNS), *lines, ""]).encode(), "points.csv")


def raw_table(metrify: Installation, table: str) -> str:
    """Return a raw table of the lake as a relation: every row that was ever read."""
    return f"read_parquet('{metrify.settings.lake}/{table}/*/*.parquet', hive_partitioning = false)"


def clean_slots(metrify: Installation, point: str, obis: str = IMPORT) -> dict[int, Slot]:
    """Return the clean slots of a series as the warehouse shows them."""
    rows = metrify.query(
        "select epoch_us(interval_start) // 1000000, value_kwh, status, method "
        f"from staging.stg_smart_meter_readings where point_id = '{point}' and obis_code = '{obis}'"
    )
    cleaned = {start: Slot(in_micro(value), status, method) for start, value, status, method in rows}
    assert len(cleaned) == len(rows)
    return cleaned


def outliers(metrify: Installation, point: str, obis: str = IMPORT) -> set[int]:
    """Return the starts of a series' values that the rules call outliers."""
    rows = metrify.query(
        "select epoch_us(interval_start) // 1000000 from staging.stg_smart_meter_readings "
        f"where point_id = '{point}' and obis_code = '{obis}' and flags & {int(OUTLIERS)} <> 0"
    )
    return {start for (start,) in rows}


def in_micro(value: Decimal | None) -> int | None:
    """Return the millionths of a DECIMAL(18,6)."""
    if value is None:
        return None
    scaled = value.scaleb(6)
    assert scaled == int(scaled)
    return int(scaled)


def tally(metrify: Installation) -> dict[str, int]:
    """Return the counts of the validation, over all days."""
    days = metrify.platform.lake.days("validated_readings").values()
    return {name: sum(int(day.total("tally", name)) for day in days) for name in TALLY}


def quarantined(metrify: Installation, feed: str) -> list[tuple]:
    """Return reason, row number, payload, value cells and day of what a feed's readers rejected."""
    folder = metrify.settings.lake / "quarantine" / feed
    if not folder.exists():
        return []
    return metrify.query(
        "select reason, row_number, payload, value_cells, day "
        f"from read_parquet('{folder}/*.parquet', hive_partitioning = false) order by row_number"
    )


def failed_checks(metrify: Installation) -> list[str]:
    """Return the asset checks that did not pass, by asset and name."""
    failures = []
    for key in metrify.defs.resolve_asset_graph().asset_check_keys:
        records = metrify.instance.event_log_storage.get_asset_check_execution_history(key, limit=10_000)
        for record in records:
            evaluation = record.evaluation
            # Of a range Dagster also keeps that the check was planned, without a day.
            if isinstance(evaluation, dg.AssetCheckEvaluation) and not evaluation.passed:
                failures.append(f"{key.to_user_string()} {evaluation.partition}: {evaluation.metadata}")
    return failures


def daily(metrify: Installation, point: str, obis: str = IMPORT) -> dict[date, tuple]:
    """Return the daily mart of a series: energy (micro-kWh), then expected, measured, estimated, missing slots."""
    rows = metrify.query(
        "select day, energy_kwh, expected_slots, measured_slots, estimated_slots, missing_slots "
        f"from metrics.daily_consumption_metrics where point_id = '{point}' and obis_code = '{obis}'"
    )
    return {day: (in_micro(energy), *slots) for day, energy, *slots in rows}


def hourly(metrify: Installation, point: str, obis: str = IMPORT) -> dict[int, tuple]:
    """Return the hourly mart of a series: energy (micro-kWh) and local hour by start of the hour."""
    rows = metrify.query(
        "select epoch_us(hour_start) // 1000000, energy_kwh, local_hour "
        f"from marts.fct_smart_meter_analytics where point_id = '{point}' and obis_code = '{obis}'"
    )
    return {start: (in_micro(energy), hour) for start, energy, hour in rows}
