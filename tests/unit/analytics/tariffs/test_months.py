"""Months of a lake: cost, carbon and self-consumption as tables, computed again only where something changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from metrify_assets.analytics.tariffs.inputs import days_of_month
from metrify_assets.analytics.tariffs.months import compute_carbon, compute_costs, compute_self_consumption
from metrify_assets.digest import shard_of
from metrify_assets.errors import TariffError
from metrify_assets.orchestration.assets.months import month_assets
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.costs import CARBON_BY_MONTH, COST_BY_MONTH, SELF_CONSUMPTION_BY_MONTH
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS
from metrify_assets.schemas.table import Table
from metrify_assets.settings import Settings
from metrify_assets.vee.delivery_day import DeliveryDay

APRIL = date(2026, 4, 1)
IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
TARIFFS = """
assignments: points.csv
generation_meters: [{point_id: roof, generation_point_id: panels}]
tariffs:
  - name: home
    valid_from: 2020-01-01
    currency: EUR
    components:
      - {name: energy, kind: dynamic, source_id: day_ahead, control_area: DE, markup: '0.10'}
      - {name: base, kind: standing, per: day, price: '0.35'}
      - {name: vat, kind: tax, percent: 19}
  - name: feed_in
    valid_from: 2020-01-01
    currency: EUR
    direction: export
    components: [{name: paid, kind: flat, price: '-0.08'}]
"""


class Clock:
    """A clock in June."""

    def read(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC)

    def today(self, zone: str) -> date:
        return date(2026, 6, 1)


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    (tmp_path / "tariffs.yaml").write_text(TARIFFS)
    (tmp_path / "points.csv").write_text(
        "point_id,tariff,valid_from,valid_to\nhouse,home,2020-01-01,\nroof,home,2020-01-01,\nroof,feed_in,2026-04-11,\n"
    )
    settings = Settings(root=tmp_path / "metrify", tariffs_file=tmp_path / "tariffs.yaml", shards=2)
    return Platform(settings, Clock())  # type: ignore[arg-type]


def as_table(table: Table, rows: list[dict[str, object]]) -> pa.Table:
    columns = []
    for field in table.arrow:
        kind = field.type
        plain = pa.decimal128(18, 6) if pa.types.is_decimal(kind) else kind
        plain = pa.string() if pa.types.is_dictionary(kind) else plain
        column = pa.array([row.get(field.name) for row in rows], plain)
        columns.append(column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind))
    return pa.table(columns, schema=table.arrow)


def starts(day: date, minutes: int) -> list[datetime]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [epoch + timedelta(microseconds=start) for start in DeliveryDay(day).slot_starts(minutes).tolist()]


def write_readings(platform: Platform, kwh: Mapping[tuple[str, str], str], missing: date | None = None) -> None:
    """Write April: each quarter hour of each channel has the same energy, the first of each day an estimate."""
    for day in days_of_month(APRIL):
        shards = {}
        for number in range(2):
            rows: list[dict[str, object]] = []
            for (point, obis), value in kwh.items():
                if shard_of(point, 2) != number:
                    continue
                for slot, start in enumerate(starts(day, 15)):
                    gone = day == missing and slot < 8
                    status = "missing" if gone else "estimated" if slot == 0 else "measured"
                    rows.append(
                        {
                            "point_id": point,
                            "obis_code": obis,
                            "interval_start": start,
                            "interval_minutes": 15,
                            "value_kwh": None if gone else Decimal(value),
                            "status": status,
                            "flags": 0,
                            "version": 1,
                            "day": day,
                        }
                    )
            shards[number] = platform.lake.write_shard("clean_readings", day, number, as_table(CLEAN_READINGS, rows))
        platform.lake.publish("clean_readings", day, shards)


def write_grid(platform: Platform, metric: Mapping[str, str], area: str = "DE", skip: int | None = None) -> None:
    for day in days_of_month(APRIL):
        rows = [
            {
                "source_id": "day_ahead",
                "control_area": area,
                "metric": name,
                "interval_start": start,
                "resolution_minutes": 60,
                "value": Decimal(value),
                "unit": "EUR/MWh" if name.endswith("mwh") else "MW",
                "status": "measured",
                "received_at": start,
                "day": day,
            }
            for name, value in metric.items()
            for hour, start in enumerate(starts(day, 60))
            if (day, hour) != (date(2026, 4, 7), skip)
        ]
        shard = platform.lake.write_shard("clean_grid_status", day, 0, as_table(CLEAN_GRID_STATUS, rows))
        platform.lake.publish("clean_grid_status", day, {0: shard})


def write_points(platform: Platform, area: str) -> None:
    rows: list[dict[str, object]] = [
        {
            "point_id": "house",
            "obis_code": IMPORT,
            "interval_minutes": 15,
            "control_area": area,
            "valid_from": date(2020, 1, 1),
            "feed": "f",
            "drop_id": "d",
            "row_number": 1,
            "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
    ]
    shard = platform.lake.write_shard("points", None, 0, as_table(POINTS, rows))
    platform.lake.publish("points", None, {0: shard})


def rows_of(platform: Platform, table: Table) -> list[dict[str, object]]:
    read = platform.lake.read(platform.lake.manifest(table.name, None), table.arrow)
    assert not audit(table, read).structure
    return read.to_pylist()


def amounts(rows: list[dict[str, object]], point: str, tariff: str = "home") -> dict[object, object]:
    return {row["component"]: row["amount"] for row in rows if row["point_id"] == point and row["tariff"] == tariff}


def test_a_month_of_the_lake_is_billed_by_the_prices_of_the_feed(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25", ("roof", IMPORT): "0.1", ("roof", EXPORT): "0.5"})
    write_grid(platform, {"day_ahead_price_eur_mwh": "-40.5"})
    result = compute_costs(platform)
    rows = rows_of(platform, COST_BY_MONTH)
    # 720 kWh x (0.10 - 0.0405); 30 x 0.35; 19 % of 53.34 = 10.1346.
    expected = {"energy": "42.84", "base": "10.50", "vat": "10.13", "total": "63.47"}
    assert amounts(rows, "house") == {name: Decimal(text) for name, text in expected.items()}
    # Exported from the 11th on: 20 days x 96 x 0.5 kWh x -0.08.
    assert amounts(rows, "roof", "feed_in") == {"paid": Decimal("-76.80"), "total": Decimal("-76.80")}
    manifest = result.manifest
    assert manifest.total("billed_micro_kwh") == manifest.total("clean_micro_kwh") == (720 + 288 + 960) * 10**6
    assert manifest.total("component_cents") == manifest.total("total_cents")
    assert next(row["estimated_kwh"] for row in rows if row["point_id"] == "house") == Decimal("7.5")


def test_only_months_whose_inputs_changed_are_computed_again(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25"})
    write_grid(platform, {"day_ahead_price_eur_mwh": "50"})
    first = compute_costs(platform)
    assert first.computed == [APRIL]
    again = compute_costs(platform)
    assert (again.computed, again.manifest.digest) == ([], first.manifest.digest)
    assert compute_costs(platform, force=True).manifest.digest == first.manifest.digest
    write_grid(platform, {"day_ahead_price_eur_mwh": "51"})
    assert compute_costs(platform).computed == [APRIL]


def test_missing_slots_and_missing_prices_are_named_refusals_in_the_table(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25"}, missing=date(2026, 4, 3))
    write_grid(platform, {"day_ahead_price_eur_mwh": "50"}, skip=4)
    compute_costs(platform)
    total = next(r for r in rows_of(platform, COST_BY_MONTH) if (r["point_id"], r["component"]) == ("house", "total"))
    assert (total["amount"], total["refusal"], total["refused_hours"]) == (None, "readings_missing", 2.0)
    write_readings(platform, {("house", IMPORT): "0.25"})
    manifest = compute_costs(platform).manifest
    total = next(r for r in rows_of(platform, COST_BY_MONTH) if (r["point_id"], r["component"]) == ("house", "total"))
    assert (total["refusal"], total["refused_hours"], total["refused_kwh"]) == ("price_missing", 1.0, 1)
    assert manifest.total("refused/price_missing") == 1


def test_the_assets_show_refusals_and_that_bills_add_up(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25", ("roof", EXPORT): "0.2"})
    write_grid(platform, {"day_ahead_price_eur_mwh": "50"})
    write_points(platform, "TenneT")
    result = dg.materialize(month_assets(), resources={"platform": platform})
    checks = {(e.asset_key.to_user_string(), e.check_name): e.passed for e in result.get_asset_check_evaluations()}
    assert {key for key, passed in checks.items() if not passed} == {
        ("cost_by_month", "refusals"),
        ("carbon_by_month", "refusals"),
        ("self_consumption_by_month", "refusals"),
    }
    assert checks[("cost_by_month", "components_add_up")]
    assert checks[("cost_by_month", "energy_is_billed_once")]
    (event,) = result.asset_materializations_for_node("cost_by_month")
    assert event.metadata["latest_month"].value == "2026-04"
    assert event.metadata["latest_month/refused/readings_missing"].value == 1


def test_without_tariffs_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(TariffError, match="set METRIFY_TARIFFS_FILE"):
        compute_costs(Platform(Settings(root=tmp_path), Clock()))  # type: ignore[arg-type]


def test_carbon_follows_the_mix_of_the_points_control_area(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25", ("stray", IMPORT): "0.25"})
    write_points(platform, "TenneT")
    write_grid(platform, {"gas_mw": "600", "wind_onshore_mw": "400"}, "TenneT")
    compute_carbon(platform)
    house, stray = rows_of(platform, CARBON_BY_MONTH)
    # 720 kWh x 298.4 g; one of 96 slots is an estimate.
    assert (house["carbon_kg"], house["estimated_carbon_kg"]) == (Decimal("214.848"), Decimal("2.238"))
    assert (stray["carbon_kg"], stray["refusal"]) == (None, "no_control_area")


def test_carbon_without_a_mix_is_refused_with_its_energy(platform: Platform) -> None:
    write_readings(platform, {("house", IMPORT): "0.25"})
    write_points(platform, "Amprion")
    compute_carbon(platform)
    (house,) = rows_of(platform, CARBON_BY_MONTH)
    assert (house["refusal"], house["refused_hours"], house["refused_kwh"]) == ("mix_missing", 720.0, 720)


def test_self_consumption_is_generation_less_feed_in(platform: Platform) -> None:
    channels = {("roof", IMPORT): "0.1", ("roof", EXPORT): "0.3", ("panels", EXPORT): "0.4", ("other", EXPORT): "0.2"}
    write_readings(platform, channels)
    compute_self_consumption(platform)
    rows = {row["point_id"]: row for row in rows_of(platform, SELF_CONSUMPTION_BY_MONTH)}
    assert set(rows) == {"roof", "other"}
    assert (rows["roof"]["self_consumed_kwh"], rows["roof"]["self_consumption_share"]) == (288, 0.25)
    assert (rows["roof"]["self_sufficiency_share"], rows["roof"]["estimated_kwh"]) == (0.5, 3)
    assert (rows["other"]["refusal"], rows["other"]["fed_in_kwh"]) == ("no_generation_meter", 576)
