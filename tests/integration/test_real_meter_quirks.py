"""What is odd about real meter files: duplicates, a zero-filled hour, counters with gaps and filled-in reads.

Periods are cut out of the files, row by row; every row that is kept is as its sender wrote it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest

from metrify_assets.vee.codes import Flag
from tests.harness import installation
from tests.integration import independent as by_hand
from tests.integration import real_runs as run
from tests.real_data import require

pytestmark = [pytest.mark.dbt, pytest.mark.real_data, pytest.mark.timeout(1_800)]

TRIAL_EXPORT = """
name: trial_export
description: The London trial as its operator first published it.
kind: readings
format: delimited
files: "CC_LCL*.csv"
header: [LCLid, stdorToU, DateTime, KWH/hh (per half hour)]
sentinels: ["Null"]
stamp: {columns: [DateTime], format: iso, timezone: UTC}
interval_minutes: 30
point: {column: LCLid, prefix: "london-"}
obis: "1-0:1.29.0"
unit: kWh
values: [{column: KWH/hh (per half hour)}]
"""
"""All that a new vendor's CSV needs."""
TRIAL_DAYS = by_hand.days_from(date(2012, 10, 12), date(2012, 11, 24))

SPRING = by_hand.days_from(date(2012, 3, 24), date(2012, 3, 26))
AUTUMN = by_hand.days_from(date(2012, 10, 27), date(2012, 10, 29))

HOUSE = "DE_KN_residential4"
HOUSE_DAYS = by_hand.days_from(date(2015, 10, 12), date(2015, 11, 16))
COUNTERS = {
    (HOUSE, "1-0:1.8.0"): f"{HOUSE}_grid_import",
    (HOUSE, "1-0:2.8.0"): f"{HOUSE}_grid_export",
    (f"{HOUSE}_pv", "1-0:2.8.0"): f"{HOUSE}_pv",
    (f"{HOUSE}_heat_pump", "1-0:1.8.0"): f"{HOUSE}_heat_pump",
    (f"{HOUSE}_freezer", "1-0:1.8.0"): f"{HOUSE}_freezer",
}


def _trial_rows():
    return by_hand.rows_of(require("meters/lcl_raw/CC_LCL-FullData_sample.csv"))


def _stamp(row: list[str]) -> datetime:
    return datetime.strptime(f"{row[0]} {row[1]}", "%d.%m.%Y %H:%M")


def _end_stamped_rows() -> list[list[str]]:
    """Return the rows whose quarter hour lies in one of the days looked at; the stamp is its end."""
    rows = by_hand.rows_of(require("meters/lastgang_end_stamped/lastgangdaten.csv"), delimiter=";", header=False)
    return [row for row in rows if (_stamp(row) - timedelta(minutes=15)).date() in {*SPRING, *AUTUMN}]


def _house_rows() -> list[dict[str, str]]:
    path = require("meters/opsd_household/household_data_60min_singleindex.csv")
    header, *rows = by_hand.rows_of(path, header=False)
    records = (dict(zip(header, row, strict=True)) for row in rows)
    return [row for row in records if by_hand.berlin(_house_instant(row)).date() in set(HOUSE_DAYS)]


def _house_instant(row: dict[str, str]) -> int:
    return by_hand.utc(row["utc_timestamp"].removesuffix("Z"))


def _csv(rows: list[list[str]], delimiter: str) -> bytes:
    return "".join(delimiter.join(row) + "\r\n" for row in rows).encode()


@pytest.fixture(scope="module")
def metrify(tmp_path_factory):
    """One run over all of them; their days do not meet, except in autumn 2012."""
    trial = require("meters/lcl_raw/CC_LCL-FullData_sample.csv")
    house = _house_rows()
    root = tmp_path_factory.mktemp("quirks")
    feeds = root / "feeds"
    feeds.mkdir()
    (feeds / "trial_export.yaml").write_text(TRIAL_EXPORT)
    with installation(root, shards=1, max_days_per_run=400, first_day=date(2012, 1, 1), feeds_dir=feeds) as installed:
        since_2012 = {"valid_from": "2012-01-01"}
        run.put_points(
            installed,
            {"point_id": "london-MAC000002", "obis_code": run.IMPORT, "interval_minutes": 30, **since_2012},
            {"point_id": "lastgangdaten", "obis_code": run.IMPORT, "interval_minutes": 15, **since_2012},
            *(
                {"point_id": point, "obis_code": obis, "interval_minutes": 60, "valid_from": "2015-10-01"}
                for point, obis in COUNTERS
            ),
        )
        installed.put("trial_export", trial)
        installed.put("lastgang_end_stamped", _csv(_end_stamped_rows(), ";"), "lastgangdaten.csv")
        installed.put(
            "opsd_household",
            _csv([list(house[0]), *(list(row.values()) for row in house)], ","),
            "household_data_60min_cut.csv",
        )
        assert installed.settle() == ["ingest", *["delivery_days"] * 3]
        yield installed


def test_a_new_vendors_file_needs_a_page_of_yaml_and_no_code(metrify):
    rows = _trial_rows()
    [(count, total)] = metrify.query(
        f"select count(*), sum(value) from {run.raw_table(metrify, 'raw_readings')} where feed = 'trial_export'"
    )
    assert (count, run.in_micro(total)) == (2_022, sum(by_hand.micro(row[3]) for row in rows))
    assert run.quarantined(metrify, "trial_export") == []


def test_rows_that_come_twice_count_once_and_are_flagged(metrify):
    rows = _trial_rows()
    starts = [by_hand.utc(row[2][:19]) for row in rows]
    twice = {start for start in starts if starts.count(start) == 2}
    assert len(twice) == 2
    assert len(rows) - len(set(starts)) == 2
    flagged = metrify.query(
        "select epoch_us(interval_start) // 1000000, version from staging.stg_smart_meter_readings "
        f"where point_id = 'london-MAC000002' and flags & {int(Flag.DUPLICATE)} > 0"
    )
    assert dict(flagged) == dict.fromkeys(twice, 1)
    assert run.tally(metrify)["identical"] == 2


def test_every_slot_of_the_trial_export_is_as_worked_out_by_hand(metrify):
    delivered = {by_hand.utc(row[2][:19]): (by_hand.micro(row[3]), "measured") for row in _trial_rows()}
    expected = by_hand.clean_slots(delivered, TRIAL_DAYS, 30)
    cleaned = run.clean_slots(metrify, "london-MAC000002")
    assert {start: slot for start, slot in cleaned.items() if start in expected} == expected
    # The registry expects the meter on every other day as well, if only something arrives for that day.
    others = [slot for start, slot in cleaned.items() if start not in expected]
    assert all(slot.status != "measured" for slot in others)
    assert sum(slot.status == "measured" for slot in cleaned.values()) == 2_020


def test_the_hour_that_the_clocks_skip_goes_to_quarantine_although_its_sender_filled_it_with_zeros(metrify):
    rows = run.quarantined(metrify, "lastgang_end_stamped")
    assert {(reason, cells, day) for reason, _, _, cells, day in rows} == {("nonexistent_local_time", 1, None)}
    assert [payload for _, _, payload, _, _ in rows] == [
        "25.03.2012;02:15;0",
        "25.03.2012;02:30;0",
        "25.03.2012;02:45;0",
        "25.03.2012;03:00;0",
    ]
    numbers = [
        number
        for number, row in enumerate(_end_stamped_rows(), start=1)
        if ";".join(row[:2]) in {f"25.03.2012;{time}" for time in ("02:15", "02:30", "02:45", "03:00")}
    ]
    assert [number for _, number, *_ in rows] == numbers


def test_end_stamped_days_are_whole_on_both_clock_changes(metrify):
    rows = _end_stamped_rows()
    starts = by_hand.local_instants(_stamp(row) - timedelta(minutes=15) for row in rows)
    expected = {
        start: by_hand.Slot(by_hand.micro(row[2].replace(",", "."), Fraction(1, 4)), "measured", None)
        for start, row in zip(starts, rows, strict=True)
        if start is not None
    }
    assert len(expected) == len(rows) - 4 == 3 * 96 - 4 + 3 * 96 + 4
    cleaned = run.clean_slots(metrify, "lastgangdaten")
    assert {start: slot for start, slot in cleaned.items() if slot.status == "measured"} == expected
    days = run.daily(metrify, "lastgangdaten")
    assert [days[day][1:3] for day in SPRING] == [(96, 96), (92, 92), (96, 96)]
    assert [days[day][1:3] for day in AUTUMN] == [(96, 96), (100, 100), (96, 96)]


def _reads(column: str) -> dict[int, tuple[int, str]]:
    """Return the counter's states that its sender gave, and whether he had filled them in himself."""
    return {
        _house_instant(row): (
            by_hand.micro(row[column]),
            "substitute" if column in row["interpolated_values"].split(" | ") else "measured",
        )
        for row in _house_rows()
        if row[column]
    }


def test_every_cell_of_the_counters_is_in_raw_blank_ones_as_null(metrify):
    rows = metrify.query(
        "select point_id, obis_code, count(*), count(value), sum(value), min(kind) "
        f"from {run.raw_table(metrify, 'raw_readings')} where feed = 'opsd_household' group by 1, 2"
    )
    counts = {
        (point, obis): (cells, reads, run.in_micro(total), kind) for point, obis, cells, reads, total, kind in rows
    }
    assert len(counts) == 9
    for key, column in COUNTERS.items():
        reads = [value for value, _ in _reads(column).values()]
        assert counts[key] == (len(_house_rows()), len(reads), sum(reads), "register")


def _house_slots(metrify, key: tuple[str, str], column: str) -> dict[int, by_hand.Slot]:
    """Return every slot of a counter as worked out by hand; which values are outliers, the rules have said."""
    reads = _reads(column)
    delivered = by_hand.register_slots(reads, 60)
    estimated = by_hand.clean_slots(delivered, HOUSE_DAYS, 60, run.outliers(metrify, *key))
    return by_hand.scaled(estimated, reads, 60)


@pytest.mark.parametrize(("key", "column"), COUNTERS.items(), ids=COUNTERS.values())
def test_intervals_are_differences_of_neighbouring_reads_and_the_rest_is_estimated_or_missing(metrify, key, column):
    expected = _house_slots(metrify, key, column)
    assert len(expected) == len(HOUSE_DAYS) * 24 + 1
    assert run.clean_slots(metrify, *key) == expected


@pytest.mark.parametrize(("key", "column"), COUNTERS.items(), ids=COUNTERS.values())
def test_between_two_missing_reads_the_intervals_add_up_to_the_counter(metrify, key, column):
    reads = _reads(column)
    clean = run.clean_slots(metrify, *key)
    firsts = sorted(start for start in reads if start - 3600 not in reads)
    lasts = sorted(start for start in reads if start + 3600 not in reads)
    assert len(firsts) >= 5
    for first, last in zip(firsts, lasts, strict=True):
        energy = sum(clean[start].value for start in range(first, last, 3600))
        assert energy == reads[last][0] - reads[first][0]


@pytest.mark.parametrize("key", [key for key in COUNTERS if key[0] != HOUSE], ids="-".join)
def test_estimates_between_two_reads_add_up_to_what_the_counter_counted(metrify, key):
    # The house's own counters lack reads where nothing like it is known yet: their missing slots stay missing.
    reads = _reads(COUNTERS[key])
    clean = run.clean_slots(metrify, *key)
    measured = sorted(start for start, (_, said) in reads.items() if said == "measured")
    slots = [clean[start] for start in range(measured[0], measured[-1], 3600)]
    assert all(slot.value is not None for slot in slots)
    assert sum(slot.value for slot in slots) == reads[measured[-1]][0] - reads[measured[0]][0]


def test_the_daily_mart_tells_what_the_sender_filled_in(metrify):
    for key, column in COUNTERS.items():
        clean = _house_slots(metrify, key, column)
        expected = {}
        for day in HOUSE_DAYS:
            slots = [clean[start] for start in by_hand.slots_of(day, 60)]
            missing = sum(slot.value is None for slot in slots)
            by_status = [sum(slot.status == status for slot in slots) for status in ("measured", "estimated")]
            energy = None if missing else sum(slot.value for slot in slots)
            expected[day] = (energy, len(slots), *by_status, missing)
        assert run.daily(metrify, *key) == expected


def test_values_are_conserved_and_the_checks_pass(metrify):
    counts = run.tally(metrify)
    intervals = 2_022 + len(_end_stamped_rows()) - 4
    assert counts["raw"] == intervals
    assert counts["measured"] == counts["current"] == intervals - counts["identical"]
    assert counts["register_reads"] == 9 * len(_house_rows())
    assert run.failed_checks(metrify) == []
