"""The dbt project on a real DuckDB file, over a small lake written by the test; expected values worked out by hand.

2026-03-28 has 24 hours and begins at 2026-03-27 23:00 UTC; 2026-03-29 has 23 and begins at 2026-03-28 23:00 UTC.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import METERS, OPERATORS, POINTS, WEATHER_STATIONS
from metrify_assets.schemas.table import Table
from metrify_assets.settings import REPOSITORY_DIR

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]

PROJECT = REPOSITORY_DIR / "metrify_dbt"
LAKE_TABLES = (
    CLEAN_READINGS,
    CLEAN_GRID_STATUS,
    CLEAN_WEATHER,
    CLEAN_POWER_QUALITY,
    POINTS,
    METERS,
    OPERATORS,
    WEATHER_STATIONS,
)
IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
INTERVAL = ("value_low_kwh", "value_high_kwh", "variance_kwh2")
SATURDAY, SUNDAY, MONDAY = date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30)
START = {day: datetime(2026, 3, day.day - 1, 23, tzinfo=UTC) for day in (SATURDAY, SUNDAY)}
ARRIVED = datetime(2026, 4, 1, tzinfo=UTC)
EARTH_RADIUS_KM = 6_371.0


class Platform:
    """Stands for the platform: writes the lake, tells dbt what is current and which days to build, runs dbt."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[tuple[str, date | None], Path] = {}
        self.older: list[Path] = []
        self.warehouse = root / "warehouse.duckdb"

    def write(self, table: Table, rows: Sequence[dict], day: date | None = None, without: Sequence[str] = ()) -> None:
        """Write rows as the current file of a table (and day); columns that are not given are null.

        ``without`` are columns that the table did not have yet when the file was stored.
        """
        folder = self.root / "lake" / table.name / (f"day={day}" if day else "")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"s0-{len(list(folder.iterdir()))}.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows), schema=_nullable(table.arrow)).drop(list(without)), path)
        self.older += [path] if without else []
        self.files[table.name, day] = path

    def dbt(self, command: str, *arguments: str, days: Sequence[date]) -> None:
        """Run dbt with the files and days as they stand; fail with the names of what failed."""
        result = self.run(command, *arguments, days=days)
        failed = [f"{r.node.name}: {r.message}" for r in result.result or () if r.status in ("error", "fail")]
        assert result.success, failed or result.exception

    def statuses(self, command: str, *arguments: str, days: Sequence[date]) -> dict[str, str]:
        """Run dbt and return the outcome of each node by its name."""
        result = self.run(command, *arguments, days=days)
        assert result.exception is None
        return {outcome.node.name: str(outcome.status) for outcome in result.result}

    def run(self, command: str, *arguments: str, days: Sequence[date]) -> dbtRunnerResult:
        """Run dbt with the files and days as they stand."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("create schema if not exists metrify")
            connection.execute(
                "create or replace table metrify.lake_files (table_name varchar, day date, path varchar)"
            )
            connection.execute("create or replace table metrify.requested_days (day date)")
            connection.execute("create or replace table metrify.stored_columns (path varchar, lacks_columns boolean)")
            for path in self.files.values():
                lacks = path in self.older
                connection.execute("insert into metrify.stored_columns values (?, ?)", [str(path), lacks])
            for (table, day), path in self.files.items():
                connection.execute("insert into metrify.lake_files values (?, ?, ?)", [table, day, str(path)])
            for day in days:
                connection.execute("insert into metrify.requested_days values (?)", [day])
        result = dbtRunner().invoke(
            [
                *("--quiet", command, *arguments),
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
                *("--target-path", str(self.root / "target"), "--log-path", str(self.root / "logs")),
            ]
        )
        # Called as a library, dbt-duckdb keeps the file open; as a command it lets go when the process ends.
        DuckDBConnectionManager.close_all_connections()
        return result

    def build(self, *days: date, unit_tests: bool = False) -> None:
        """Build models and data tests; unit tests do not depend on the data, so once is enough."""
        self.dbt("build", *(() if unit_tests else ("--exclude-resource-type", "unit_test")), days=days)

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.sql(sql).fetchall()


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def slots(
    day: date,
    point: str,
    obis: str,
    minutes: int,
    value: Callable[[int], str | None],
    status: Callable[[int], str] = lambda slot: "measured",
) -> list[dict]:
    """Return a day's slots; a value is text in kWh, or None for a missing slot."""
    hours = 24 if day == SATURDAY else 23
    rows = []
    for slot in range(max(hours * 60 // minutes, 1)):
        kwh = None if value(slot) is None else Decimal(value(slot))
        rows.append(
            {
                "point_id": point,
                "obis_code": obis,
                "interval_start": START[day] + timedelta(minutes=slot * minutes),
                "interval_minutes": minutes,
                "value_kwh": kwh,
                "status": "missing" if kwh is None else status(slot),
                "flags": 0,
                "delivered_kwh": kwh,
                "version": 1,
                "day": day,
            }
        )
    return rows


def saturday() -> list[dict]:
    # Quarter hours: 0.1 + 0.2 + 0.3 + 0.4 in the first hour, 1.0 in slot 40 (10:00 local), 0.25 in the other 91.
    special = {0: "0.1", 1: "0.2", 2: "0.3", 3: "0.4", 40: "1.0"}
    return [
        *slots(SATURDAY, "A", IMPORT, 15, lambda slot: special.get(slot, "0.25")),
        # Feed-in of the same point: half a kWh per hour, the fourth estimated.
        *slots(SATURDAY, "A", EXPORT, 60, lambda _: "0.5", lambda slot: "estimated" if slot == 3 else "measured"),
        *slots(SATURDAY, "B", IMPORT, 30, lambda _: "0.000001"),
        *estimated_in_two_slots(slots(SATURDAY, "E", IMPORT, 60, lambda _: "1")),
        # One value for the whole day.
        *slots(SATURDAY, "C", IMPORT, 1_440, lambda _: "12"),
        # A point that no registry knows.
        *slots(SATURDAY, "X", IMPORT, 60, lambda _: "1"),
    ]


def estimated_in_two_slots(rows: list[dict]) -> list[dict]:
    """Return rows of which the first and the tenth are estimated, each with a variance."""
    for slot, variance in ((0, "0.09"), (9, "0.16")):
        ends = {"value_low_kwh": Decimal("0.5"), "value_high_kwh": Decimal("1.5"), "variance_kwh2": Decimal(variance)}
        rows[slot] |= {"status": "estimated", "method": "linear", **ends}
    return rows


def sunday() -> list[dict]:
    # 92 quarter hours, slot 5 (01:15 local) missing.
    return slots(SUNDAY, "A", IMPORT, 15, lambda slot: None if slot == 5 else "0.25")


def weather(station: str, day: date, hours: int, temperature: Callable[[int], float]) -> list[dict]:
    """Return half-hourly observations: one degree below and above the hour's temperature."""
    return [
        {
            "station_id": station,
            "source_id": "test",
            "observed_at": START[day] + timedelta(minutes=30 * half),
            "temperature_c": temperature(half // 2) + (1 if half % 2 else -1),
            "humidity_pct": 50.0,
            "received_at": ARRIVED,
            "day": day,
        }
        for half in range(2 * hours)
    ]


def grid_status(source: str, minutes: int, metric: str, values: Sequence[tuple[str | None, str]]) -> list[dict]:
    """Return intervals from Saturday's first instant on, each a value and a status."""
    return [
        {
            "source_id": source,
            "control_area": "50Hertz",
            "metric": metric,
            "interval_start": START[SATURDAY] + timedelta(minutes=minutes * index),
            "resolution_minutes": minutes,
            "value": None if value is None else Decimal(value),
            "unit": "MW",
            "status": status,
            "received_at": ARRIVED,
            "day": SATURDAY,
        }
        for index, (value, status) in enumerate(values)
    ]


def write_registries(platform: Platform) -> None:
    since = {"valid_from": date(2020, 1, 1), "received_at": ARRIVED}
    place = {"latitude": 52.0, "longitude": 13.0}
    household = {"obis_code": IMPORT, "interval_minutes": 15, "point_class": "household", "operator_id": "OP1"}
    platform.write(
        POINTS,
        [
            {"point_id": "A", **household, "control_area": "50Hertz", **place, **since},
            # The registry left the first row open: the second ends it.
            {"point_id": "A", **household, "point_class": "business", **place, **since, "valid_from": SUNDAY},
            # No coordinates and no control area of its own.
            {"point_id": "B", **household, "operator_id": "OP2", **since},
        ],
    )
    platform.write(
        METERS,
        [
            {"meter_id": "M1", "point_id": "A", **since},
            {"meter_id": "M2", "point_id": "A", **since, "valid_from": SUNDAY},
        ],
    )
    platform.write(
        OPERATORS,
        [
            {"operator_id": "OP1", "name": "North", "kind": "dso", "control_area": "TenneT", **since},
            {"operator_id": "OP2", "name": "West", "kind": "dso", "control_area": "Amprion", **since},
        ],
    )
    platform.write(
        WEATHER_STATIONS,
        [
            {"station_id": "far", "name": "Far", "latitude": 53.0, "longitude": 13.0, **since},
            {"station_id": "new", "name": "New", "latitude": 52.0, "longitude": 13.5, **since, "valid_from": SUNDAY},
            {"station_id": "silent", "name": "Silent", "latitude": 52.1, "longitude": 13.0, **since},
        ],
    )


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Platform]:
    """The warehouse after its first build, of Saturday and Sunday."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRIFY_WAREHOUSE", str(platform.warehouse))
        patch.setenv("DO_NOT_TRACK", "1")
        fill(platform)
        platform.build(SATURDAY, SUNDAY, unit_tests=True)
        yield platform


def fill(platform: Platform) -> None:
    """Write the lake that most tests look at."""
    write_registries(platform)
    platform.write(CLEAN_READINGS, saturday(), SATURDAY)
    # Stored before estimates had intervals.
    platform.write(CLEAN_READINGS, sunday(), SUNDAY, without=INTERVAL)
    platform.write(CLEAN_WEATHER, weather("far", SATURDAY, 24, lambda hour: 10.0 + hour), SATURDAY)
    sunday_weather = [
        *weather("far", SUNDAY, 23, lambda hour: 0.0),
        *weather("new", SUNDAY, 23, lambda hour: 20.0),
        # One hour of 23 is less than nine tenths.
        *weather("silent", SUNDAY, 1, lambda hour: 30.0),
    ]
    platform.write(CLEAN_WEATHER, sunday_weather, SUNDAY)
    quarters = [("100", "measured"), ("200", "measured"), ("300", "measured"), ("99999", "implausible")]
    platform.write(
        CLEAN_GRID_STATUS,
        [
            *grid_status("quarterly", 15, "load_mw", quarters),
            *grid_status("hourly", 60, "load_mw", [("400", "measured"), ("500", "measured")]),
            *grid_status("hourly", 60, "solar_mw", [(None, "missing")]),
        ],
        SATURDAY,
    )
    # A day that nobody asked for, whose file cannot be read: it must not even be opened.
    broken = platform.root / "lake" / "clean_readings" / f"day={MONDAY}"
    broken.mkdir()
    (broken / "s0-0.parquet").write_bytes(b"no Parquet at all")
    platform.files["clean_readings", MONDAY] = broken / "s0-0.parquet"


@pytest.fixture
def own_platform(tmp_path, monkeypatch) -> Platform:
    """An empty lake and no warehouse yet, for a test that changes them."""
    platform = Platform(tmp_path)
    monkeypatch.setenv("METRIFY_WAREHOUSE", str(platform.warehouse))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    return platform


def daily(platform: Platform, columns: str, point: str, obis: str, day: date) -> tuple:
    rows = platform.query(
        f"select {columns} from metrics.daily_consumption_metrics "
        f"where point_id = '{point}' and obis_code = '{obis}' and day = '{day}'"
    )
    assert len(rows) == 1
    return rows[0]


def hourly(platform: Platform, columns: str, point: str, obis: str, day: date) -> list[tuple]:
    return platform.query(
        f"select {columns} from marts.fct_smart_meter_analytics "
        f"where point_id = '{point}' and obis_code = '{obis}' and day = '{day}' order by hour_start"
    )


def test_a_complete_day_has_energy_peak_load_factor_and_base_load(platform):
    row = daily(
        platform,
        "energy_kwh, expected_slots, measured_slots, completeness, status, peak_kw, peak_at, load_factor, base_load_kw",
        *("A", IMPORT, SATURDAY),
    )
    # 1.0 + 1.0 + 91 x 0.25 kWh; the peak is 1.0 kWh in a quarter of an hour; P5 lies among the values of 0.25.
    assert row == (
        *(Decimal("24.750000"), 96, 96, 1.0, "measured", 4.0),
        datetime(2026, 3, 28, 9, tzinfo=UTC),
        24.75 / (4 * 24),
        1.0,
    )


def test_a_day_with_a_missing_slot_has_no_energy(platform):
    row = daily(platform, "energy_kwh, expected_slots, missing_slots, completeness, status", "A", IMPORT, SUNDAY)
    assert row == (None, 92, 1, 91 / 92, "missing")


def test_the_interval_of_a_day_is_that_of_the_sum_of_its_estimates(platform):
    ends = "energy_kwh, energy_low_kwh, energy_high_kwh"
    # Variances add up: 0.09 + 0.16 = 0.5^2; the 90 % quantile lies 1.281552 deviations off.
    row = daily(platform, ends, "E", IMPORT, SATURDAY)
    assert row == (Decimal(24), Decimal("23.359224"), Decimal("24.640776"))
    # Measured throughout; and an estimate without an interval, of which nothing is said.
    assert daily(platform, ends, "A", IMPORT, SATURDAY) == (Decimal("24.75"),) * 3
    assert daily(platform, ends, "A", EXPORT, SATURDAY) == (Decimal(12), None, None)


def test_a_day_that_was_stored_before_a_column_came_is_read_beside_days_that_have_it(platform):
    rows = "select day, count(*), count(variance_kwh2) from staging.stg_smart_meter_readings"
    days = f"day in ('{SATURDAY}', '{SUNDAY}')"
    assert platform.query(f"{rows} where {days} group by 1 order by 1") == [(SATURDAY, 217, 2), (SUNDAY, 92, 0)]


def test_channels_of_a_point_are_not_added(platform):
    row = daily(platform, "energy_kwh, estimated_slots, estimated_share, status", "A", EXPORT, SATURDAY)
    assert row == (Decimal("12.000000"), 1, 1 / 24, "estimated")


def test_an_hour_is_the_sum_of_its_slots(platform):
    hours = hourly(platform, "hour_start, local_hour, energy_kwh, expected_slots, peak_kw", "A", IMPORT, SATURDAY)
    assert len(hours) == 24
    assert hours[0] == (START[SATURDAY], 0, Decimal("1.000000"), 4, 1.6)
    assert hours[10] == (datetime(2026, 3, 28, 9, tzinfo=UTC), 10, Decimal("1.750000"), 4, 4.0)


def test_half_hours_add_up_to_the_last_digit(platform):
    hours = hourly(platform, "energy_kwh, expected_slots", "B", IMPORT, SATURDAY)
    assert hours == [(Decimal("0.000002"), 2)] * 24


def test_a_day_of_23_hours_skips_the_local_hour_from_two(platform):
    hours = hourly(platform, "local_hour, energy_kwh, missing_slots, status", "A", IMPORT, SUNDAY)
    assert [row[0] for row in hours] == [0, 1, *range(3, 24)]
    assert hours[1] == (1, None, 1, "missing")
    assert hours[2] == (3, Decimal("1.000000"), 0, "measured")


def test_a_daily_value_is_in_the_daily_metrics_and_not_cut_into_hours(platform):
    assert daily(platform, "energy_kwh, expected_slots, peak_kw", "C", IMPORT, SATURDAY) == (Decimal("12"), 1, 0.5)
    assert hourly(platform, "*", "C", IMPORT, SATURDAY) == []


def test_an_hour_knows_what_held_for_the_point_on_that_day(platform):
    columns = "distinct point_class, meter_id, operator_id, control_area"
    attributes = f"select {columns} from marts.fct_smart_meter_analytics where point_id = '%s' and day = '%s'"
    imports = f"{attributes} and obis_code = '{IMPORT}'"
    assert platform.query(imports % ("A", SATURDAY)) == [("household", "M1", "OP1", "50Hertz")]
    # The second row of the point has no control area: its operator's counts.
    assert platform.query(imports % ("A", SUNDAY)) == [("business", "M2", "OP1", "TenneT")]
    assert platform.query(imports % ("B", SATURDAY)) == [("household", None, "OP2", "Amprion")]


def test_a_point_that_no_registry_knows_keeps_its_energy(platform):
    rows = hourly(platform, "energy_kwh, point_key, station_id, temperature_c", "X", IMPORT, SATURDAY)
    assert rows == [(Decimal("1.000000"), None, None, None)] * 24


def test_the_weather_of_an_hour_is_that_of_the_nearest_station_that_covers_the_day(platform):
    columns = "station_id, distance_km, temperature_c, humidity_pct, global_radiation_wm2"
    first = hourly(platform, columns, "A", IMPORT, SATURDAY)[0]
    # One degree of latitude; the nearer station is silent, the other one not there yet.
    assert first == ("far", pytest.approx(EARTH_RADIUS_KM * math.pi / 180), 10.0, 50.0, None)
    assert hourly(platform, "temperature_c", "A", IMPORT, SATURDAY)[23] == (33.0,)
    first = hourly(platform, columns, "A", IMPORT, SUNDAY)[0]
    # Spherical law of cosines, an independent formula: half a degree of longitude at 52 degrees north.
    latitude = math.radians(52)
    cosine = math.sin(latitude) ** 2 + math.cos(latitude) ** 2 * math.cos(math.radians(0.5))
    assert first == ("new", pytest.approx(EARTH_RADIUS_KM * math.acos(cosine)), 20.0, 50.0, None)
    assert hourly(platform, "station_id", "B", IMPORT, SATURDAY)[0] == (None,)


def test_grid_status_leaves_out_implausible_values_and_weighs_sources_alike(platform):
    rows = hourly(platform, "control_area_load_mw, control_area_solar_mw", "A", IMPORT, SATURDAY)
    # Mean of (100 + 200 + 300) / 3 and 400; then the hourly source alone; then nothing, which is not zero.
    assert rows[:3] == [(300.0, None), (500.0, None), (None, None)]


def test_a_row_of_a_dimension_ends_where_the_next_one_begins(platform):
    query = "select valid_from, valid_to, is_current from marts.%s where %s order by valid_from"
    versions = [(date(2020, 1, 1), SUNDAY, False), (SUNDAY, None, True)]
    assert platform.query(query % ("dim_points", "point_id = 'A'")) == versions
    assert platform.query(query % ("dim_meters", "point_id = 'A'")) == versions
    # The key is made of what identifies the version, whatever else is built.
    keys = [hashlib.md5(f"A|{IMPORT}|{start}".encode()).hexdigest() for start, *_ in versions]
    assert platform.query("select point_key from marts.dim_points where point_id = 'A' order by valid_from") == [
        (key,) for key in keys
    ]


def test_the_calendar_covers_the_year_and_knows_when_clocks_change(platform):
    query = (
        "select iso_year, iso_week, weekday, is_weekend, hours_in_day, day_start from marts.dim_date where day = '%s'"
    )
    assert platform.query("select count(*) from marts.dim_date") == [(365,)]
    assert platform.query(query % SUNDAY) == [(2026, 13, 7, True, 23, START[SUNDAY])]
    assert platform.query(query % "2026-10-25")[0][4] == 25
    assert platform.query(query % "2026-12-31")[0][:5] == (2026, 53, 4, False, 24)


FACTS = (
    "marts.fct_smart_meter_analytics",
    "metrics.daily_consumption_metrics",
    "metrics.energy_efficiency_metrics",
    "metrics.data_quality_scorecard",
    "metrics.grid_balance_metrics",
    "metrics.grid_performance_metrics",
)


def content(platform: Platform, where: str = "true") -> list[list[tuple]]:
    return [platform.query(f"select * from {fact} where {where} order by all") for fact in FACTS]


def test_building_a_day_again_changes_nothing(platform):
    before = content(platform)
    platform.build(SATURDAY, SUNDAY)
    assert content(platform) == before


def test_only_the_requested_day_changes_and_withdrawn_readings_leave(own_platform):
    platform = own_platform
    platform.write(CLEAN_READINGS, saturday(), SATURDAY)
    platform.write(CLEAN_READINGS, sunday(), SUNDAY)
    platform.build(SATURDAY, SUNDAY)
    sunday_before = content(platform, f"day = '{SUNDAY}'")
    # No registry says which operators there are.
    assert [bool(rows) for rows in sunday_before] == [True, True, True, False, False, False]
    # Both days change in the lake, but Saturday alone is asked for: all but one channel of it is withdrawn.
    platform.write(CLEAN_READINGS, slots(SATURDAY, "A", EXPORT, 60, lambda _: "2"), SATURDAY)
    platform.write(CLEAN_READINGS, [], SUNDAY)
    platform.build(SATURDAY)
    assert platform.query(
        f"select point_id, obis_code, energy_kwh from metrics.daily_consumption_metrics where day = '{SATURDAY}'"
    ) == [("A", EXPORT, Decimal("48.000000"))]
    assert content(platform, f"day = '{SUNDAY}'") == sunday_before
    # Now Saturday is withdrawn as a whole: not even an empty file is left.
    del platform.files["clean_readings", SATURDAY]
    platform.build(SATURDAY)
    assert not any(content(platform, f"day = '{SATURDAY}'"))
    assert content(platform, f"day = '{SUNDAY}'") == sunday_before


def test_an_empty_lake_builds_and_readings_alone_are_enough(own_platform):
    platform = own_platform
    platform.build()
    assert not any(content(platform))
    assert platform.query("select count(*) from marts.dim_date") == [(0,)]
    platform.write(CLEAN_READINGS, saturday(), SATURDAY)
    platform.build(SATURDAY)
    assert daily(platform, "energy_kwh", "A", IMPORT, SATURDAY) == (Decimal("24.75"),)
    rows = hourly(platform, "energy_kwh, point_key, control_area_load_mw", "A", IMPORT, SATURDAY)
    assert rows[0] == (Decimal("1.000000"), None, None)


def test_a_full_refresh_builds_every_day_of_the_lake_whatever_was_requested(own_platform):
    platform = own_platform
    platform.write(CLEAN_READINGS, saturday(), SATURDAY)
    platform.write(CLEAN_READINGS, sunday(), SUNDAY)
    platform.dbt("build", "--full-refresh", "--exclude-resource-type", "unit_test", days=[SUNDAY])
    for fact in FACTS[:3]:
        assert platform.query(f"select distinct day from {fact} order by 1") == [(SATURDAY,), (SUNDAY,)]


def test_an_hour_knows_its_tariff_season_and_range_of_power(platform):
    columns = "tariff_period, season, min_kw, mean_kw, peak_kw, measured_share, quality_tier"
    # Saturday is no working day. 0.1 + 0.2 + 0.3 + 0.4 kWh in four quarter hours.
    first = hourly(platform, columns, "A", IMPORT, SATURDAY)[0]
    assert first == ("low", "transition", 0.4, 1.0, 1.6, 1.0, "high")
    # The hour with a missing slot: its energy is unknown, what its other slots say is not.
    assert hourly(platform, columns, "A", IMPORT, SUNDAY)[1][:6] == ("low", "transition", 1.0, 1.0, 1.0, 0.75)


def test_the_calendar_knows_holidays_and_seasons(platform):
    query = "select is_holiday, holiday_name, holiday_states, season from marts.dim_date where day = '%s'"
    assert platform.query(query % "2026-03-20") == [(False, None, None, "winter")]
    assert platform.query(query % "2026-03-21") == [(False, None, None, "transition")]
    assert platform.query(query % "2026-06-04") == [(False, "Fronleichnam", "BW BY HE NW RP SL", "summer")]
    assert platform.query(query % "2026-12-25")[0][:2] == (True, "Erster Weihnachtstag")


def test_a_month_is_complete_only_with_all_its_days(platform):
    columns = "energy_kwh, known_kwh, days, complete_days, expected_slots, missing_slots, load_factor"
    query = f"select {columns} from metrics.monthly_consumption_metrics where point_id = 'A' and obis_code = '{IMPORT}'"
    # March has 2,972 quarter hours; Saturday has 96 values of 24.75 kWh in all, Sunday 91 of a quarter each.
    assert platform.query(query) == [(None, Decimal("47.500000"), 2, 1, 2_972, 2_972 - 96 - 91, None)]


def test_an_operator_is_scored_on_what_was_delivered(platform):
    query = (
        "select points, channels, expected_slots, delivered_slots, silent_points from metrics.data_quality_scorecard"
    )
    # OP1 serves A, whose registered channel is the import; the feed-in has no registry row, so nobody answers for it.
    assert platform.query(f"{query} where operator_id = 'OP1' and day = '{SATURDAY}'") == [(1, 1, 96, 96, 0)]
    assert platform.query(f"{query} where operator_id = 'OP1' and day = '{SUNDAY}'") == [(1, 1, 92, 91, 0)]


def test_a_source_is_stale_by_its_latest_reception(own_platform):
    platform = own_platform
    now = datetime.now(UTC).replace(microsecond=0)
    today, long_ago = now.date(), now.date() - timedelta(days=30)
    reading = {"point_id": "A", "obis_code": IMPORT, "interval_minutes": 60, "status": "measured", "day": today}
    observed = {"station_id": "S", "source_id": "s", "observed_at": now, "day": today}
    published = {"source_id": "s", "control_area": "DE", "metric": "load_mw", "interval_start": now, "day": today}
    for table, row, hours in (
        (CLEAN_READINGS, reading, 35),
        (CLEAN_WEATHER, observed, 37),
        (CLEAN_GRID_STATUS, published, 73),
    ):
        platform.write(table, [{**row, "received_at": now - timedelta(hours=hours)}, row], today)
        # A late value for a day long past does not make a source fresh.
        platform.write(table, [{**row, "day": long_ago, "received_at": now}], long_ago)
    # Registries change when they change.
    assert platform.statuses("source", "freshness", days=[]) == {
        "clean_readings": "pass",
        "clean_weather": "warn",
        "clean_grid_status": "error",
    }


def test_a_source_to_which_nothing_came_of_late_is_stale(platform):
    # What this lake holds arrived months ago, if it says when.
    assert set(platform.statuses("source", "freshness", days=[]).values()) == {"error"}


def test_a_pressure_that_does_not_fit_the_altitude_of_its_station_is_warned_of(own_platform):
    platform = own_platform
    fill(platform)
    # At 600 m 875.6 to 983.07 hPa at the station; reduced to sea level 950 to 1050; either if nobody says.
    since = {"valid_from": date(2020, 1, 1), "received_at": ARRIVED}
    place = {"latitude": 48.0, "longitude": 11.0}
    stations = [
        {"station_id": name, "name": name, **place, "altitude_m": altitude, **since}
        for name, altitude in (("high", 600.0), ("low", 0.0), ("nowhere", None))
    ]
    platform.write(WEATHER_STATIONS, stations)

    def observed(cases: Sequence[tuple[str, str, float]]) -> str:
        rows = [
            {**weather(station, SATURDAY, 1, lambda hour: 10.0)[0], "source_id": source, "pressure_hpa": pressure}
            for station, source, pressure in cases
        ]
        for minute, row in enumerate(rows):
            row["observed_at"] += timedelta(minutes=minute)
        platform.write(CLEAN_WEATHER, rows, SATURDAY)
        name = "the_air_pressure_fits_the_altitude_of_its_station"
        select = ("--select", "+dim_weather_stations", "stg_weather_data", name, "--indirect-selection", "empty")
        return platform.statuses("build", *select, days=[SATURDAY])[name]

    fitting = [
        *[("high", "dwd", 875.6), ("high", "dwd", 983.0), ("high", "openweathermap", 1013.0)],
        *[("high", "test", 876.0), ("high", "test", 1049.0), ("low", "dwd", 1049.0), ("nowhere", "dwd", 700.0)],
    ]
    assert observed(fitting) == "pass"
    for wrong in (
        ("high", "dwd", 1013.0),
        ("high", "dwd", 875.5),
        ("high", "openweathermap", 945.0),
        ("high", "test", 870.0),
        ("low", "test", 945.0),
    ):
        assert observed([*fitting, wrong]) == "warn"


def test_a_grid_value_beyond_the_range_of_its_area_that_is_not_marked_is_warned_of(own_platform):
    platform = own_platform
    fill(platform)
    name = "a_grid_value_beyond_the_range_of_its_area_is_marked"

    def judged(*values: tuple[str | None, str]) -> str:
        platform.write(CLEAN_GRID_STATUS, grid_status("hourly", 60, "load_mw", values), SATURDAY)
        select = ("--select", "stg_grid_status", name, "--indirect-selection", "empty")
        return platform.statuses("build", *select, days=[SATURDAY])[name]

    assert judged(("3500", "measured"), ("22000", "measured"), ("3499", "implausible"), (None, "missing")) == "pass"
    assert judged(("3499", "measured")) == judged(("22001", "measured")) == "warn"


FACT = "marts.fct_smart_meter_analytics"
OF_A = f"point_id = 'A' and obis_code = '{IMPORT}' and day = '{SATURDAY}'"
FAULTS = {
    # An hour in the middle is gone, another one is there twice.
    f"delete from {FACT} where {OF_A} and local_hour = 7": {
        "the_hours_of_a_channel_have_no_gap",
        "energy_is_conserved",
    },
    f"insert into {FACT} select * from {FACT} where point_id = 'B' and local_hour = 3": {
        "an_hour_of_a_channel_appears_once",
        "the_hours_of_a_channel_have_no_gap",
        "energy_is_conserved",
    },
    f"update {FACT} set status = 'guessed' where {OF_A} and local_hour = 8": {"the_status_of_an_hour_is_known"},
    f"update {FACT} set missing_slots = 1 where {OF_A} and local_hour = 9": {"every_slot_of_an_hour_is_accounted_for"},
    f"update {FACT} set point_key = 'nobody' where {OF_A} and local_hour = 10": {
        "the_point_version_of_an_hour_is_in_dim_points"
    },
    f"delete from metrics.energy_efficiency_metrics where {OF_A}": {"every_day_of_a_channel_has_its_efficiency"},
    f"update metrics.energy_efficiency_metrics set load_factor = 1.1 where day = '{SATURDAY}' and point_id = 'B'": {
        "the_load_factor_is_a_share"
    },
    f"update intermediate.int_channel_days set slots = 95 where {OF_A}": {"every_reading_is_in_the_day_of_its_channel"},
    "update marts.dim_points set valid_to = valid_to + 1 where point_id = 'A' and valid_to is not null": {
        "a_point_has_one_version_at_a_time"
    },
    "delete from marts.dim_meters where is_current": {"dim_meters_has_every_row_of_the_registry"},
    f"delete from marts.dim_date where day = '{SUNDAY}'": {"the_calendar_has_no_gap"},
    "update marts.dim_weather_stations set station_key = 'same'": {"a_station_version_has_one_key"},
    "update metrics.data_quality_scorecard set quality_tier = 'superb'": {"the_tier_of_a_score_is_known"},
}
"""What a test must find: a fault put into a table, and the tests that tell of it."""


def test_every_fault_is_found_by_the_tests_that_look_for_it_and_by_no_other(platform, tmp_path, monkeypatch):
    broken = Platform(tmp_path)
    broken.files, broken.warehouse = platform.files, tmp_path / "broken.duckdb"
    shutil.copyfile(platform.warehouse, broken.warehouse)
    monkeypatch.setenv("METRIFY_WAREHOUSE", str(broken.warehouse))
    tests = ("test", "--exclude-resource-type", "unit_test")
    before = broken.statuses(*tests, days=[SATURDAY, SUNDAY])
    # X, C and the feed-in of A are in no registry: more than one in twenty hours.
    # The loads of 400 and 500 MW are round, and below those of any control area.
    warned = {"most_hours_have_a_point_version", "a_grid_value_beyond_the_range_of_its_area_is_marked"}
    assert {name for name, status in before.items() if status != "pass"} == warned
    with duckdb.connect(str(broken.warehouse)) as connection:
        for fault in FAULTS:
            changed = connection.execute(fault).fetchall()[0][0]
            assert changed, fault
    statuses = broken.statuses(*tests, days=[SATURDAY, SUNDAY])
    failed = {name for name, status in statuses.items() if status in ("fail", "error")}
    assert failed == set().union(*FAULTS.values())


def _sql_type(arrow: pa.DataType) -> str:
    if pa.types.is_dictionary(arrow) or pa.types.is_string(arrow):
        return "varchar"
    names = {pa.int16(): "smallint", pa.int32(): "integer", pa.int64(): "bigint", pa.float64(): "double"}
    names |= {pa.date32(): "date", pa.decimal64(18, 6): "decimal(18,6)", pa.bool_(): "boolean"}
    return names.get(arrow) or {pa.timestamp("us", tz="UTC"): "timestamp with time zone"}[arrow]


@pytest.mark.parametrize("table", LAKE_TABLES, ids=lambda table: table.name)
def test_the_source_in_dbt_has_the_columns_of_the_lake_table(table):
    declared = yaml.safe_load((PROJECT / "models" / "staging" / "lake.yml").read_text())["sources"][0]["tables"]
    source = next(entry for entry in declared if entry["name"] == table.name)
    assert source["config"]["meta"]["dagster"]["asset_key"] == [table.name]
    stated = [(column["name"], column["data_type"]) for column in source["columns"]]
    assert stated == [(column.name, _sql_type(column.type)) for column in table.columns]
