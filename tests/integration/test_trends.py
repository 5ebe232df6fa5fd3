"""What Dagster's pages plot over time, on a real instance: the numbers of days, never beside the totals of a range.

The pages draw every metadata entry that is a number: one line per name, of all events of an asset and of a check.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from metrify_assets.orchestration.automation.sensors import RANGE_END, RANGE_START
from tests.harness import Installation, installation
from tests.workbench import ARRIVED, points_file, reads, write_feeds

DAYS = [date(2026, 3, 9) + timedelta(days=offset) for offset in range(3)]
POINTS = ["A", "B"]
OF_A_DAY = 24 * len(POINTS)
# One value of the grid, five of the weather station: raw a row each, clean a row of the hour.
_ROWS_OF_A_DAY = {"raw_grid_status": (1,), "clean_grid_status": (1,), "raw_weather": (5,), "clean_weather": (1,)}
WEATHER = ("raw_weather", "clean_weather")
PARTITIONED = ("raw_readings", "raw_grid_status", "validated_readings", "clean_readings", "clean_grid_status", *WEATHER)


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Iterator[Installation]:
    """Two ranges of three days by the sensors, a range and a day of raw readings by hand."""
    root = tmp_path_factory.mktemp("trends")
    with installation(root, with_marts=False, shards=1, feeds_dir=write_feeds(root / "feeds")) as plant:
        plant.put("registry_points", points_file({"point_id": point} for point in POINTS), "points.csv")
        moment = ARRIVED.timestamp()
        plant.put("plain", reads(POINTS, DAYS), "all.csv", mtime=moment)
        grid = [f"{day}T10:00:00Z,DE,load_mw,{50_000 + day.day}" for day in DAYS]
        plant.put("grid_status", "\n".join(["timestamp_utc,control_area,metric,value", *grid, ""]).encode(), "g.csv")
        weather = [f"s1,{day}T10:00:00Z,{day.day / 2},80,3,100,1" for day in DAYS]
        head = "station_id,observed_at,temperature_c,humidity_pct,wind_speed_ms,global_radiation_wm2,cloud_cover_pct"
        plant.put("weather_stations_hourly", "\n".join([head, *weather, ""]).encode(), "w.csv")
        assert plant.settle() == ["ingest", "delivery_days"]
        plant.put("adding", reads(POINTS, DAYS, lambda *_: 0.75) + b"bad row\n", "more.csv", mtime=moment + 60)
        assert plant.settle() == ["ingest", "delivery_days"]
        raw = plant.defs.resolve_implicit_global_asset_job_def()
        selected = {"instance": plant.instance, "asset_selection": [dg.AssetKey("raw_readings")]}
        ends = {RANGE_START: str(DAYS[0]), RANGE_END: str(DAYS[-1])}
        assert raw.execute_in_process(tags=ends, **selected).success
        assert raw.execute_in_process(partition_key=str(DAYS[0]), **selected).success
        yield plant


def numbers(metadata: dict[str, Any]) -> dict[str, float]:
    """Return what the pages plot."""
    kinds = dg.IntMetadataValue | dg.FloatMetadataValue
    return {name: entry.value for name, entry in metadata.items() if isinstance(entry, kinds)}


def evaluations(plant: Installation) -> Iterator[tuple[str, str, str | None, dict[str, Any]]]:
    """Yield asset, check, partition and metadata of every evaluation."""
    for key in plant.defs.resolve_asset_graph().asset_check_keys:
        for record in plant.instance.event_log_storage.get_asset_check_execution_history(key, limit=500):
            evaluation = record.event.dagster_event.asset_check_evaluation_data if record.event else None
            if evaluation is not None:
                yield key.asset_key.to_user_string(), key.name, record.partition, evaluation.metadata


def materializations(plant: Installation, asset: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Return partition and metadata of every materialization of an asset."""
    records = plant.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000).records
    return [(record.partition_key, record.asset_materialization.metadata) for record in records]


def test_evaluations_carry_the_numbers_of_days_only(plant):
    of_days: dict[tuple[str, str], list[dict[str, float]]] = {}
    whole: dict[tuple[str, str], list[dict[str, float]]] = {}
    for asset, check, partition, metadata in evaluations(plant):
        if asset in PARTITIONED:
            (of_days if partition else whole).setdefault((asset, check), []).append(numbers(metadata))
    assert {("validated_readings", "conservation"), ("raw_readings", "structure")} <= whole.keys() & of_days.keys()
    for key, values in whole.items():
        # A run of one day files its results under no day, too.
        assert all(not value or value in of_days[key] for value in values), (key, values)


def test_the_conservation_of_a_day_is_of_that_day_alone(plant):
    counts = {
        (asset, partition, *(numbers(metadata)[name] for name in names))
        for asset, check, partition, metadata in evaluations(plant)
        for names in [("raw",) if asset == "validated_readings" else ("raw_values",)]
        if check == "conservation" and partition and asset in ("validated_readings", "raw_readings")
    }
    days = [str(day) for day in DAYS]
    # The second file brings a second version of every value; raw days are evaluated after it only.
    assert counts == {
        *(("validated_readings", day, count * OF_A_DAY) for day in days for count in (1, 2)),
        *(("raw_readings", day, 2 * OF_A_DAY) for day in days),
    }


def test_the_totals_of_a_range_can_be_read_as_text(plant):
    totals = [
        metadata["whole_range"].value
        for asset, check, partition, metadata in evaluations(plant)
        if (asset, check, partition) == ("validated_readings", "conservation", None)
    ]
    assert sorted(numbers["raw"] for numbers in totals) == [3 * OF_A_DAY, 6 * OF_A_DAY]
    assert {numbers["days"] for numbers in totals} == {"2026-03-09 to 2026-03-11"}


@pytest.mark.parametrize("asset", PARTITIONED)
def test_the_numbers_of_a_materialization_are_those_of_its_day(plant, asset):
    events = materializations(plant, asset)
    assert {partition for partition, _ in events} == {str(day) for day in DAYS}
    for _, metadata in events:
        assert "days" not in numbers(metadata)
        rows = numbers(metadata).get("dagster/row_count")
        assert rows in (None, *_ROWS_OF_A_DAY.get(asset, (OF_A_DAY, 2 * OF_A_DAY)))


def test_the_quarantine_counts_all_of_it_each_time(plant):
    # Two materializations at most: one bad row came, once.
    for _, metadata in materializations(plant, "quarantine"):
        assert numbers(metadata) == {"dagster/row_count": 1}
