"""The register export beside E66 (ESL billing data): values by hand, damaged and hostile files."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.feeds.reading import Result, read, write

NAME = "EdmRegisterWertExport_20260331_example.xml"


def row(obis: str = "1-1:1.8.1", value: object = "4755.3000", status: str | None = "W", at: str = "") -> str:
    own = f' valueTimeStamp="{at}"' if at else ""
    stated = "" if status is None else f' status="{status}"'
    return f'<ValueRow obis="{obis}"{own} value="{value}"{stated}/>'


MAXIMUM = row("1-1:1.6.1", "6.3000", at="2026-02-05T08:45:00")


def period(*rows: str, end: str = "2026-03-01T00:00:00") -> str:
    return f'<TimePeriod end="{end}">{"".join(rows)}</TimePeriod>'


def meter(*periods: str, number: str = "38157930") -> str:
    return f'<Meter factoryNo="{number}" internalNo="7">{"".join(periods)}</Meter>'


def document(*meters: str, before: str = "", created: str = "2026-03-31T00:00:00") -> str:
    start = f'<?xml version="1.0" encoding="UTF-8"?>{before}<ESLBillingData><Header version="1.0" created="{created}"/>'
    return f"{start}{''.join(meters)}</ESLBillingData>"


def read_text(folder: Path, text: str | bytes) -> Result:
    return read("sdat_esl", write(folder, NAME, text))


def rejected(result: Result) -> list[tuple[int, str, int]]:
    return [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine]


def test_registers_by_hand(tmp_path):
    result = read_text(tmp_path, document(meter(period(row(), row("1-1:2.8.2", 3543, "E"), row("1-1:5.8.1", 293)))))
    assert result.quarantine == []
    midnight = datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert [
        (row["point_id"], row["obis_code"], row["kind"], row["interval_start"], row["value"], row["unit"])
        for row in result.rows
    ] == [
        ("38157930", "1-1:1.8.1", "register", midnight, Decimal("4755.3"), "kWh"),
        ("38157930", "1-1:2.8.2", "register", midnight, 3543, "kWh"),
        ("38157930", "1-1:5.8.1", "register", midnight, 293, "kvarh"),
    ]
    assert result.column("source_status") == ["measured", "substitute", "measured"]
    assert result.column("interval_minutes") == [1440] * 3


@pytest.mark.parametrize(
    ("status", "expected"),
    [("W", "measured"), (None, "measured"), ("E", "substitute"), ("V", "provisional"), ("G", "missing")],
)
def test_the_status_is_that_of_the_metering_code(tmp_path, status, expected):
    assert read_text(tmp_path, document(meter(period(row(status=status))))).column("source_status") == [expected]


def test_several_meters_and_periods_and_the_end_of_summer_time(tmp_path):
    periods = period(row(value=1), end="2025-07-01T00:00:00"), period(row(value=2), end="2025-11-01T00:00:00")
    result = read_text(tmp_path, document(meter(*periods), meter(period(row(value=3)), number="2")))
    assert [start.hour for start in result.column("interval_start")] == [22, 23, 23]
    assert result.column("point_id") == ["38157930", "38157930", "2"]
    assert result.column("row_number") == [1, 2, 3]


def test_a_maximum_is_no_state_of_a_counter(tmp_path):
    result = read_text(tmp_path, document(meter(period(MAXIMUM, row()))))
    assert rejected(result) == [(1, "unknown_reading", 1)]
    assert result.quarantine[0]["detail"] == "reading: expected one of register, found 'maximum'"
    assert '"read_at": "2026-02-05T08:45:00"' in result.quarantine[0]["payload"]
    assert result.values == [Decimal("4755.3")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (period(row(value="x")), "bad_number"),
        (period(row(status="?")), "unknown_status"),
        (period(row(obis="1.8")), "unknown_unit"),
        (period(row(obis="1-1:96.8.1")), "unknown_unit"),
        (period(row(), end=""), "bad_timestamp"),
        (period(row(), end="2026-03-29T02:30:00"), "nonexistent_local_time"),
        (period(row(), end="2026-06-01T23:00:00"), "future_stamp"),
    ],
)
def test_a_value_that_cannot_be_read(tmp_path, bad, reason):
    result = read_text(tmp_path, document(meter(period(row()), bad)))
    assert rejected(result) == [(2, reason, 1)]


def test_a_value_that_repeats_does_no_harm_and_another_one_contradicts_it(tmp_path):
    same = document(meter(period(row(value=1), row("1-1:1.8.2", 5))), meter(period(row(value="1.0"))))
    assert read_text(tmp_path, same).quarantine == []
    other = document(meter(period(row(value=1), row("1-1:1.8.2", 5))), meter(period(row(value=2))))
    assert read_text(tmp_path, other).reasons == ["contradicting_rows"] * 2


def test_entities_are_refused(tmp_path):
    before = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    assert rejected(read_text(tmp_path, document(meter(period(row(value="&a;"))), before=before))) == [
        (0, "forbidden_entity", 1)
    ]


def test_a_file_that_breaks_off_gives_the_meters_that_were_whole(tmp_path):
    text = document(meter(period(row())), meter(period(row(value=2), row(value=3)), number="2"))
    result = read_text(tmp_path, text[: text.rindex("<ValueRow") + len("<ValueRow ")])
    assert len(result.values) == 1
    assert rejected(result) == [(0, "truncated_file", 2)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty_file"), ("hello", "not_in_format"), (document(), "empty_file"), ("<a/>", "not_in_format")],
)
def test_what_holds_no_registers_is_refused_whole(tmp_path, text, reason):
    assert rejected(read_text(tmp_path, text)) == [(0, reason, 0)]


def test_pieces_give_the_same_rows(tmp_path, monkeypatch):
    text = document(*(meter(period(row(value=i), row("1-1:2.8.1", "x")), number=str(i)) for i in range(5)))
    whole = read_text(tmp_path, text)
    monkeypatch.setattr("metrify_assets.feeds.formats.esl_source.CHUNK_VALUES", 3)
    pieces = read_text(tmp_path, text)
    assert (pieces.rows, pieces.quarantine) == (whole.rows, whole.quarantine)


PARTS = [meter(period(row())), meter(), meter(row()), row(), period(row(), MAXIMUM), meter(period(row(value="")))]


@settings(max_examples=examples(0.5))
@given(st.lists(st.sampled_from([*PARTS, "<a/>"]), max_size=6), st.integers(min_value=0, max_value=40))
def test_every_value_is_raw_or_quarantined(parts, cut):
    text = document(*parts)
    with TemporaryDirectory() as folder:
        read_text(Path(folder), text[: len(text) - cut * cut])
