"""Power quality from the inbox to its clean table: registered channels, versions, units, verdicts, conservation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from metrify_assets.days.digests import Digests
from metrify_assets.days.power_quality import PowerQualityTally, compute_power_quality
from metrify_assets.landing.quarantine.files import quarantine_rows
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate
from tests.workbench import ARRIVED, Workbench, points_file

DAY = date(2026, 3, 10)
NIGHT = datetime(2026, 3, 9, 23, tzinfo=UTC)
"""First instant of the day."""
VOLTAGE, CURRENT, FACTOR, FREQUENCY = "1-0:32.7.0", "1-0:31.7.0", "1-0:13.7.0", "1-0:14.7.0"
HEADER = "point_id,timestamp_utc,obis_code,value,unit"


def line(minute: float, value: object, unit: str = "V", code: str = VOLTAGE, point: str = "A") -> str:
    return f"{point},{(NIGHT + timedelta(minutes=minute)).isoformat()},{code},{value},{unit}"


def deliver(bench: Workbench, *lines: str, name: str = "a.csv", later_days: int = 0):
    content = ("\n".join([HEADER, *lines]) + "\n").encode()
    return bench.land("power_quality", name, content, ARRIVED + timedelta(days=later_days)).drop


def register(bench: Workbench, *codes: str, point: str = "A", days: int = -1, **fields: object) -> None:
    rows = [{"point_id": point, "obis_code": code, "interval_minutes": 15, **fields} for code in codes]
    content = points_file([{"point_id": "E"}, *rows])
    bench.land("registry_points", "points.csv", content, ARRIVED + timedelta(days=days))


def compute(bench: Workbench, *, force: bool = False) -> tuple[list[dict], PowerQualityTally]:
    compute_power_quality(bench.platform, DAY, Digests(bench.platform), force=force)
    manifest = bench.platform.lake.manifest("clean_power_quality", DAY)
    names = PowerQualityTally().__dict__
    tally = PowerQualityTally(**{name: int(manifest.total("tally", name)) for name in names})
    assert tally.holds
    rows = bench.platform.lake.read(manifest, CLEAN_POWER_QUALITY.arrow).to_pylist()
    assert tally.current == len(rows) == manifest.rows
    return rows, tally


def cell(row: dict) -> tuple:
    return row["value"], row["status"], row["is_anomalous"]


@pytest.mark.parametrize(
    ("code", "unit", "value", "status", "is_anomalous"),
    [
        (VOLTAGE, "V", "230", "valid", False),
        (VOLTAGE, "V", "220", "valid", False),
        (VOLTAGE, "V", "219.999999", "valid", True),
        (VOLTAGE, "V", "200", "valid", True),
        (VOLTAGE, "V", "199.9", "out_of_range", True),
        (VOLTAGE, "V", "250", "valid", True),
        (VOLTAGE, "V", "250.1", "out_of_range", True),
        ("1-0:72.23.0", "V", "0", "out_of_range", True),
        (CURRENT, "A", "0", "valid", False),
        (CURRENT, "A", "80.5", "valid", True),
        (CURRENT, "A", "-0.1", "out_of_range", True),
        (FACTOR, "1", "0.8", "valid", False),
        (FACTOR, "1", "0.79", "valid", True),
        (FACTOR, "1", "1.01", "out_of_range", True),
        (FREQUENCY, "Hz", "49.8", "valid", False),
        (FREQUENCY, "Hz", "49.7", "valid", True),
        (FREQUENCY, "Hz", "49.4", "out_of_range", True),
    ],
)
def test_a_value_is_held_to_the_ranges_of_its_quantity(bench, code, unit, value, status, is_anomalous):
    register(bench, code)
    deliver(bench, line(0, value, unit, code))
    (row,), _ = compute(bench)
    assert cell(row) == (Decimal(value), status, is_anomalous)


def test_units_are_converted_exactly(bench):
    register(bench, VOLTAGE, CURRENT, FACTOR, FREQUENCY)
    deliver(
        bench,
        line(0, "0.2304", "kV"),
        line(15, "230400", "mV"),
        line(0, "5001", "mA", CURRENT),
        line(0, "97.5", "%", FACTOR),
        line(0, "49987", "mHz", FREQUENCY),
    )
    rows, _ = compute(bench)
    assert [(row["obis_code"], row["value"], row["unit"]) for row in rows] == [
        (FACTOR, Decimal("0.975"), "1"),
        (FREQUENCY, Decimal("49.987"), "Hz"),
        (CURRENT, Decimal("5.001"), "A"),
        (VOLTAGE, Decimal("230.4"), "V"),
        (VOLTAGE, Decimal("230.4"), "V"),
    ]


def test_a_row_says_what_was_measured_where_and_how(bench):
    register(bench, "1-0:52.3.0")
    deliver(bench, line(30, "228.5", code="1-0:52.3.0"))
    (row,), _ = compute(bench)
    assert row == {
        "point_id": "A",
        "obis_code": "1-0:52.3.0",
        "interval_start": NIGHT + timedelta(minutes=30),
        "interval_minutes": 15,
        "quantity": "voltage",
        "phase": "L2",
        "statistic": "minimum",
        "value": Decimal("228.5"),
        "unit": "V",
        "status": "valid",
        "is_anomalous": False,
        "version": 1,
        "received_at": ARRIVED,
        "day": DAY,
    }


def test_the_later_reception_wins_a_repetition_changes_nothing_and_a_blank_displaces_nothing(bench):
    register(bench, VOLTAGE)
    deliver(bench, line(0, 230), line(15, 231), line(30, 232), line(45, ""), name="a.csv")
    deliver(bench, line(0, 229), line(15, 231), line(30, ""), name="b.csv", later_days=1)
    rows, tally = compute(bench)
    assert [(row["value"], row["status"], row["version"]) for row in rows] == [
        (Decimal(229), "valid", 2),
        (Decimal(231), "valid", 1),
        (Decimal(232), "valid", 2),
        (None, "missing", 1),
    ]
    assert rows[0]["received_at"] == ARRIVED + timedelta(days=1)
    assert tally == PowerQualityTally(raw=7, current=4, identical=1, superseded=2, valid=3, missing=1)


def test_the_order_of_arrival_does_not_matter(tmp_path, bench):
    register(bench, VOLTAGE)
    deliver(bench, line(0, 229), name="b.csv", later_days=1)
    deliver(bench, line(0, 230), name="a.csv")
    (row,), _ = compute(bench)
    assert row["value"] == 229


def test_values_that_no_registry_names_wait_until_one_does(bench):
    register(bench, VOLTAGE)
    deliver(bench, line(0, 230), line(0, 231, code="1-0:52.7.0"), line(0, 229, point="B"))
    rows, tally = compute(bench)
    assert len(rows) == 1
    assert tally == PowerQualityTally(raw=3, unassigned=2, current=1, valid=1)
    assert Digests(bench.platform).dirty_days("clean_power_quality") == set()
    register(bench, VOLTAGE, "1-0:52.7.0", days=1)
    assert Digests(bench.platform).dirty_days("clean_power_quality") == {DAY}
    rows, tally = compute(bench)
    assert [row["value"] for row in rows] == [230, 231]
    assert tally == PowerQualityTally(raw=3, unassigned=1, current=2, valid=2)


def test_a_stamp_seconds_off_is_snapped_and_another_interval_fits_no_slot(bench):
    register(bench, VOLTAGE, CURRENT)
    deliver(bench, line(0.05, 230), line(7, 231), line(15, 232))
    register(bench, VOLTAGE, days=1)
    rows, tally = compute(bench)
    assert [(row["interval_start"], row["value"]) for row in rows] == [
        (NIGHT, 230),
        (NIGHT + timedelta(minutes=15), 232),
    ]
    assert tally.off_grid == 1


def test_a_day_that_is_computed_again_is_the_same_bytes(bench):
    register(bench, VOLTAGE)
    deliver(bench, line(0, 230))
    compute(bench)
    before = bench.platform.lake.manifest("clean_power_quality", DAY)
    compute(bench, force=True)
    assert bench.platform.lake.manifest("clean_power_quality", DAY).digest == before.digest


def test_what_does_not_measure_the_channel_is_quarantined_with_its_reason(bench):
    drop = deliver(
        bench,
        line(0, 230, "A"),
        line(0, 1.5, "kWh", "1-0:1.29.0"),
        line(0, 1.5, "V", "1-0:1.29.0"),
        line(0, 230, code=""),
        line(0, 230, point=""),
        line(0, "high"),
        line(0, 231),
    )
    rows = quarantine_rows(bench.platform.store, [drop]).to_pylist()
    assert [(row["row_number"], row["reason"]) for row in rows] == [
        (1, "wrong_unit"),
        (2, "unknown_unit"),
        (3, "unknown_channel"),
        (4, "missing_obis"),
        (5, "missing_point"),
        (6, "bad_number"),
    ]
    assert rows[0]["detail"] == "obis_code, unit: expected a unit that measures the channel, found '1-0:32.7.0 A'"
    assert drop.counts["delivered_values"] == 7 == drop.counts["raw_values"] + drop.counts["quarantined_values"]


def test_an_instantaneous_channel_is_no_series_of_energy(bench):
    register(bench, VOLTAGE, point="E")
    shards = range(bench.platform.settings.shards)
    registry = Digests(bench.platform).registry
    series = [registry.series(DAY, shard) for shard in shards]
    assert [code for table in series for code in table.obis_code] == ["1-0:1.29.0"]
    channels = [registry.power_quality_channels(DAY, shard) for shard in shards]
    assert {key: minutes for own in channels for key, minutes in own.items()} == {("E", VOLTAGE): 15}


def test_a_new_voltage_channel_leaves_the_days_of_energy_as_they_are(bench):
    register(bench)
    before = [Digests(bench.platform).registry.shard_digest(DAY, shard) for shard in range(2)]
    register(bench, VOLTAGE, point="E", days=1)
    assert [Digests(bench.platform).registry.shard_digest(DAY, shard) for shard in range(2)] == before


def test_a_day_without_power_quality_is_not_computed(bench):
    register(bench, VOLTAGE)
    digests = Digests(bench.platform)
    assert digests.dirty_days("clean_power_quality") == set()
    assert compute_power_quality(bench.platform, DAY, digests).manifest is None


def _files(folder: Path, suffixes: Iterable[str] = (".parquet",)) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


def test_rows_of_a_shard_are_written_in_the_order_of_the_key(bench):
    register(bench, CURRENT, VOLTAGE)
    deliver(bench, line(15, 1, "A", CURRENT), line(15, 231), line(0, 230), line(0, 2, "A", CURRENT))
    compute(bench)
    (path,) = (
        path
        for path in _files(bench.platform.settings.root / "lake" / "clean_power_quality")
        if pq.read_metadata(path).num_rows
    )
    table = pq.read_table(path, partitioning=None)
    keys = list(zip(table["obis_code"].to_pylist(), table["interval_start"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_what_the_simulator_labels_is_what_is_anomalous_and_nothing_else(bench):
    """Every injected slot is found, and nothing else is: the loss of a phase and undervoltage are out of range."""
    simulation = simulate(
        SimulationPlan(points=8, days=2, first_day=DAY, power_quality_points=5, power_quality_fault_rate=0.9)
    )
    for file in simulation.first:
        if file.feed in ("registry_points", "power_quality"):
            bench.land(file.feed, file.name, file.content, file.received_at)
    anomalous = {}
    for day in simulation.plan.delivery_days:
        compute_power_quality(bench.platform, day.day, Digests(bench.platform))
        manifest = bench.platform.lake.manifest("clean_power_quality", day.day)
        rows = bench.platform.lake.read(manifest, CLEAN_POWER_QUALITY.arrow).to_pylist()
        assert len(rows) == 5 * 11 * 96
        key = ("point_id", "obis_code", "interval_start")
        anomalous |= {tuple(row[name] for name in key): row["status"] for row in rows if row["is_anomalous"]}
    labels = simulation.power_quality_labels.to_pylist()
    labelled = {(row["point_id"], row["obis_code"], row["interval_start"]): row["kind"] for row in labels}
    assert anomalous.keys() == labelled.keys()
    assert set(labelled.values()) == {"undervoltage", "phase_loss", "low_power_factor"}
    assert {(labelled[key], status) for key, status in anomalous.items()} == {
        ("undervoltage", "out_of_range"),
        ("phase_loss", "out_of_range"),
        ("low_power_factor", "valid"),
    }
