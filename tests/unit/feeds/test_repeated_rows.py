"""Rows of one delivery that give a slot different values: which of them count, and what is refused."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from metrify_assets.errors import FeedError
from metrify_assets.feeds import reader
from metrify_assets.feeds.model import Feed, parse_feed
from tests.real_data import require
from tests.unit.feeds.reading import Result, feed, read, write

LONG = {
    "name": "long",
    "description": "A feed of the tests.",
    "kind": "readings",
    "format": "delimited",
    "header": ["point", "channel", "start", "minutes", "kind", "value", "unit", "status"],
    "stamp": {"columns": ["start"], "format": "iso"},
    "interval_minutes": {"column": "minutes"},
    "reading": {"column": "kind", "mapping": {"I": "interval", "R": "register"}},
    "point": {"column": "point"},
    "obis": {"column": "channel"},
    "unit": {"column": "unit"},
    "status": {"column": "status", "mapping": {"W": "measured", "E": "substitute", "M": "missing"}},
    "values": [{"column": "value"}],
}
TWO_COLUMNS = {
    **LONG,
    "header": ["point", "start", "in", "out"],
    "interval_minutes": 15,
    "reading": "interval",
    "obis": None,
    "unit": "kWh",
    "status": None,
    "values": [{"column": "in", "obis": "1-0:1.29.0"}, {"column": "out", "obis": "1-0:2.29.0"}],
}


def of(declared: dict, **changes: object) -> Feed:
    return parse_feed({**declared, **changes})


def line(value: object, *, point="A", channel="1-0:1.29.0", slot=0, minutes=15, kind="I", unit="kWh", status="W"):
    stamp = f"2026-03-01T{slot // 4:02}:{15 * (slot % 4):02}:00Z"
    return f"{point},{channel},{stamp},{minutes},{kind},{value},{unit},{status}"


def long(tmp_path: Path, *lines: str, **changes: object) -> Result:
    declared = of(LONG, **changes)
    return read(declared, write(tmp_path, "file.csv", "\n".join([",".join(LONG["header"]), *lines]) + "\n"))


def refused(result: Result) -> list[tuple[int, str, int]]:
    return [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine]


def test_all_rows_of_a_slot_with_different_values_are_refused_as_they_came(tmp_path):
    lines = [line("5.1"), line("1", slot=1), line("500"), line("0"), line("2", slot=2)]
    result = long(tmp_path, *lines)
    assert result.values == [1, 2]
    assert refused(result) == [(number, "contradicting_rows", 1) for number in (1, 3, 4)]
    assert [row["payload"].partition("'")[0] for row in result.quarantine] == [lines[0], lines[2], lines[3]]
    assert result.quarantine[0]["detail"] == (
        "expected one value per slot, or the same one again, found another for '2026-03-01T00:00:00Z' than value: '5.1'"
    )
    assert (result.report.repeated_slots, result.report.contradicting_slots) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        line("5.10"),
        line("5100", unit="Wh"),
        line("20.4", unit="kW"),
        line("5.1", status="E"),
        line(""),
        line("9", status="M"),
        line("9", channel="1-0:2.29.0"),
        line("9", point="B"),
        line("9", kind="R"),
        line("9", minutes=30),
        line("9", unit="kvarh"),
    ],
    ids=["digits", "Wh", "kW", "status", "blank", "missing", "channel", "point", "register", "length", "quantity"],
)
def test_rows_that_contradict_nothing(tmp_path, other):
    result = long(tmp_path, line("5.1"), other)
    assert (refused(result), len(result.rows)) == ([], 2)


@pytest.mark.parametrize("seconds", ["01", "59"])
def test_stamps_a_few_seconds_apart_are_of_one_slot_as_validation_takes_them(tmp_path, seconds):
    earlier = {"01": "00:00:01", "59": "23:59:59"}[seconds]
    day = "2026-03-01" if seconds == "01" else "2026-02-28"
    other = line("0").replace("2026-03-01T00:00:00Z", f"{day}T{earlier}Z")
    result = long(tmp_path, line("5.1"), other, line("2", slot=2))
    assert result.values == [2]
    assert [reason for _, reason, _ in refused(result)] == ["contradicting_rows"] * 2


def test_a_stamp_that_validation_does_not_snap_is_no_value_of_the_slot(tmp_path):
    other = line("0").replace("00:00:00Z", "00:03:01Z")
    assert refused(long(tmp_path, line("5.1"), other)) == []


@pytest.mark.parametrize("other", [line("5.1", unit="Wh"), line("5.2", status="E")])
def test_another_energy_contradicts_in_whatever_unit_and_status(tmp_path, other):
    assert refused(long(tmp_path, line("5.1"), other)) == [(1, "contradicting_rows", 1), (2, "contradicting_rows", 1)]


def test_register_reads_of_one_stamp_with_different_states_are_refused(tmp_path):
    reads = [line("100", kind="R"), line("101", kind="R"), line("102", kind="R", slot=1)]
    result = long(tmp_path, *reads, line("7", kind="R", channel="1-0:1.8.1"))
    assert result.values == [102, 7]
    assert refused(result) == [(1, "contradicting_rows", 1), (2, "contradicting_rows", 1)]


def test_a_blank_beside_a_contradiction_stays_a_missing_value(tmp_path):
    result = long(tmp_path, line(""), line("1"), line("2"))
    assert result.values == [None]
    assert refused(result) == [(2, "contradicting_rows", 1), (3, "contradicting_rows", 1)]


def test_the_first_counts_where_the_feed_says_so_and_what_differs_from_it_is_refused(tmp_path):
    lines = [line(""), line("1"), line("2"), line("1.0"), line("3"), line("4", slot=1)]
    result = long(tmp_path, *lines, repeated_rows="first")
    assert result.values == [None, 1, 1, 4]
    assert refused(result) == [(3, "contradicting_rows", 1), (5, "contradicting_rows", 1)]
    assert result.quarantine[0]["detail"].startswith("expected the first value of the slot again, found another for")


def test_all_rows_are_read_where_the_last_counts_and_the_slots_are_still_counted(tmp_path):
    result = long(tmp_path, line("1"), line("2"), line("3", slot=1), line("3", slot=1), repeated_rows="last")
    assert (result.values, result.quarantine) == ([1, 2, 3, 3], [])
    assert (result.report.repeated_slots, result.report.contradicting_slots) == (2, 1)


def test_of_a_row_with_several_columns_only_the_cells_that_contradict_are_refused(tmp_path):
    text = "point,start,in,out\nA,2026-03-01T00:00:00Z,1,5\nA,2026-03-01T00:00:00Z,2,5\nA,2026-03-01T00:15:00Z,3,x\n"
    result = read(of(TWO_COLUMNS), write(tmp_path, "file.csv", text))
    assert [(row["row_number"], row["obis_code"], row["value"]) for row in result.rows] == [
        (1, "1-0:2.29.0", 5),
        (2, "1-0:2.29.0", 5),
        (3, "1-0:1.29.0", 3),
    ]
    assert refused(result) == [(1, "contradicting_rows", 1), (2, "contradicting_rows", 1), (3, "bad_number", 1)]
    assert "than in: '1'" in result.quarantine[0]["detail"]
    assert result.quarantine[1]["payload"] == "A,2026-03-01T00:00:00Z,2,5"


def test_a_cell_that_cannot_be_read_beside_one_that_contradicts_is_one_row_with_both(tmp_path):
    text = "point,start,in,out\nA,2026-03-01T00:00:00Z,1,x\nA,2026-03-01T00:00:00Z,2,5\n"
    result = read(of(TWO_COLUMNS), write(tmp_path, "file.csv", text))
    assert refused(result) == [(1, "contradicting_rows", 2), (2, "contradicting_rows", 1)]
    assert result.values == [5]


def test_of_a_line_with_a_column_per_slot_only_the_cells_that_contradict_are_refused(tmp_path):
    declared = of(
        LONG,
        header=["point", "day", "..."],
        slots={"first": "00:00", "last": "18:00", "step_minutes": 360},
        stamp={"columns": ["day", "slot"], "format": "%Y-%m-%d %H:%M"},
        interval_minutes=360,
        reading="interval",
        obis="1-0:1.29.0",
        unit="kWh",
        status=None,
    )
    text = "point,day,00:00,06:00,12:00,18:00\nA,2026-03-01,1,2,3,4\nA,2026-03-01,1,2,9,4\n"
    result = read(declared, write(tmp_path, "file.csv", text))
    assert result.values == [1, 2, 4, 1, 2, 4]
    assert refused(result) == [(1, "contradicting_rows", 1), (2, "contradicting_rows", 1)]


def test_a_day_of_nem12_that_comes_twice_loses_the_intervals_that_differ(tmp_path):
    head = "100,NEM12,202603011135,MDA1,Ret1\n200,NMI0000001,E1,1,E1,N1,METER1,kWh,30,\n"
    ones, other = ["1"] * 48, ["1"] * 46 + ["7", "8"]
    days = "".join(f"300,20260301,{','.join(values)},A,,,20260302120025,\n" for values in (ones, other))
    result = read("nem12", write(tmp_path, "a.csv", head + days + "900\n"))
    assert len(result.values) == 92
    assert refused(result) == [(3, "contradicting_rows", 2), (4, "contradicting_rows", 2)]


@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
def test_contradictions_are_found_between_batches(tmp_path, monkeypatch, size):
    monkeypatch.setattr(reader, "MAX_VALUES_PER_BATCH", size)
    lines = [line(slot, slot=slot, point=point) for point in "AB" for slot in range(6)]
    result = long(tmp_path, *lines, line("2", point="B", slot=2), line("9", slot=4))
    assert refused(result) == [(5, "contradicting_rows", 1), (14, "contradicting_rows", 1)]
    assert len(result.values) == 12
    assert (result.report.repeated_slots, result.report.contradicting_slots) == (2, 1)


def test_files_of_a_zip_are_one_delivery(tmp_path):
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in (("a.csv", "1"), ("b.csv", "2")):
            archive.writestr(name, ",".join(LONG["header"]) + "\n" + line(value) + "\n" + line("7", slot=1) + "\n")
    result = read(of(LONG), path)
    assert result.values == [7, 7]
    # The second file begins with number 3, which stands for it as a whole.
    assert refused(result) == [(1, "contradicting_rows", 1), (4, "contradicting_rows", 1)]
    assert [name for name, _ in result.report.members] == ["a.csv", "b.csv"]


@pytest.mark.real_data
def test_a_real_mscons_file_beside_one_that_changes_a_value_contradicts_it_in_one_slot(tmp_path):
    path = next(require("meters/mscons").glob("*ESLEVU14572840*"))
    content = path.read_bytes()
    alone = read("mscons_ch", path)
    assert (len(alone.rows), alone.report.repeated_slots, alone.quarantine) == (96, 0, [])
    both = tmp_path / f"{path.name}.zip"
    with zipfile.ZipFile(both, "w") as archive:
        archive.writestr(path.name, content)
        archive.writestr("again" + path.name, content.replace(b"QTY+220:36.300'", b"QTY+220:99.000'", 1))
    result = read("mscons_ch", both)
    assert [row["payload"].partition("'")[0] for row in result.quarantine] == ["QTY+220:36.300", "QTY+220:99.000"]
    assert set(result.reasons) == {"contradicting_rows"}
    assert len(result.rows) == 190
    assert (result.report.repeated_slots, result.report.contradicting_slots) == (96, 1)


def test_both_passes_of_the_repeated_hour_are_slots_of_their_own(tmp_path):
    clocks = ["02:00", "02:15", "02:30", "02:45"] * 2
    rows = [f"A;1-0:1.29.0;26.10.2025;{clock};{number},5;W" for number, clock in enumerate(clocks)]
    text = "\n".join(["Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status", *rows])
    result = read("meters_north", write(tmp_path, "north_x.csv", text))
    assert result.quarantine == []
    assert result.values == [Decimal(f"{number}.5") for number in range(8)]


def test_of_messages_and_records_the_last_counts():
    assert feed("meters_mqtt").counting_rows == "last"
    with pytest.raises(FeedError, match="leave out repeated_rows: first"):
        parse_feed({**feed("meters_mqtt").model_dump(), "repeated_rows": "first"})


def test_grid_status_may_say_that_the_first_counts(tmp_path):
    rows = [f"2026-03-01T00:00:00Z,TenneT,load_mw,{value}" for value in (1, 2)]
    declared = feed("grid_status").model_copy(update={"repeated_rows": "first"})
    text = "\n".join(["timestamp_utc,control_area,metric,value", *rows])
    result = read(declared, write(tmp_path, "file.csv", text))
    assert result.values == [1]
    assert refused(result) == [(2, "contradicting_rows", 1)]
