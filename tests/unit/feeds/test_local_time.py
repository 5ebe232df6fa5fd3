"""Local wall-clock time: the repeated and the skipped hour, start and end stamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.unit.feeds.reading import feed, read, write

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status\n"


def line(clock, value, point="P1", day="25.10.2026"):
    return f"{point};1-0:1.29.0;{day};{clock};{value};W\n"


def read_north(tmp_path, body):
    path = write(tmp_path, "north_x.csv", HEADER + body)
    return read("meters_north", path, received=datetime(2026, 12, 1, tzinfo=UTC), last_day=date(2026, 12, 1))


def starts(result):
    return [row["interval_start"].strftime("%H:%M") for row in result.rows]


def test_the_repeated_hour_is_told_apart_by_row_order(tmp_path):
    clocks = ["01:45", "02:00", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45", "03:00"]
    result = read_north(tmp_path, "".join(line(clock, i) for i, clock in enumerate(clocks)))
    # Worked out by hand: summer time is UTC+2 until 01:00 UTC.
    assert starts(result) == ["23:45", "00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45", "02:00"]
    assert result.values == list(range(10))


def test_every_series_has_its_own_passes(tmp_path):
    body = line("02:00", 1, "A") + line("02:00", 2, "B") + line("02:00", 3, "A") + line("02:00", 4, "B")
    assert starts(read_north(tmp_path, body)) == ["00:00", "00:00", "01:00", "01:00"]


def test_passes_are_found_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("metrify_assets.feeds.formats.files.BLOCK_BYTES", 50)
    body = line("02:00", 1, "A") + line("02:00", 2, "B") + line("02:15", 9, "A")
    body += line("02:00", 3, "A") + line("02:15", 9, "A")
    result = read_north(tmp_path, body)
    assert starts(result) == ["00:00", "00:15", "01:00", "01:15"]
    assert [(row["reason"], row["row_number"]) for row in result.quarantine] == [("ambiguous_dst_hour", 2)]


def test_a_collapsed_hour_is_refused_not_guessed(tmp_path):
    result = read_north(tmp_path, line("01:45", 1) + line("02:00", 2) + line("02:15", 3) + line("03:00", 4))
    assert starts(result) == ["23:45", "02:00"]
    assert result.reasons == ["ambiguous_dst_hour"] * 2
    assert [row["day"] for row in result.quarantine] == [date(2026, 10, 25)] * 2


def test_a_gap_in_one_pass_leaves_the_other_alone(tmp_path):
    clocks = ["02:00", "02:45", "02:00", "02:15", "02:30"]
    result = read_north(tmp_path, "".join(line(clock, i) for i, clock in enumerate(clocks)))
    assert starts(result) == ["00:00", "00:45", "01:00", "01:15", "01:30"]


def test_a_duplicate_in_one_pass_stays_in_it(tmp_path):
    clocks = ["02:00", "02:15", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45"]
    values = [0, 1, 1, 2, 3, 4, 5, 6, 7]
    result = read_north(tmp_path, "".join(line(clock, value) for clock, value in zip(clocks, values, strict=True)))
    assert starts(result) == ["00:00", "00:15", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45"]


def test_rows_sorted_by_the_wall_clock_come_in_pairs(tmp_path):
    clocks = ["02:00", "02:00", "02:15", "02:15"]
    assert starts(read_north(tmp_path, "".join(line(c, i) for i, c in enumerate(clocks)))) == [
        "00:00",
        "01:00",
        "00:15",
        "01:15",
    ]


def test_a_collapsed_hour_with_a_duplicate_is_refused_as_a_whole(tmp_path):
    clocks = ["02:00", "02:15", "02:15", "02:30", "02:45"]
    assert starts(read_north(tmp_path, "".join(line(c, i) for i, c in enumerate(clocks)))) == []


def test_a_file_in_no_order_is_told_apart_by_the_first_of_two(tmp_path):
    clocks = ["02:30", "02:15", "02:00", "02:30", "02:15", "02:00"]
    result = read_north(tmp_path, "".join(line(clock, i) for i, clock in enumerate(clocks)))
    assert starts(result) == ["00:30", "00:15", "00:00", "01:30", "01:15", "01:00"]


def test_a_third_pass_is_refused(tmp_path):
    result = read_north(tmp_path, line("02:00", 1) + line("02:00", 2) + line("02:00", 3))
    assert starts(result) == ["00:00", "01:00"]
    assert [(row["reason"], row["row_number"]) for row in result.quarantine] == [("ambiguous_dst_hour", 3)]


def test_end_stamps_are_shifted_on_the_wall_clock(tmp_path):
    # Labels 02:15 to 03:00 occur twice: they end intervals that start at 02:00 to 02:45.
    clocks = ["02:00", "02:15", "02:30", "02:45", "03:00", "02:15", "02:30", "02:45", "03:00", "03:15"]
    body = "".join(f"28.10.2012;{clock};{i}\n" for i, clock in enumerate(clocks))
    result = read("lastgang_end_stamped", write(tmp_path, "lastgang1.csv", body))
    assert result.quarantine == []
    assert starts(result) == ["23:45", "00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45", "02:00"]


def by_instant():
    declared = feed("lastgang_end_stamped")
    return declared.model_copy(update={"stamp": declared.stamp.model_copy(update={"ends": "instant"})})


@pytest.mark.parametrize("first", [datetime(2012, 3, 24, 23, tzinfo=UTC), datetime(2012, 10, 27, 22, tzinfo=UTC)])
def test_end_stamps_that_are_the_clock_at_the_end_give_every_interval_once(tmp_path, first):
    # The ends of ten hours around a change of the clock, as a sender computes them from instants.
    ends = [first + timedelta(minutes=15 * (i + 1)) for i in range(40)]
    body = "".join(f"{end.astimezone(BERLIN):%d.%m.%Y;%H:%M};{i}\n" for i, end in enumerate(ends))
    result = read(by_instant(), write(tmp_path, "lastgang1.csv", body))
    assert result.quarantine == []
    assert result.column("interval_start") == [end - timedelta(minutes=15) for end in ends]
    assert result.values == list(range(40))


def test_an_end_stamp_that_no_clock_shows_is_refused_by_instant_too(tmp_path):
    result = read(by_instant(), write(tmp_path, "lastgang1.csv", "25.03.2012;02:15;1\n25.03.2012;03:00;2\n"))
    assert (result.reasons, starts(result)) == (["nonexistent_local_time"], ["00:45"])


def test_an_end_stamp_of_midnight_belongs_to_the_day_before(tmp_path):
    (row,) = read("lastgang_end_stamped", write(tmp_path, "lastgang1.csv", "01.01.2013;00:00;15\n")).rows
    assert row["day"] == date(2012, 12, 31)
    assert row["interval_start"] == datetime(2012, 12, 31, 22, 45, tzinfo=UTC)


def test_offsets_in_stamps_are_honoured(tmp_path):
    body = "".join(
        f'{{"point":"S","obis":"1-0:1.29.0","end":"{end}","wh":1,"quality":"A"}}\n'
        for end in ("2026-10-25T02:15:00+02:00", "2026-10-25T02:15:00+01:00", "2026-10-25T01:15:00Z")
    )
    path = write(tmp_path, "south_x.jsonl", body)
    result = read("meters_south", path, received=datetime(2026, 12, 1, tzinfo=UTC), last_day=date(2026, 12, 1))
    assert starts(result) == ["00:00", "01:00", "01:00"]


def test_iso_stamps_without_offset_are_in_the_feeds_zone(tmp_path):
    east = feed("meters_east")
    local = east.model_copy(update={"stamp": east.stamp.model_copy(update={"timezone": "Europe/Berlin"})})
    body = "point_id,obis,timestamp,mean_kw\nE,1-0:1.29.0,2026-03-01 00:15:00.0000000,1\nE,1-0:1.29.0,2026-03-01,1\n"
    result = read(local, write(tmp_path, "east_x.csv", body))
    assert starts(result) == ["23:15"]
    assert result.reasons == ["bad_timestamp"]


def test_the_delivery_day_is_the_local_date(tmp_path):
    header = "point_id,obis,timestamp,mean_kw\n"
    body = "".join(f"E,1-0:1.29.0,{stamp},1\n" for stamp in ("2026-03-28T23:00:00Z", "2026-03-29T21:45:00Z"))
    rows = read("meters_east", write(tmp_path, "east_x.csv", header + body)).rows
    # 29 March has 23 hours: 23:00 UTC to 22:00 UTC.
    assert [row["day"] for row in rows] == [date(2026, 3, 29)] * 2
