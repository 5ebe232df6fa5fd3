from __future__ import annotations

from datetime import date, timedelta

import pytest

from metrify_assets.errors import LakeError
from metrify_assets.registry.registries import build_registry, stale_registries
from metrify_assets.schemas.registries import POINTS, WEATHER_STATIONS
from tests.workbench import ARRIVED, points_file

NEXT = ARRIVED + timedelta(days=1)


def points(bench) -> list[tuple]:
    manifest = bench.platform.lake.manifest("points", None)
    rows = bench.platform.lake.read(manifest, POINTS.arrow).to_pylist()
    return [(row["point_id"], row["connection_kw"], str(row["valid_from"])) for row in rows]


def test_a_registry_without_drops_is_not_stale_and_can_be_built_empty(bench):
    assert "points" not in stale_registries(bench.platform)
    rows, manifest = build_registry(bench.platform, "points")
    assert rows.num_rows == 0
    assert rows.schema == POINTS.arrow
    assert manifest.rows == 0
    assert "points" not in stale_registries(bench.platform)


def test_a_new_file_makes_it_stale_until_it_is_built(bench):
    bench.register("A")
    assert "points" not in stale_registries(bench.platform)
    bench.platform.ledger.withdraw(next(iter(bench.platform.ledger.view().active.values())), "wrong")
    assert "points" in stale_registries(bench.platform)
    rows, _ = build_registry(bench.platform, "points")
    assert rows.num_rows == 0
    assert "points" not in stale_registries(bench.platform)


def test_a_file_of_the_same_name_replaces_all_rows(bench):
    bench.register("A", "B")
    bench.register("B", "C", arrived=NEXT)
    assert [point for point, *_ in points(bench)] == ["B", "C"]


def test_among_files_the_row_received_last_counts(bench):
    bench.land("registry_points", "one.csv", points_file([{"point_id": "A", "connection_kw": 1}, {"point_id": "B"}]))
    bench.land("registry_points", "two.csv", points_file([{"point_id": "A", "connection_kw": 2}]), NEXT)
    assert points(bench) == [("A", 2, "2020-01-01"), ("B", 30, "2020-01-01")]


@pytest.mark.parametrize("kw", range(1, 6))
def test_of_files_received_at_the_same_moment_the_name_that_comes_later_counts(bench, kw):
    bench.land("registry_points", "two.csv", points_file([{"point_id": "A", "connection_kw": kw + 10}]))
    bench.land("registry_points", "one.csv", points_file([{"point_id": "A", "connection_kw": kw}]))
    assert points(bench) == [("A", kw + 10, "2020-01-01")]


def test_the_order_in_which_files_are_read_does_not_matter(bench):
    bench.land("registry_points", "two.csv", points_file([{"point_id": "A", "connection_kw": 2}]), NEXT)
    bench.land("registry_points", "one.csv", points_file([{"point_id": "A", "connection_kw": 1}]))
    assert points(bench) == [("A", 2, "2020-01-01")]


def test_rows_of_a_point_with_different_first_days_are_all_kept(bench):
    bench.register({"point_id": "A", "valid_to": "2026-03-01"}, {"point_id": "A", "valid_from": "2026-03-01"})
    assert [start for *_, start in points(bench)] == ["2020-01-01", "2026-03-01"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"point_id": ""}, "point_id: expected a value"),
        ({"point_id": "X", "obis_code": "  "}, "obis_code: expected a value"),
        ({"point_id": "X", "interval_minutes": ""}, "interval_minutes: expected a value"),
        ({"point_id": "X", "interval_minutes": 0}, "interval_minutes: expected at least 1"),
        ({"point_id": "X", "interval_minutes": 15.5}, "expected a whole number"),
        ({"point_id": "X", "valid_from": ""}, "valid_from: expected a value"),
        ({"point_id": "X", "valid_from": "01.03.2026"}, "expected a date such as 2026-03-01"),
        ({"point_id": "X", "valid_from": "2026-03-02", "valid_to": "2026-03-02"}, "expected a day after valid_from"),
        ({"point_id": "X", "connection_kw": -1}, "expected at least 0"),
        ({"point_id": "X", "connection_kw": "NaN"}, "expected a number"),
    ],
)
def test_a_wrong_row_goes_to_quarantine_and_the_others_stand(bench, row, problem):
    drop = bench.register("A", row, "B").drop
    assert [point for point, *_ in points(bench)] == ["A", "B"]
    (rejected,) = bench.quarantine(drop)
    assert (rejected["row_number"], rejected["reason"]) == (2, "bad_registry_value")
    assert problem in rejected["detail"]


def test_a_registry_without_a_required_column_is_refused_whole(bench):
    drop = bench.land("registry_points", "points.csv", b"point_id,interval_minutes\nA,15\n").drop
    assert [row["reason"] for row in bench.quarantine(drop)] == ["header_mismatch"]
    assert points(bench) == []


def test_optional_columns_may_be_absent(bench):
    bench.land(
        "registry_points", "p.csv", b"point_id,obis_code,interval_minutes,valid_from\nA,1-0:1.29.0,15,2026-01-01\n"
    )
    assert points(bench) == [("A", None, "2026-01-01")]


def test_other_registries_are_built_alike(bench):
    content = b"station_id,name,latitude,longitude,valid_from\ns1,Town,50.1,8.6,2026-01-01\n"
    bench.land("registry_weather_stations", "s.csv", content)
    manifest = bench.platform.lake.manifest("weather_stations", None)
    (row,) = bench.platform.lake.read(manifest, WEATHER_STATIONS.arrow).to_pylist()
    assert (row["station_id"], row["valid_from"], row["valid_to"]) == ("s1", date(2026, 1, 1), None)


def test_a_damaged_part_is_told_in_one_line(bench):
    drop = bench.register("A").drop
    bench.platform.store.write(drop.parts[""][0].file, b"garbage")
    with pytest.raises(LakeError, match=r"registry_points/points\.csv\): run `metrify recompute DAY`, for any day"):
        build_registry(bench.platform, "points")
