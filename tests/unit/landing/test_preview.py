"""``metrify feed check``: what a person should know of a file before it is delivered."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from metrify_assets.feeds.model import Feed
from metrify_assets.feeds.rows import coverage
from metrify_assets.landing.preview import Preview
from metrify_assets.landing.preview import preview as preview_of
from metrify_assets.landing.setup import planned
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import registered_values
from metrify_assets.settings import Settings
from tests.real_data import require
from tests.workbench import Workbench, workbench

BERLIN = ZoneInfo("Europe/Berlin")
FEED = """\
name: {name}
description: Quarter hours of one meter in local time.
kind: readings
format: delimited
files: "{name}_*.csv"
delimiter: ";"
header: [point, start, kwh]
stamp: {{columns: [start], format: "%d.%m.%Y %H:%M"{zone}}}
interval_minutes: 15
point: {{column: point}}
obis: "1-0:1.29.0"
unit: kWh
values: [{{column: kwh}}]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    feeds = {"local": ", timezone: Europe/Berlin", "forgot": "", "utc": ", timezone: UTC"}
    for name, zone in feeds.items():
        (bench.platform.settings.feeds_dir / f"{name}.yaml").write_text(FEED.format(name=name, zone=zone))
    bench.platform.look_at_feeds()
    return bench


def quarters(first: date, last: date) -> list[datetime]:
    """Return the quarter hours of local days, as instants."""
    moment = datetime(first.year, first.month, first.day, tzinfo=BERLIN).astimezone(UTC)
    moments = []
    while moment.astimezone(BERLIN).date() <= last:
        moments.append(moment)
        moment += timedelta(minutes=15)
    return moments


def lines(moments: list[datetime], point: str = "A") -> list[str]:
    return [
        f"{point};{moment.astimezone(BERLIN):%d.%m.%Y %H:%M};{1 + i / 1000:.3f}" for i, moment in enumerate(moments)
    ]


def preview(platform: Platform, feed: Feed, path: Path, shown: int) -> Preview:
    return preview_of(platform, feed, path, shown, partial(registered_values, platform))


def check(bench: Workbench, feed: str, rows: list[str] | bytes, *, name: str | None = None, shown: int = 2) -> Preview:
    path = bench.platform.settings.root.parent / (name or f"{feed}_1.csv")
    path.write_bytes(rows if isinstance(rows, bytes) else ("\n".join(["point;start;kwh", *rows]) + "\n").encode())
    return preview(bench.platform, bench.platform.feed(feed), path, shown)


def year() -> list[datetime]:
    return [*quarters(date(2025, 3, 28), date(2025, 4, 1)), *quarters(date(2025, 10, 24), date(2025, 10, 28))]


def test_a_whole_file_shows_its_span_and_its_days_of_92_and_100_slots(bench):
    bench.register("A")
    report = check(bench, "local", lines(year()))
    record = report.as_record()
    assert record["warnings"] == []
    assert record["coverage"]["first"] == "2025-03-28T00:00+01:00"
    assert record["coverage"]["end"] == "2025-10-29T00:00+01:00"
    assert record["coverage"]["whole_days"] == {"92": 1, "96": 8, "100": 1}
    assert record["coverage"]["days_in_part"] == 0
    (gap,) = record["coverage"]["longest_gaps"]
    assert gap.pop("series")[:2] == ["A", "1-0:1.29.0"]
    assert gap == {
        "start": "2025-04-02T00:00+02:00",
        "end": "2025-10-24T00:00+02:00",
        "slots": 205 * 96,
    }
    assert (record["repeated_slots"], record["contradicting_slots"]) == (0, 0)
    assert "1 of 92 slots, 8 of 96 slots, 1 of 100 slots whole, 0 in part" in report.as_text()
    json.dumps(record, default=str)


def test_a_forgotten_time_zone_is_no_clean_bill(bench):
    bench.register("A")
    report = check(bench, "forgot", lines(year()))
    # The four quarters that the clocks repeat are one hour to who takes them for UTC.
    assert report.counts["repeated_slots"] == report.counts["contradicting_slots"] == 4
    assert report.coverage.broken_changes == [date(2025, 3, 30), date(2025, 10, 26)]
    assert report.coverage.whole_days == {96: 6}
    text = report.as_text().splitlines()
    assert [line.partition(":")[0] for line in text[:3]] == ["WARNING"] * 3
    assert "4 slots come with different values" in text[0]
    assert "change on 2025-03-30, 2025-10-26" in text[1]
    assert "stamp.timezone is not declared" in text[2]


def test_a_time_zone_that_is_declared_or_told_by_the_stamps_is_taken_at_its_word(bench):
    bench.register("A")
    moments = quarters(date(2026, 1, 12), date(2026, 1, 12))
    assert check(bench, "utc", lines(moments)).warnings == []
    assert "stamp.timezone is not declared" in check(bench, "forgot", lines(moments)).warnings[0]
    # Hourly stamps of the tests' own feeds end in Z.
    hours = [f"A,{moment:%Y-%m-%dT%H:%M:%SZ},1" for moment in moments[::4]]
    content = ("\n".join(["point,start,kwh", *hours]) + "\n").encode()
    assert check(bench, "plain", content, name="a.csv").warnings == []
    without = content.replace(b"Z,", b",")
    assert "stamp.timezone is not declared" in check(bench, "plain", without, name="a.csv").warnings[0]


def test_slots_that_come_twice_with_one_value_are_counted_and_harmless(bench):
    bench.register("A")
    rows = lines(quarters(date(2026, 1, 12), date(2026, 1, 12)))
    report = check(bench, "local", [*rows, *rows[:7]])
    assert (report.counts["repeated_slots"], report.counts["contradicting_slots"]) == (7, 0)
    assert report.warnings == []
    assert "7 come more than once, 0 of them with different values" in report.as_text()


def test_the_longest_gaps_come_first(bench):
    rows = lines(quarters(date(2026, 1, 12), date(2026, 1, 14)))
    kept = [row for i, row in enumerate(rows) if not (10 <= i < 12 or 100 <= i < 108 or i == 200)]
    coverage = check(bench, "local", kept).coverage
    assert [gap.slots for gap in coverage.gaps] == [8, 2, 1]
    assert (coverage.missing_slots, coverage.days_in_part, dict(coverage.whole_days)) == (11, 3, {})
    assert datetime.fromtimestamp(coverage.gaps[0].start / 1e6, BERLIN) == datetime(2026, 1, 13, 1, 0, tzinfo=BERLIN)


def test_points_that_no_registry_knows_are_named(bench):
    day = quarters(date(2026, 1, 12), date(2026, 1, 12))
    report = check(bench, "local", lines(day))
    assert "1 of 1 points are in no registry (A)" in report.warnings[0]
    bench.register("A", "C")
    report = check(bench, "local", lines(day) + lines(day, "B"))
    assert (report.unknown.of, report.unknown.unknown, report.unknown.examples) == (2, 1, ["B"])


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (b"A;12.01.2026 01:00;1.2", "breaks off in a number: it ends with 1.2,"),
        (b"A;12.01.2026 01:00;1.", "breaks off in a number: it ends with 1.,"),
        (b"A;12.01.2026 01:00;1.234", "whether the number is whole cannot be told"),
        (b"A;12.01.2026 01:00;1.2\n", None),
        (b"A;12.01.2026 01:00;\r\n", None),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_last_line_that_breaks_off_in_a_number_is_named(bench, end, message, packed):
    bench.register("A")
    rows = lines(quarters(date(2026, 1, 12), date(2026, 1, 12))[:4])
    content = ("\n".join(["point;start;kwh", *rows]) + "\n").encode() + end
    name = "local_1.csv.gz" if packed else "local_1.csv"
    report = check(bench, "local", gzip.compress(content) if packed else content, name=name)
    assert report.counts["raw_values"] == 5
    assert [message in warning for warning in report.warnings] == ([True] if message else [])


def test_a_name_that_delivering_refuses_is_refused_here_too(bench):
    rows = lines(quarters(date(2026, 1, 12), date(2026, 1, 12)))
    report = check(bench, "local", rows, name="other.csv")
    assert report.name_problem == "feed local expects names like 'local_*.csv', not 'other.csv': rename the file"
    assert report.counts["raw_values"] == 96
    assert "control characters" in check(bench, "local", rows, name="local_\n1.csv").name_problem


@pytest.mark.parametrize(
    "content", [b"", b"point;start;kwh\n", b"point;start;kwh\rA;12.01.2026 00:00;1\r", b"p\0o\0i\0n\0t\0"]
)
def test_a_file_that_is_refused_as_a_whole_says_so_first(bench, content):
    report = check(bench, "local", content)
    assert report.counts["refused_files"] == 1
    text = report.as_text().splitlines()
    assert text[0].startswith("WARNING: the file is refused as a whole")
    assert text[-1].startswith("  the file as a whole: ")


def test_a_file_from_before_the_first_day_says_how_to_take_it_in(bench):
    report = check(bench, "local", lines(quarters(date(1999, 1, 12), date(1999, 1, 12))))
    first = planned(bench.platform)
    assert report.warnings == [
        f"96 rows lie outside of the days that are taken in, which begin with {first}: move that day with "
        "`metrify first-day DAY`"
    ]
    assert report.as_record()["coverage"]["first"] is None


def test_what_a_file_holds_forges_no_line(bench):
    day = quarters(date(2026, 1, 12), date(2026, 1, 12))
    report = check(bench, "local", lines(day, "A\x1b[31m\u202eB"))
    assert "\x1b" not in report.as_text()
    assert "\u202e" not in report.as_text()
    assert "point_id=A\\x1b[31m\\u202eB" in report.as_text()


def test_the_rows_of_a_registry_have_no_slots(bench):
    content = b"point_id,obis_code,interval_minutes,valid_from\nA,1-0:1.29.0,15,2026-01-01\n"
    path = bench.platform.settings.root.parent / "points.csv"
    path.write_bytes(content)
    report = preview(bench.platform, bench.platform.feed("registry_points"), path, 5)
    assert (report.coverage, report.unknown, report.warnings) == (None, None, [])
    assert report.as_text().startswith("1 rows")


def test_checking_writes_nothing(bench):
    before = sorted(bench.platform.settings.root.rglob("*"))
    check(bench, "local", lines(quarters(date(2026, 1, 12), date(2026, 1, 12))))
    assert sorted(bench.platform.settings.root.rglob("*")) == before


def test_days_and_gaps_equal_a_slow_count_whatever_the_order_of_the_rows(bench):
    """Counted again with sets of instants, one series and one day after the other."""
    draw = Random(7)
    days = [date(2025, 3, 28) + timedelta(days=offset) for offset in range(6)]
    rows, expected = [], defaultdict(list)
    for point in "ABC":
        kept = [moment for moment in quarters(days[0], days[-1]) if draw.random() < 0.995]
        expected[point] = kept
        rows += lines(kept, point)
    draw.shuffle(rows)
    # Of the repeated hour in autumn the order of rows says which is which: spring has none.
    coverage = check(bench, "local", rows).coverage
    whole, part, gaps = defaultdict(int), 0, []
    for kept in expected.values():
        for day in days:
            full = len(quarters(day, day))
            held = sum(moment.astimezone(BERLIN).date() == day for moment in kept)
            whole[held] += held == full
            part += 0 < held < full
        gaps += [round((b - a) / timedelta(minutes=15)) - 1 for a, b in pairwise(kept) if b - a > timedelta(minutes=15)]
    assert dict(coverage.whole_days) == {slots: count for slots, count in whole.items() if count}
    assert (coverage.days_in_part, coverage.missing_slots) == (part, sum(gaps))
    assert [gap.slots for gap in coverage.gaps] == sorted(gaps, reverse=True)[:5]


def test_of_more_slots_than_are_held_days_are_told_of_fewer_series(bench, monkeypatch):
    monkeypatch.setattr(coverage, "MOST_CELLS", 250)
    day = quarters(date(2026, 1, 12), date(2026, 1, 12))
    report = check(bench, "local", [row for point in "ABCDE" for row in lines(day, point)])
    assert (report.coverage.series, report.coverage.series_looked_at) == (5, 2)
    assert report.coverage.whole_days == {96: 2}
    assert "5 series (days and gaps of 2)" in report.as_text()
    assert report.counts["raw_values"] == 480


@pytest.mark.parametrize(
    ("file", "feed", "whole", "part"),
    [
        ("meters/lastgang/loadprofile_1.csv", "lastgang", {92: 1, 96: 363, 100: 1}, 0),
        ("weather/dwd_hourly_tu", "dwd_hourly_tu", None, None),
    ],
)
def test_real_files_are_shown_as_they_were_counted_by_hand(tmp_path, file, feed, whole, part):
    path = require(file)
    path = path if path.is_file() else sorted(path.rglob("produkt_*"))[0]
    platform = Platform(Settings(root=tmp_path / "root", first_day=date(2000, 1, 1)))
    report = preview(platform, platform.feed(feed), path, 1)
    assert report.counts["refused_files"] == 0
    assert not any("stamp.timezone" in warning or "breaks off" in warning for warning in report.warnings)
    if whole is not None:
        assert (dict(report.coverage.whole_days), report.coverage.days_in_part) == (whole, part)
