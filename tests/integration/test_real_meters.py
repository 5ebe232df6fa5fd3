"""A year of real half-hourly households, from the inbox to the marts, against numbers worked out by hand."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.vee.codes import Flag
from tests.harness import installation
from tests.integration import independent as by_hand
from tests.integration import real_runs as run
from tests.real_data import require

pytestmark = [pytest.mark.dbt, pytest.mark.real_data, pytest.mark.timeout(1_800)]

LONDON = {
    # Rows in the file, as the catalogue counts them: 17,520 less the gaps, or an early end.
    "MAC000002": 17_520,
    "MAC000003": 17_518,
    "MAC000009": 17_511,
    "MAC000012": 17_519,
    "MAC000016": 721,
    "MAC000037": 17_519,
    "MAC000051": 17_462,
    "MAC000080": 7_103,
}
MOVED_OUT = {"MAC000080": date(2013, 5, 30)}
"""Ends of validity; MAC000016 falls silent on 16 January while its registry row stays open."""
LONDON_DAYS = by_hand.days_from(date(2013, 1, 1), date(2014, 1, 1))
"""GMT runs an hour behind Berlin: the year's last two half-hours belong to the next year's first day there."""


@pytest.fixture(scope="module")
def london_files():
    """What the files of the London households say: micro-kWh by start, by household."""
    folder = require("meters/lcl_halfhourly")
    values = {}
    for point in LONDON:
        rows = by_hand.rows_of(folder / f"{point}.csv")
        assert {row[0] for row in rows} == {point}
        values[point] = {by_hand.utc(stamp): by_hand.micro(value) for _, stamp, value in rows}
        assert len(values[point]) == len(rows)
    return values


@pytest.fixture(scope="module")
def london(tmp_path_factory):
    """A run over the eight London households, the whole year 2013."""
    folder = require("meters/lcl_halfhourly")
    root = tmp_path_factory.mktemp("london")
    with installation(root, shards=1, max_days_per_run=400, first_day=date(2013, 1, 1)) as metrify:
        run.put_points(
            metrify,
            *(
                {
                    "point_id": point,
                    "obis_code": run.IMPORT,
                    "interval_minutes": 30,
                    "valid_from": "2013-01-01",
                    "valid_to": MOVED_OUT.get(point, ""),
                }
                for point in LONDON
            ),
        )
        for point in LONDON:
            metrify.put("lcl_halfhourly", folder / f"{point}.csv")
        assert metrify.settle() == ["ingest", "delivery_days"]
        yield metrify


@pytest.fixture(scope="module")
def london_clean(london_files):
    """Every clean slot of the London households, worked out by hand."""
    cleaned = {}
    for point, values in london_files.items():
        days = [day for day in LONDON_DAYS if point not in MOVED_OUT or day < MOVED_OUT[point]]
        delivered = {start: (value, "measured") for start, value in values.items()}
        cleaned[point] = by_hand.clean_slots(delivered, days, 30)
    return cleaned


def test_every_row_of_the_london_files_is_in_raw(london, london_files):
    raw = london.query(f"select point_id, count(*), sum(value) from {run.raw_table(london, 'raw_readings')} group by 1")
    assert {point: rows for point, rows, _ in raw} == LONDON
    assert {p: run.in_micro(total) for p, _, total in raw} == {p: sum(v.values()) for p, v in london_files.items()}
    assert run.quarantined(london, "lcl_halfhourly") == []


def test_nothing_of_london_is_lost_or_counted_twice(london):
    rows = sum(LONDON.values())
    expected = {"raw": rows, "current": rows, "measured": rows}
    assert {name: count for name, count in run.tally(london).items() if count} == expected
    assert run.failed_checks(london) == []


def test_london_days_have_the_slots_that_berlin_clocks_give_them(london):
    rows = london.query(
        "select day, count(*) from staging.stg_smart_meter_readings where point_id = 'MAC000002' group by 1 order by 1"
    )
    assert [day for day, _ in rows] == LONDON_DAYS
    assert {day: slots for day, slots in rows if slots != 48} == {date(2013, 3, 31): 46, date(2013, 10, 27): 50}


@pytest.mark.parametrize("point", LONDON)
def test_every_london_slot_has_the_value_status_and_method_worked_out_by_hand(london, london_clean, point):
    assert run.clean_slots(london, point) == london_clean[point]


def test_the_58_missing_half_hours_of_one_household_are_interpolated_where_short_and_like_day_where_long(london):
    slots = [slot for slot in run.clean_slots(london, "MAC000051").values() if slot.status != "measured"]
    counts = {method: sum(slot.method == method for slot in slots) for method in ("linear", "like_day", None)}
    # Eight gaps: six of one half-hour and one of four are interpolated, one of 48 is not; the year begins an hour late
    # in Berlin (two slots without any history) and its last day is the next year's first (46 slots).
    assert counts == {"linear": 6 + 4, "like_day": 48 + 46, None: 2}


def test_zeros_of_a_silent_household_stay_measured_and_are_flagged_by_the_day(london, london_files):
    values = london_files["MAC000037"]
    quiet = {day for day in LONDON_DAYS if all(values.get(start) == 0 for start in by_hand.slots_of(day, 30))}
    rows = london.query(
        "select day, count(*) from staging.stg_smart_meter_readings "
        f"where point_id = 'MAC000037' and flags & {int(Flag.ZERO_RUN)} > 0 group by 1"
    )
    assert quiet
    assert dict(rows) == {day: len(by_hand.slots_of(day, 30)) for day in quiet}


@pytest.mark.parametrize("point", LONDON)
def test_the_daily_mart_of_london_adds_up(london, london_clean, point):
    clean = london_clean[point]
    days = [day for day in LONDON_DAYS if point not in MOVED_OUT or day < MOVED_OUT[point]]
    expected = {}
    for day in days:
        slots = [clean[start] for start in by_hand.slots_of(day, 30)]
        missing = sum(slot.value is None for slot in slots)
        energy = None if missing else sum(slot.value for slot in slots)
        by_status = [sum(slot.status == status for slot in slots) for status in ("measured", "estimated")]
        expected[day] = (energy, len(slots), *by_status, missing)
    assert run.daily(london, point) == expected


def test_the_hourly_mart_of_london_adds_up(london, london_clean):
    for point, clean in london_clean.items():
        hours = {start: (clean[start], clean[start + 1800]) for start in clean if start % 3600 == 0}
        expected = {
            start: (
                None if None in (first.value, second.value) else first.value + second.value,
                by_hand.berlin(start).hour,
            )
            for start, (first, second) in hours.items()
        }
        assert run.hourly(london, point) == expected


def test_a_second_look_at_the_inbox_starts_nothing(london):
    assert london.settle() == []
