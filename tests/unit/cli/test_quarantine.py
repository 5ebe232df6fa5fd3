"""``metrify quarantine`` as people call it."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from io import BytesIO

import pytest
from click.testing import CliRunner, Result

from metrify_assets.cli.main import cli
from metrify_assets.errors import MetrifyError
from tests.unit.landing.quarantine.mending import BLANKS, mend, redefine
from tests.workbench import Workbench, reads

DAY = date(2026, 3, 28)


@pytest.fixture
def refusing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """An installation with one file that was refused in part; the commands find its platform."""
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    bench.land("plain", "a.csv", BLANKS)
    return bench


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["quarantine", *map(str, arguments)])


def test_reasons_are_listed_with_their_counts(refusing):
    assert [line.split() for line in run("list").output.splitlines()] == [
        ["feed", "reason", "rows", "values"],
        ["plain", "bad_number", "2", "2"],
        ["plain", "bad_timestamp", "1", "1"],
        ["total", "3", "3"],
    ]
    counts = json.loads(run("list", "--by", "day", "--reason", "bad_number", "--json").output)
    assert counts == {
        "drops": 1,
        "rows": 2,
        "value_cells": 2,
        "groups": [{"day": "2026-03-28", "rows": 2, "value_cells": 2}],
        "set_aside": [],
    }


def test_values_set_aside_later_are_told_with_how_to_see_them(refusing):
    refusing.register("A")
    refusing.land("adding", "b.csv", reads(["B"], [DAY]))
    refusing.compute(DAY)
    output = run("list").output
    assert "24 values of channels that no registry knows" in output
    assert "2026-03-28: 24 unassigned (B)" in output
    assert "metrify explain" in output


def test_a_row_is_shown_with_its_place(refusing):
    output = run("show", "--reason", "bad_timestamp").output
    assert "plain/a.csv, row 5, line 7: bad_timestamp" in output
    assert "as it came: 'A,never,4'" in output
    (row,) = json.loads(run("show", "--reason", "bad_timestamp", "--json").output)["rows"]
    assert (row["line_number"], row["payload"], row["received_at"]) == (7, "A,never,4", "2026-06-01T06:00:00+00:00")
    assert run("show", "--limit", "1").output.endswith("1 of 3 rows; see more with --limit\n")


def test_a_row_of_a_zip_is_shown_with_the_file_that_it_is_in(refusing):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("good.csv", b"point,start,kwh\nA,2026-03-28T00:00:00Z,1\n")
        archive.writestr("bad.csv", b"point,start,kwh\nA,2026-03-28T01:00:00Z,1\nA,never,9\n")
    refusing.land("plain", "b.zip", packed.getvalue())
    assert "plain/b.zip, bad.csv, row 4, line 3: bad_timestamp" in run("show", "--reason", "bad_timestamp").output


def test_a_replay_is_tried_done_and_then_has_nothing_to_do(refusing):
    mend(refusing)
    assert "would free 2 rows; 1 still refused" in run("replay", "--feed", "plain", "--dry-run").output
    done = run("replay", "--feed", "plain").output
    assert "freed 2 rows; 1 still refused, 0 newly refused; values 2 -> 4 read, 3 -> 1 refused" in done
    assert "1 drops read again; 2 days are dirty now" in done
    again = run("replay", "--feed", "plain")
    assert (again.exit_code, "nothing to do" in again.output) == (0, True)


def test_a_replay_can_be_read_by_a_machine(refusing):
    mend(refusing)
    record = json.loads(run("replay", "--feed", "plain", "--json").output)
    assert record["days"] == ["2026-03-28", "2026-03-29"]
    assert record["replayed"][0]["after"]["reasons"] == {"bad_timestamp": 1}
    assert record["outdated_drops_left"] == 0


def test_drops_left_under_the_older_definition_are_told(refusing):
    refusing.land("plain", "good.csv", reads(["A"], [DAY]))
    mend(refusing)
    assert "1 other drops of the feed" in run("replay", "--feed", "plain").output


def test_a_drop_that_is_held_back_fails_the_command(refusing):
    redefine(refusing, "format: iso", "format: '%d.%m.%Y %H:%M'")
    done = run("replay", "--feed", "plain")
    assert isinstance(done.exception, MetrifyError)
    assert "1 drops were left as they are" in str(done.exception)
    assert "held back" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--by", "moon"], "use some of feed, reason, day, drop"),
        (["list", "--reason", "bad_luck"], "use one of empty_file"),
        (["list", "--feed", "plan"], "unknown feed 'plan'"),
        (["list", "--since", "yesterday"], "is no day"),
        (["show", "abc"], "see `metrify drop list`"),
        (["replay"], "nothing was chosen"),
        (["replay", "abc"], "see `metrify drop list`"),
        (["replay", "--feed", "plan"], "unknown feed 'plan'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(refusing, arguments, message):
    done = run(*arguments)
    assert isinstance(done.exception, MetrifyError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_an_installation_without_rejects_says_so(refusing):
    refusing.platform.ledger.withdraw(refusing.platform.ledger.view().find(""), "wrong")
    assert run("list").output == "nothing was refused in 0 drops\n"
