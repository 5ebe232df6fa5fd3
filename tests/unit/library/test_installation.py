"""The tables of an installation as DataFrames: some days and columns of them, read-only, while days are replaced."""

from __future__ import annotations

import os
import threading
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import metrify_assets as metrify
from metrify_assets.errors import DamagedFileError, InstallationError
from metrify_assets.storage.lake import Lake
from tests.small_marts import small_marts
from tests.workbench import IMPORT, Workbench, flat, points_file, reads, workbench

DAYS = [date(2026, 3, 28) + timedelta(number) for number in range(3)]
NAMES = ["A", "B"]


def landed(folder: Path) -> Workbench:
    """Return three days of two points, the one with 23 hours among them; a gap, and two rows that cannot be read."""
    bench = workbench(folder, shards=3)
    bench.land(
        "registry_points", "points.csv", points_file([{"point_id": "A"}, {"point_id": "B", "valid_to": DAYS[2]}])
    )
    bench.land("plain", "a.csv", reads(NAMES, DAYS, lambda p, d, s: None if (p, s) == ("A", 5) else flat(0.5)(p, d, s)))
    bench.land("adding", "b.csv", f"point,start,kwh\nA,{DAYS[0]}T10:00:00Z,much\nA,soon,1\n".encode())
    bench.settle()
    return bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Workbench:
    return landed(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def lake(bench) -> metrify.library.installation.Installation:
    return metrify.open(bench.platform.settings.root)


def test_clean_readings_are_those_of_the_lake(bench, lake):
    frame = lake.clean_readings()
    assert isinstance(frame, pd.DataFrame)
    rows = [row for day in DAYS for row in bench.clean(day).to_pylist()]
    assert len(frame) == len(rows) == 24 + 23 + 24 + 24 + 23
    assert frame["value_kwh"].tolist() == [float(row["value_kwh"]) for row in rows]
    assert frame["method"].tolist().count("linear") == 3
    assert str(frame["interval_start"].dt.tz) == "UTC"
    assert lake.arrow("clean_readings").to_pylist() == rows


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, DAYS),
        ("2026-03-29", DAYS[1:2]),
        (DAYS[1], DAYS[1:2]),
        (pd.Timestamp("2026-03-29"), DAYS[1:2]),
        (np.datetime64("2026-03-29"), DAYS[1:2]),
        (("2026-03-29", "2026-04-30"), DAYS[1:]),
        ([DAYS[0], DAYS[1]], DAYS[:2]),
        ("2026-01-01", []),
    ],
)
def test_days_and_columns_choose_what_is_read(lake, days, expected):
    for name in ("clean_readings", "validated_readings", "raw_readings"):
        frame = lake.read(name, days=days, columns=["day", "point_id"])
        assert list(frame.columns) == ["day", "point_id"]
        assert sorted(frame["day"].dt.date.unique()) == expected


def test_only_the_files_of_the_days_that_are_asked_for_are_opened(lake, monkeypatch):
    opened = []
    read_rows = Lake.read_rows
    monkeypatch.setattr(Lake, "read_rows", lambda *args: opened.append(args[1].file) or read_rows(*args))
    lake.clean_readings(days="2026-03-29", columns=["value_kwh"])
    assert opened
    assert all("day=2026-03-29" in file for file in opened)
    by_day = lake.by_day("clean_readings")
    opened.clear()
    first, frame = next(by_day)
    assert (first, len(frame)) == (DAYS[0], 48)
    assert all("day=2026-03-28" in file for file in opened)


def test_raw_readings_and_the_quarantine_hold_what_was_delivered(lake):
    assert len(lake.raw_readings()) == 2 * (24 + 23 + 24) - 3
    refused = lake.quarantine()
    assert sorted(refused["reason"]) == ["bad_number", "bad_timestamp"]
    assert refused["payload"].str.contains("much").sum() == 1
    assert lake.quarantine(days="2026-03-28")["reason"].tolist() == ["bad_number"]


def test_a_withdrawn_file_is_no_longer_read(tmp_path):
    bench = landed(tmp_path)
    bench.platform.ledger.withdraw(next(bench.platform.ledger.view().drops_of("raw_readings", DAYS[0])), "wrong")
    assert len(metrify.open(bench.platform.settings.root).raw_readings()) == 0


def test_registries_hold_their_entries_or_those_of_some_days(lake):
    points = lake.registry("points")
    assert points["point_id"].tolist() == NAMES
    assert lake.registry("points", days=DAYS[2])["point_id"].tolist() == ["A"]
    assert lake.registry("points", days=(DAYS[1], DAYS[2]), columns=["point_id"])["point_id"].tolist() == NAMES
    assert len(lake.registry("meters")) == 0


def test_the_registry_is_one_that_the_library_takes(lake):
    raw = lake.raw_readings(columns=["point_id", "interval_start", "value"])
    registry = lake.registry(columns=["point_id", "interval_minutes", "connection_kw"])
    clean = metrify.library.estimate(raw, registry, time="interval_start", value="value")
    both = clean.merge(lake.clean_readings(columns=["point_id", "interval_start", "value_kwh"]))
    assert len(both) > 100
    assert both["kwh"].tolist() == both["value_kwh"].tolist()


def test_tables_columns_and_days_are_listed(lake):
    assert {"clean_readings", "raw_readings", "quarantine", "points", "series_days"} <= set(lake.tables)
    assert "kWh" in lake.columns("clean_readings")["value_kwh"]
    assert lake.days() == DAYS
    assert lake.days("points") == []
    assert "tables" in repr(lake)


def test_what_is_not_there_is_named(lake):
    for question, match in [
        (lambda: lake.read("clean_reading"), "no table 'clean_reading': use one of raw_readings.*no mart is published"),
        (lambda: lake.clean_readings(columns=["kwh"]), "clean_readings has no column 'kwh': use point_id"),
        (lambda: lake.clean_readings(days="today"), "'today' is no day"),
        (lambda: lake.clean_readings(days=("2026-03-30", "2026-03-29")), "the first day comes after the last"),
        (lambda: lake.clean_readings(days=DAYS), "give one day, or a pair"),
        (lambda: lake.registry("clean_readings"), "no registry 'clean_readings'"),
        (lambda: lake.mart("clean_readings"), "clean_readings is no mart"),
    ]:
        with pytest.raises(InstallationError, match=match):
            question()


def test_where_no_installation_is_the_error_says_so(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InstallationError, match=r"there is no installation in .*: give the folder") as caught:
            metrify.open(root)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_around_and_the_environment_name_an_installation_too(bench, tmp_path, monkeypatch):
    root = bench.platform.settings.root
    (tmp_path / ".metrify").symlink_to(root, target_is_directory=True)
    assert metrify.open(str(tmp_path)).days() == DAYS
    monkeypatch.setenv("METRIFY_ROOT", str(root))
    assert metrify.open().days() == DAYS


def test_zone_and_shards_are_those_of_the_installation(bench, lake):
    settings = lake._platform.settings
    assert (settings.shards, settings.timezone) == (3, "Europe/Berlin")


def test_reading_writes_nothing(bench, lake):
    root = bench.platform.settings.root

    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}

    before = state()
    for table in lake.tables:
        lake.read(table)
    assert state() == before


def test_a_damaged_file_is_named(tmp_path):
    bench = landed(tmp_path)
    lake = metrify.open(bench.platform.settings.root)
    manifest = bench.platform.lake.manifest("clean_readings", DAYS[0])
    path = bench.platform.settings.root / manifest.files[0]
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DamagedFileError, match=r"metrify recompute 2026-03-28"):
        lake.clean_readings(days=DAYS[0])
    assert len(lake.clean_readings(days=DAYS[1])) == 46


def test_a_day_that_is_replaced_while_it_is_read_is_read_as_it_is_then(tmp_path, monkeypatch):
    """The files of the manifest that was read first are gone: another run has replaced the day twice meanwhile."""
    bench = landed(tmp_path)
    lake = metrify.open(bench.platform.settings.root)
    stale = bench.platform.lake.manifest("clean_readings", DAYS[0])
    bench.land("plain", "a.csv", reads(NAMES, DAYS, flat(0.75)))
    bench.settle()
    for file in stale.files:
        os.unlink(bench.platform.settings.root / file)
    manifests = [stale]
    current = Lake.manifest
    monkeypatch.setattr(Lake, "manifest", lambda *args: manifests.pop() if manifests else current(*args))
    assert lake.clean_readings(days=DAYS[0])["value_kwh"].min() == 0.75
    assert manifests == []


@pytest.mark.slow
def test_a_reader_meets_whole_days_while_the_platform_works(tmp_path):
    bench = landed(tmp_path)
    lake = metrify.open(bench.platform.settings.root)
    done = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(6):
                bench.land("plain", "a.csv", reads(NAMES, DAYS, lambda p, d, s, n=number: 1 + n + 0.001 * (s % 2)))
                bench.settle()
        except BaseException as problem:
            problems.append(problem)
            raise
        finally:
            done.set()

    worker = threading.Thread(target=work)
    worker.start()
    levels = set()
    while not done.is_set():
        for _, frame in lake.by_day("clean_readings"):
            of_point = frame.groupby("point_id", observed=True)["value_kwh"].agg(["min", "max"])
            assert (of_point["max"] - of_point["min"] <= 0.6).all()
            levels |= set(of_point["min"].round().tolist())
    worker.join()
    assert problems == []
    assert len(levels) > 1
    assert lake.clean_readings()["value_kwh"].min() == 6


# --- marts ------------------------------------------------------------------------------------------------------------

MART_DAYS = [date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)]


@pytest.fixture(scope="module")
def marts(tmp_path_factory) -> metrify.library.installation.Installation:
    plant = small_marts(tmp_path_factory.mktemp("marts") / "metrify")
    plant.build(
        {MART_DAYS[0]: {"A": "1.5", "B": "2.25"}, MART_DAYS[1]: {"A": "0.000001", "B": None}, MART_DAYS[2]: {"A": "3"}}
    )
    plant.publish()
    plant.platform.keep_format()
    return metrify.open(plant.platform.settings.root)


def test_marts_are_read_by_name_with_or_without_their_schema(marts):
    assert {"metrics.daily", "metrics.monthly", "marts.dim_points"} <= set(marts.tables)
    daily = marts.mart("daily")
    pd.testing.assert_frame_equal(daily, marts.mart("metrics.daily"))
    assert daily["energy_kwh"].tolist()[:3] == [1.5, 2.25, 0.000001]
    assert np.isnan(daily["energy_kwh"].tolist()[3])
    assert marts.arrow("daily").schema.field("energy_kwh").type == pa.decimal128(18, 6)
    assert marts.columns("daily")["energy_kwh"] == "Energy, kWh; null if unknown."


def test_marts_are_read_by_day_month_or_whole(marts):
    assert len(marts.mart("daily", days=MART_DAYS[1])) == 2
    assert marts.days("daily") == MART_DAYS
    # A month counts as soon as one of its days is asked for.
    assert marts.mart("monthly", days="2026-03-31")["month"].dt.date.unique().tolist() == [date(2026, 3, 1)]
    assert len(marts.mart("dim_points", columns=["point_id"]).columns) == 1
    assert [day for day, _ in marts.by_day("monthly")] == [date(2026, 3, 1), date(2026, 4, 1)]


def test_an_open_warehouse_stops_nobody_from_reading(tmp_path):
    plant = small_marts(tmp_path / "metrify")
    plant.build({MART_DAYS[0]: {"A": "1.5"}})
    plant.publish()
    plant.platform.keep_format()
    with plant.warehouse.connect():
        assert metrify.open(plant.platform.settings.root).mart("daily")["energy_kwh"].tolist() == [1.5]


def test_no_channel_is_lost(lake):
    assert lake.clean_readings(columns=["obis_code"])["obis_code"].unique().tolist() == [IMPORT]
