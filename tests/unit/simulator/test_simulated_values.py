"""The true values look like a utility's."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest

from metrify_assets.simulator.incidents import NEVER, incidents
from metrify_assets.simulator.interval_files import with_interval
from metrify_assets.simulator.load import block_values, break_constant_runs, day_values
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.population import EXPORT_OBIS, point_block
from metrify_assets.simulator.register_reads import block_reads
from metrify_assets.simulator.registry_tables import registry_table
from metrify_assets.simulator.status_files import CAPACITIES_MW, grid_file, weather_file
from metrify_assets.simulator.weather import hourly_weather, sine_of_elevation
from metrify_assets.vee.delivery_day import DeliveryDay, to_microseconds


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_year_adds_up_to_about_the_annual_forecast():
    plan = SimulationPlan(points=80, days=365, first_day=date(2026, 1, 1))
    forecast = registry_table(plan, "points")["annual_kwh"].to_numpy()
    every_fifth = plan.delivery_days[::5]
    measured = sum(day_values(plan, day).wh.sum(axis=1) for day in every_fifth) * 5 / 1000
    assert measured.sum() == pytest.approx(forecast.sum(), rel=0.05)
    np.testing.assert_allclose(measured / forecast, 1.0, atol=0.3)


def test_registry_rows_and_channels_stand_in_the_same_order():
    plan = SimulationPlan(points=1_100)  # more than two blocks of one vendor
    points = registry_table(plan, "points")
    values = day_values(plan, plan.delivery_days[0])
    assert points["point_id"].to_pylist() == values.point_ids
    assert points["obis_code"].to_pylist() == values.obis_codes


def test_pv_feeds_in_at_noon_and_never_at_night(utility):
    sums = defaultdict(int)
    for (_, obis, start), wh in utility.truth.items():
        if obis == EXPORT_OBIS:
            sums[start.hour] += wh
    # End of March in Germany: the sun rises after 04:30 UTC and sets before 18:30 UTC.
    sunny = [hour for hour in range(24) if sums[hour] > 0]
    assert sunny[0] >= 4
    assert sunny[-1] <= 18
    assert max(sums, key=sums.get) in (10, 11, 12)


def test_no_value_exceeds_the_connection(utility):
    assert all(0 <= wh <= utility.connection_kw[key[0]] * 250 for key, wh in utility.truth.items())


def test_households_use_more_in_the_evening_than_at_night_and_businesses_less_on_sundays():
    plan = SimulationPlan(points=400)
    classes = np.array(registry_table(plan, "points")["point_class"].to_pylist())
    monday, sunday = (day_values(plan, DeliveryDay(date(2026, 3, day))).wh for day in (2, 8))
    household, business = classes == "household", classes == "business"
    assert monday[household, 72:80].sum() > 2.5 * monday[household, 8:16].sum()
    assert sunday[business].sum() < 0.6 * monday[business].sum()


def test_the_mean_working_day_of_households_has_the_shape_of_the_standard_profile():
    with files("metrify_assets.reference").joinpath("profiles", "h0.csv").open(encoding="utf-8") as source:
        profile = np.array([float(row["winter_workday"]) for row in csv.DictReader(source)])
    plan = SimulationPlan(points=800)
    household = np.array(registry_table(plan, "points")["point_class"].to_pylist()) == "household"
    # Winter of the profile lasts until 20 March: three weeks of working days.
    days = [DeliveryDay(date(2026, 3, day)) for day in range(2, 20) if date(2026, 3, day).weekday() < 5]
    mean = np.mean([day_values(plan, day).wh[household].mean(axis=0) for day in days], axis=0)
    assert np.corrcoef(mean, profile)[0, 1] > 0.9
    assert 70 <= int(mean.argmax()) <= 80  # 17:30 to 20:00


def test_heat_pumps_use_more_on_a_colder_day():
    plan = SimulationPlan(points=400)
    classes = np.array(registry_table(plan, "points")["point_class"].to_pylist())
    days = [DeliveryDay(date(2026, month, 1)) for month in range(1, 13)]
    temperature = [hourly_weather(plan.seed, day.start, day.end).temperature_c.mean() for day in days]
    energy = [day_values(plan, day).wh[classes == "heat_pump"].sum() for day in days]
    assert np.corrcoef(temperature, energy)[0, 1] < -0.9


def test_constant_runs_are_broken_before_two_hours_even_across_midnight():
    wh = break_constant_runs(np.full((1, 2 * 96), 7, dtype=np.int32).reshape(2, 96)).ravel()
    runs = np.diff(np.flatnonzero(np.concatenate([[True], np.diff(wh) != 0, [True]])))
    assert runs.max() < 8
    assert set(wh.tolist()) == {7, 8}


def test_zeros_stay_zero_when_constant_runs_are_broken():
    assert not break_constant_runs(np.zeros((1, 96), dtype=np.int32)).any()


def test_the_sun_stands_where_astronomy_says():
    # Highest in Berlin at the June solstice: 90 - 52.4 + 23.4 = 61.0 degrees, close to 13:06 summer time.
    noon = to_microseconds(datetime(2026, 6, 21, 11, 8, tzinfo=UTC))
    berlin = np.degrees(np.arcsin(sine_of_elevation(np.array([noon]))[4, 0]))
    assert berlin == pytest.approx(61.0, abs=0.3)


def test_a_weather_year_is_german():
    start = DeliveryDay(date(2026, 1, 1)).start
    weather = hourly_weather(20260301, start, start + 365 * 86_400_000_000)
    assert weather.temperature_c.mean() == pytest.approx(9.5, abs=1.0)
    assert -20 < weather.temperature_c.min() < -3
    assert 24 < weather.temperature_c.max() < 40
    assert 950 < weather.global_radiation_wm2.sum(axis=1).mean() / 1_000 < 1_350  # kWh/m2
    assert weather.humidity_pct.min() >= 0
    assert weather.humidity_pct.max() <= 100


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_weather_file_holds_the_hours_of_the_local_day(day, hours):
    rows = rows_of(weather_file(SimulationPlan(), DeliveryDay(date.fromisoformat(day))))
    assert set(Counter(row["station_id"] for row in rows).values()) == {hours}
    first = datetime.fromisoformat(rows[0]["observed_at"])
    assert [datetime.fromisoformat(row["observed_at"]) - first for row in rows[:hours]] == [
        timedelta(hours=hour) for hour in range(hours)
    ]


@pytest.mark.parametrize(("day", "slots"), [("2026-03-28", 96), ("2026-03-29", 92), ("2026-10-25", 100)])
def test_a_grid_file_holds_every_slot_area_and_metric(day, slots):
    rows = rows_of(grid_file(SimulationPlan(), DeliveryDay(date.fromisoformat(day))))
    assert len(rows) == slots * 4 * 3
    assert len({(row["timestamp_utc"], row["control_area"], row["metric"]) for row in rows}) == len(rows)
    assert {row["control_area"] for row in rows} == set(CAPACITIES_MW)
    load = [float(row["value"]) for row in rows if row["metric"] == "load_mw"]
    assert min(load) > 2_000
    assert max(load) < 35_000
    assert all(float(row["value"]) >= 0 for row in rows)


def test_other_intervals_keep_the_energy_of_every_slot_or_hour():
    wh = np.array([100, 101, 0, 7])
    assert with_interval(wh, 60).tolist() == [208]
    assert with_interval(wh, 5).reshape(4, 3).tolist() == [[33, 33, 34], [33, 34, 34], [0, 0, 0], [2, 2, 3]]


def test_no_energy_flows_during_an_outage_and_all_else_is_as_without():
    plan = SimulationPlan(points=80, outage_rate=1.0)
    block_incidents = incidents(plan, 0, 0)
    block = point_block(plan, 0, 0)
    offset = int(block_incidents.outage_day[0])
    with_outage = block_values(plan, block, plan.delivery_days[offset])
    without = block_values(replace(plan, outage_rate=0.0), block, plan.delivery_days[offset])
    slots = block_incidents.outage_slots(offset, with_outage.shape[1])[block.channel_point]
    assert not with_outage[slots].any()
    np.testing.assert_array_equal(with_outage[~slots], without[~slots])


def test_incidents_do_not_meet_on_a_point():
    block_incidents = incidents(SimulationPlan(outage_rate=1.0, silence_rate=0.3, unit_mismatch_rate=1.0), 0, 0)
    silent = block_incidents.silence_start != NEVER
    assert 0 < silent.sum() < len(silent)
    assert not (silent & ((block_incidents.outage_day != NEVER) | (block_incidents.unit_day != NEVER))).any()
    assert not ((block_incidents.outage_day == block_incidents.unit_day) & (block_incidents.unit_day != NEVER)).any()
    assert (block_incidents.silence_end - block_incidents.silence_start)[silent].min() >= 15


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_which_register_reads_are_too_low_is_a_mask_of_points_on_the_first_days_too(offset):
    reads = block_reads(SimulationPlan(points=60, register_share=1.0, register_decrease_rate=0.5), 0, 0, offset)
    assert reads.decreased.dtype == bool
    assert reads.decreased.shape == reads.there.shape
    if offset < 2:
        assert not reads.decreased.any()
