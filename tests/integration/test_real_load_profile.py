"""A year of a real load profile in local time, from the inbox to the marts, against numbers worked out by hand."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction

import pytest

from tests.harness import installation
from tests.integration import independent as by_hand
from tests.integration import real_runs as run
from tests.real_data import require

pytestmark = [pytest.mark.dbt, pytest.mark.real_data, pytest.mark.timeout(1_800)]

FACTORY_DAYS = by_hand.days_from(date(2021, 1, 1), date(2021, 12, 31))


@pytest.fixture(scope="module")
def factory_file():
    """Stamp (wall clock) and text of every row of a load profile, in file order."""
    rows = by_hand.rows_of(require("meters/lastgang/loadprofile_1.csv"), delimiter=";")
    return [(datetime.strptime(f"{day} {time}", "%d.%m.%Y %H:%M"), kw.replace(",", ".")) for day, time, kw in rows]


@pytest.fixture(scope="module")
def factory_slots(factory_file):
    """Micro-kWh by start: a quarter of the mean power."""
    starts = by_hand.local_instants(stamp for stamp, _ in factory_file)
    slots = {start: by_hand.micro(kw, Fraction(15, 60)) for start, (_, kw) in zip(starts, factory_file, strict=True)}
    assert None not in slots
    assert len(slots) == len(factory_file) == 35_040
    return slots


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    """A run over one industrial load profile, the whole year 2021."""
    path = require("meters/lastgang/loadprofile_1.csv")
    root = tmp_path_factory.mktemp("factory")
    with installation(root, shards=1, max_days_per_run=400, first_day=date(2021, 1, 1)) as metrify:
        point = {"point_id": "loadprofile_1", "obis_code": run.IMPORT, "interval_minutes": 15}
        run.put_points(metrify, {**point, "valid_from": "2021-01-01", "connection_kw": 2000})
        metrify.put("lastgang", path)
        assert metrify.settle() == ["ingest", "delivery_days"]
        yield metrify


def test_every_quarter_hour_of_a_local_time_year_is_measured_once(factory, factory_slots):
    expected = {start: by_hand.Slot(value, "measured", None) for start, value in factory_slots.items()}
    assert run.clean_slots(factory, "loadprofile_1") == expected
    assert run.quarantined(factory, "lastgang") == []
    assert run.failed_checks(factory) == []


def test_raw_keeps_kilowatts_and_the_marts_hold_their_kilowatt_hours(factory, factory_file):
    raw = factory.query(
        f"select count(*), sum(value), min(unit), max(unit) from {run.raw_table(factory, 'raw_readings')}"
    )
    kw = sum(by_hand.micro(text) for _, text in factory_file)
    assert [(rows, run.in_micro(total), *units) for rows, total, *units in raw] == [(35_040, kw, "kW", "kW")]
    [(kwh,)] = factory.query("select sum(energy_kwh) from metrics.daily_consumption_metrics")
    assert run.in_micro(kwh) * 4 == kw


def test_the_days_of_the_clock_change_have_92_and_100_quarter_hours(factory):
    slots = {day: expected for day, (_, expected, *_) in run.daily(factory, "loadprofile_1").items()}
    assert sorted(slots) == FACTORY_DAYS
    assert {day: n for day, n in slots.items() if n != 96} == {date(2021, 3, 28): 92, date(2021, 10, 31): 100}


def test_the_energy_of_every_day_is_that_of_its_rows(factory, factory_file):
    by_date: dict[date, list[str]] = {}
    for stamp, kw in factory_file:
        by_date.setdefault(stamp.date(), []).append(kw)
    expected = {day: sum(by_hand.micro(kw) for kw in values) for day, values in by_date.items()}
    daily = run.daily(factory, "loadprofile_1")
    assert {day: 4 * energy for day, (energy, *_) in daily.items()} == expected
    assert {day: (n, measured) for day, (_, n, measured, *_) in daily.items()} == {
        day: (len(values), len(values)) for day, values in by_date.items()
    }


def test_the_repeated_hour_keeps_both_of_its_passes_apart(factory, factory_file):
    first, second = (
        [
            by_hand.micro(kw)
            for stamp, kw in factory_file
            if datetime(2021, 10, 31, 2) <= stamp < datetime(2021, 10, 31, 3)
        ][half]
        for half in (slice(0, 4), slice(4, 8))
    )
    assert sum(first) != sum(second)
    hours = run.hourly(factory, "loadprofile_1")
    autumn = {start: hour for start, hour in hours.items() if by_hand.berlin(start).date() == date(2021, 10, 31)}
    assert [hour for _, (_, hour) in sorted(autumn.items())] == [0, 1, 2, 2, *range(3, 24)]
    assert 4 * autumn[by_hand.utc("2021-10-31 00:00")][0] == sum(first)
    assert 4 * autumn[by_hand.utc("2021-10-31 01:00")][0] == sum(second)
    spring = [hour for start, (_, hour) in sorted(hours.items()) if by_hand.berlin(start).date() == date(2021, 3, 28)]
    assert spring == [0, 1, *range(3, 24)]


def test_the_peak_of_the_year_is_the_largest_number_in_the_file(factory, factory_file):
    largest = max(float(kw) for _, kw in factory_file)
    stamp = next(stamp for stamp, kw in factory_file if float(kw) == largest)
    [(peak_kw, peak_at)] = factory.query(
        "select peak_kw, epoch_us(peak_at) // 1000000 from metrics.daily_consumption_metrics order by 1 desc limit 1"
    )
    assert peak_kw == pytest.approx(largest, rel=1e-12)
    assert by_hand.berlin(peak_at).replace(tzinfo=None) == stamp
