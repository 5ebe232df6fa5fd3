"""``metrify edit``, ``period``, ``corrections`` and ``as-known`` as people call them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metrify_assets.cli.main import cli
from metrify_assets.errors import MetrifyError
from tests.workbench import ARRIVED, IMPORT, Workbench, reads

pytestmark = pytest.mark.slow

DAY = date(2026, 3, 10)
DECISION = ["--author", "Erika", "--reason", "billing"]


@pytest.fixture
def computed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """One hourly point, computed; the commands find its platform."""
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A"], [DAY]))
    bench.settle()
    return bench


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_an_edit_is_a_file_of_the_feed_of_edits(computed):
    done = run("edit", "A", "2026-03-10T14:00", "0.25", "--author", "Max", "--reason", "photo, 3 p.m.", "--json")
    record = json.loads(done.output)
    (row,) = csv.DictReader(io.StringIO(Path(record["path"]).read_text()))
    assert row == {
        "point_id": "A",
        "obis_code": IMPORT,
        "interval_start": "2026-03-10T13:00:00+00:00",
        "kwh": "0.25",
        "author": "Max",
        "reason": "photo, 3 p.m.",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["B", "2026-03-10T14:00", "0.25"], "the registry has no such point"),
        (["A", "2026-03-10T14:10", "0.25"], "is no start of a 60-minute slot"),
        (["A", "2026-03-10T14:00", "a lot"], "is no number"),
        (["A", "2026-03-10T14:00", "-1"], "cannot be"),
        (["A", "2026-03-10T14:00", "nan"], "cannot be"),
        (["A", "2026-03-10T14:00", "0.1234567"], "has more than 6 decimals"),
        (["A", "2026-03-10T14:00", "1e-9"], "has more than 6 decimals"),
        (["A", "2026-03-29T02:30", "1"], "the clocks skip it"),
        (["A", "2026-10-25T02:00", "1"], "happens twice"),
        (["A", "tomorrow", "1"], "is no instant"),
        (["A", "2026-03-10T14:00", "1", "--obis", "1-0:9.9.9"], "it has 1-0:1.29.0"),
    ],
)
def test_an_edit_that_cannot_be_says_why_in_one_line(computed, arguments, message):
    # The option comes first, so that a negative number is no option.
    done = (
        run("edit", "--author", "Max", "--reason", "x", "--", *arguments[:3])
        if len(arguments) == 3
        else run("edit", "--author", "Max", "--reason", "x", *arguments)
    )
    assert isinstance(done.exception, MetrifyError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.parametrize(("text", "written"), [("0.123456", "0.123456"), ("1E+2", "100"), ("25e-2", "0.25")])
def test_an_edit_is_written_in_plain_decimals(computed, text, written):
    done = run("edit", "A", "2026-03-10T14:00", text, "--author", "Max", "--reason", "x", "--json")
    (row,) = csv.DictReader(io.StringIO(Path(json.loads(done.output)["path"]).read_text()))
    assert row["kwh"] == written


@pytest.mark.parametrize(
    "arguments",
    [
        ["corrections", DAY, "--csv"],
        ["as-known", DAY, "2027-01-01T00:00", "--out"],
        ["explain", "A", DAY, "--plot"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_file_in_a_folder_that_is_not_there_is_one_line(computed, tmp_path, arguments):
    run("period", "close", DAY, DAY, *DECISION)
    suffix = "svg" if arguments[0] == "explain" else "csv"
    done = run(*arguments, tmp_path / "absent" / f"file.{suffix}")
    assert str(done.exception) == f"{tmp_path / 'absent'} is no folder: make it first, or name another file"
    assert isinstance(done.exception, MetrifyError)


def test_a_period_is_closed_listed_and_reopened(computed):
    assert run("period", "close", DAY, DAY, *DECISION).output == f"{DAY} to {DAY} is closed\n"
    assert "no corrections" in run("corrections", DAY).output
    assert "is open again" in run("period", "reopen", DAY, DAY, *DECISION).output
    events = json.loads(run("period", "list", "--json").output)
    assert [(event["action"], event["first"], event["author"]) for event in events] == [
        ("close", "2026-03-10", "Erika"),
        ("reopen", "2026-03-10", "Erika"),
    ]


def test_corrections_can_be_had_as_csv(computed, tmp_path):
    run("period", "close", DAY, DAY, *DECISION)
    computed.land("adding", "late.csv", b"point,start,kwh\nA,2026-03-10T13:00:00Z,0.9\n", ARRIVED + timedelta(days=1))
    computed.settle()
    run("corrections", DAY, "--csv", tmp_path / "c.csv")
    (row,) = csv.DictReader((tmp_path / "c.csv").open())
    assert (row["old_kwh"], row["new_kwh"], row["cause"]) == ("0.500000", "0.900000", "late_data")
    assert run("corrections", DAY, "--point", "B").output.startswith("no corrections")


def test_corrections_say_which_days_wait_to_be_computed(computed):
    days = [DAY - timedelta(days=back) for back in range(6, 0, -1)]
    computed.land("plain", "before.csv", reads(["A"], days))
    computed.settle()
    run("period", "close", days[0], DAY, *DECISION)
    computed.settle()
    assert run("corrections", days[0], DAY).stderr == ""
    late = b"point,start,kwh\nA,2026-03-10T13:00:00Z,0.9\n"
    computed.land("adding", "late.csv", late, ARRIVED + timedelta(days=1))
    for form in ([], ["--json"], ["--csv", "-"]):
        assert "to be computed: 2026-03-10;" in run("corrections", DAY, *form).stderr
    assert run("corrections", DAY).stdout == "no corrections so far\n"
    computed.land("plain", "before.csv", reads(["A"], days, lambda *_: 0.7), ARRIVED + timedelta(days=1))
    named = ", ".join(f"2026-03-0{day}" for day in range(4, 9))
    assert run("corrections", days[0], DAY).stderr.startswith(f"7 days wait to be computed: {named} and 2 more;")
    computed.settle()
    done = run("corrections", days[0], DAY)
    assert done.stderr == ""
    assert f"{6 * 24 + 1} corrections" in done.stdout


def test_the_corrections_of_an_open_day_are_an_error(computed):
    assert "is closed" in str(run("corrections", DAY).exception)


def test_a_day_as_known_is_held_against_what_is_published(computed, tmp_path):
    before = datetime.now(UTC)
    computed.land("plain", "a.csv", reads(["A"], [DAY], lambda *_: 0.75), ARRIVED + timedelta(days=1))
    computed.settle()
    out = tmp_path / "then.csv"
    record = json.loads(run("as-known", DAY, before.isoformat(), "--out", out, "--json").output)
    # 24 hours of 0.5 kWh, every other one Wh more; then 24 of 0.75 kWh.
    assert (record["then"]["energy_kwh"], record["published"]["energy_kwh"]) == ("12.012000", "18.000000")
    assert len(list(csv.DictReader(out.open()))) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([DAY, "2019-01-01T00:00"], "nothing of 2026-03-10 was known"),
        ([DAY, "2027-01-01T00:00", "--out", "day.xlsx"], "ends in .parquet or .csv"),
    ],
)
def test_a_day_that_was_not_known_says_so(computed, arguments, message):
    assert message in str(run("as-known", *arguments).exception)
