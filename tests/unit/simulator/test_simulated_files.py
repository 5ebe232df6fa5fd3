"""The bytes: formats, clock changes, registries, and that nothing depends on anything but the plan."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.simulator.load import day_values
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.population import market_location
from metrify_assets.simulator.utility import simulate
from metrify_assets.simulator.vendor_files import meter_file
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.unit.simulator.conftest import VENDOR_FEEDS
from tests.unit.simulator.reading import parse, table

pytestmark = pytest.mark.slow

CLEAN = replace(SimulationPlan(points=8), **SimulationPlan().without_faults())
PRINT_DIGEST = """
import hashlib
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate
files = simulate(SimulationPlan(points=12, days=2, late_day=0)).first
print(hashlib.sha256(b"".join(file.name.encode() + file.content for file in files)).hexdigest())
"""


def first_lines(vendor: int, day: str, count: int = 2) -> list[str]:
    return meter_file(CLEAN, vendor, DeliveryDay(date.fromisoformat(day))).decode().splitlines()[:count]


def test_the_same_plan_gives_the_same_bytes_in_another_process():
    files = simulate(SimulationPlan(points=12, days=2, late_day=0)).first
    here = hashlib.sha256(b"".join(file.name.encode() + file.content for file in files)).hexdigest()
    there = subprocess.run([sys.executable, "-c", PRINT_DIGEST], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_another_seed_gives_other_values():
    day = CLEAN.delivery_days[0]
    assert not np.array_equal(day_values(CLEAN, day).wh, day_values(replace(CLEAN, seed=1), day).wh)


def test_more_points_and_days_leave_the_others_as_they_are():
    small, large = (
        {(file.feed, file.name): file for file in simulate(SimulationPlan(points=points, days=days)).first}
        for points, days in ((40, 2), (600, 3))
    )
    for (feed, name), file in small.items():
        if feed in VENDOR_FEEDS:
            small_points = {row[0][0] for row in parse(feed, file.content).rows}
            rows = [row for row in parse(feed, large[feed, name].content).rows if row[0][0] in small_points]
            assert rows == parse(feed, file.content).rows
        elif feed in ("grid_status", "weather_stations_hourly"):
            assert large[feed, name].content == file.content
        else:
            # Row by row: registries, register reads and values of other intervals.
            assert set(file.content.splitlines()) <= set(large[feed, name].content.splitlines())


@pytest.mark.parametrize(("day", "slots"), [("2026-03-28", 96), ("2026-03-29", 92), ("2026-10-25", 100)])
@pytest.mark.parametrize("vendor", range(4))
def test_every_channel_has_the_slots_of_the_local_day(vendor, day, slots):
    parsed = parse(VENDORS[vendor].feed, meter_file(CLEAN, vendor, DeliveryDay(date.fromisoformat(day))))
    assert set(Counter(row[0][:2] for row in parsed.rows).values()) == {slots}
    assert parsed.unreadable == []


def test_the_north_file_carries_local_wall_clock_and_decimal_comma():
    header, row = first_lines(0, "2026-03-01")
    assert header == "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status"
    point, obis, day, clock, value, status = row.split(";")
    assert (len(point), obis, day, clock, status) == (33, "1-0:1.29.0", "01.03.2026", "00:00", "W")
    whole, thousandths = value.split(",")
    assert whole.isdigit()
    assert len(thousandths) == 3


def test_the_repeated_hour_stands_twice_in_the_north_file_in_order_of_time():
    lines = first_lines(0, "2026-10-25", 1 + 100)[1:]
    assert [line.split(";")[3] for line in lines[8:16]] == ["02:00", "02:15", "02:30", "02:45"] * 2
    assert lines[16].split(";")[3] == "03:00"


def test_the_skipped_hour_is_absent_from_the_north_file():
    clocks = [line.split(";")[3] for line in first_lines(0, "2026-03-29", 1 + 92)[1:]]
    assert clocks[7:9] == ["01:45", "03:00"]


def test_the_south_file_carries_interval_ends_with_their_offset():
    lines = first_lines(1, "2026-03-29", 92)
    assert '"end":"2026-03-29T00:15:00+01:00"' in lines[0]
    assert '"end":"2026-03-29T03:00:00+02:00"' in lines[7]  # 01:45 winter time to 03:00 summer time
    assert '"end":"2026-03-30T00:00:00+02:00"' in lines[91]


def test_the_west_file_has_the_agreed_types():
    schema = pq.read_schema(io.BytesIO(meter_file(CLEAN, 2, CLEAN.delivery_days[0])))
    assert schema.names == ["melo", "obis", "start_utc", "kwh"]
    assert schema.types == [pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.float64()]


def test_the_east_file_carries_mean_power_at_the_interval_start():
    header, row = first_lines(3, "2026-03-01")
    assert header == "point_id,obis,timestamp,mean_kw"
    kilowatts = day_values(CLEAN, CLEAN.delivery_days[0])
    (channel,) = [number for number, point in enumerate(kilowatts.point_ids) if point == row.split(",")[0]][:1]
    assert row.split(",")[2] == "2026-02-28T23:00:00Z"
    assert float(row.split(",")[3]) * 0.25 == pytest.approx(kilowatts.wh[channel, 0] / 1000, abs=1e-9)


def test_the_check_digit_of_the_documented_market_location():
    assert market_location(4137355924) == "41373559241"


def test_points_have_valid_and_unique_identifiers():
    rows = simulate(SimulationPlan(points=2_000)).registries["points"].to_pylist()
    for row in rows:
        digits = [int(digit) for digit in row["malo_id"]]
        assert len(digits) == 11
        assert digits[0] > 0
        assert (sum(digits[0:10:2]) + 2 * sum(digits[1:10:2]) + digits[10]) % 10 == 0
        assert len(row["melo_id"]) == 33
        assert row["melo_id"][:2] == "DE"
        assert row["melo_id"][8:13] == row["postcode"]
    assert len({row["malo_id"] for row in rows}) == len(rows)
    assert len({(row["point_id"], row["obis_code"]) for row in rows}) == len(rows)
    assert len({row["point_id"] for row in rows}) == 2_000


@pytest.mark.parametrize("name", list(REGISTRIES))
def test_registry_files_have_the_columns_of_their_table_without_provenance(utility, name):
    (file,) = [file for file in utility.first if file.feed == f"registry_{name}"]
    assert file.name == f"{name}.csv"
    names = [column.name for column in REGISTRIES[name].columns if not column.derived]
    assert list(table(file.content)[0]) == names[: names.index("feed")]
    nullable = {column.name for column in REGISTRIES[name].columns if column.nullable}
    assert all(row[key] for row in table(file.content) for key in row if key not in nullable)


def test_registry_files_refer_to_each_other(utility):
    files = {file.feed: table(file.content) for file in utility.first if file.feed.startswith("registry_")}
    points = {row["point_id"] for row in files["registry_points"]}
    operators = {row["operator_id"]: row["control_area"] for row in files["registry_operators"]}
    assert {row["point_id"] for row in files["registry_meters"]} == points
    assert all(operators[row["operator_id"]] == row["control_area"] for row in files["registry_points"])
    assert Counter(row["kind"] for row in files["registry_operators"]) == {"dso": 4, "tso": 4}


def test_a_meter_exchange_hands_over_on_a_day_within_the_period():
    plan = SimulationPlan()
    meters = simulate(plan).registries["meters"].to_pylist()
    ended = {row["point_id"]: row["valid_to"] for row in meters if row["valid_to"]}
    successors = {row["point_id"]: row["valid_from"] for row in meters if row["valid_from"] >= plan.first_day}
    assert ended == successors
    assert len(ended) >= 5
    assert all(plan.first_day < day < plan.day(plan.days) for day in ended.values())
    assert len({row["meter_id"] for row in meters}) == len(meters)


def test_truth_is_decimal_with_six_places(utility):
    truth = utility.simulation.truth
    assert truth.schema.field("value_kwh").type == pa.decimal64(18, 6)
    assert truth.num_rows == 96 * (4 * 96 + 92)  # 80 points, 16 of them with a second channel
    assert truth["interval_start"][0].as_py() == datetime.fromisoformat("2026-03-25T23:00:00+00:00")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("points", 3),
        ("days", 0),
        ("seed", -1),
        ("short_gap_rate", -0.1),
        ("stuck_rate", 0.95),
        ("late_day", 32),
        ("register_share", 1.5),
        ("late_register_day", -1),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValueError, match=r"must|add up"):
        SimulationPlan(**{field: value})
