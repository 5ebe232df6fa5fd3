"""The command line as people use it: its own process, exit codes, one line of error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD_ROW = "P1,1-0:1.29.0,2026-03-01T00:00:00Z,1.2\n"
HEADER = "point_id,obis,timestamp,mean_kw\n"


@pytest.fixture
def metrify(tmp_path):
    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("METRIFY_")}
        return subprocess.run(
            [sys.executable, "-m", "metrify_assets.cli.main", *map(str, arguments)],
            env={**environment, "METRIFY_ROOT": str(tmp_path / "root"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def one_line(done: subprocess.CompletedProcess) -> str:
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_landing_puts_the_file_into_the_feeds_inbox(metrify, tmp_path):
    file = write(tmp_path, "east_2026-03-01.csv", HEADER + GOOD_ROW)
    done = metrify("land", file, "--feed", "meters_east", "--json")
    assert done.returncode == 0, done.stderr
    target = Path(json.loads(done.stdout)["path"])
    assert target == tmp_path / "root" / "inbox" / "meters_east" / "east_2026-03-01.csv"
    assert target.read_bytes() == file.read_bytes()


def test_an_unknown_feed_is_one_line_that_lists_the_known_ones(metrify, tmp_path):
    file = write(tmp_path, "east_2026-03-01.csv", HEADER + GOOD_ROW)
    message = one_line(metrify("land", file, "--feed", "meters_nowhere"))
    assert "meters_nowhere" in message
    assert "meters_east" in message


def test_a_file_that_is_not_there_is_one_line(metrify, tmp_path):
    assert "no file" in one_line(metrify("land", tmp_path / "absent.csv", "--feed", "meters_east"))


def test_a_name_that_the_feed_does_not_expect_is_refused_before_it_is_landed(metrify, tmp_path):
    file = write(tmp_path, "something.csv", HEADER + GOOD_ROW)
    assert "east_" in one_line(metrify("land", file, "--feed", "meters_east"))
    assert not (tmp_path / "root" / "inbox" / "meters_east").exists()


def test_checking_a_good_file_shows_what_would_be_read_and_lands_nothing(metrify, tmp_path):
    file = write(tmp_path, "east_2026-03-01.csv", HEADER + GOOD_ROW)
    done = metrify("feed", "check", file, "--feed", "meters_east", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["rows"], record["raw_values"], record["quarantined_values"]) == (1, 1, 0)
    assert record["days"] == ["2026-03-01"]
    assert not (tmp_path / "root" / "inbox").exists()


def test_checking_a_file_with_a_bad_row_names_the_row_and_fails(metrify, tmp_path):
    file = write(tmp_path, "east_2026-03-01.csv", HEADER + GOOD_ROW + "P1,1-0:1.29.0,2026-03-01T00:15:00Z,NaN\n")
    done = metrify("feed", "check", file, "--feed", "meters_east")
    assert done.returncode == 1
    assert "row 2: not_a_number" in done.stdout
    assert "1 rows would be quarantined" in one_line(done)


def test_the_list_of_drops_of_an_empty_installation_says_what_to_do(metrify):
    done = metrify("drop", "list")
    assert done.returncode == 0
    assert "metrify land" in done.stdout


@pytest.mark.parametrize("command", [["drop", "show", "abc"], ["drop", "withdraw", "abc", "--reason", "wrong"]])
def test_a_drop_that_is_not_there_is_one_line(metrify, command):
    assert "metrify drop list" in one_line(metrify(*command))


def test_the_production_profile_names_the_variables_that_are_missing(metrify):
    message = one_line(metrify("drop", "list", METRIFY_PROFILE="production", SNOWFLAKE_USER="someone"))
    assert "SNOWFLAKE_ACCOUNT" in message
    assert "SNOWFLAKE_USER" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [("METRIFY_TIMEZONE", "Mars/Olympus"), ("METRIFY_FIRST_DAY", "yesterday"), ("METRIFY_SHARDS", "0")],
)
def test_a_wrong_setting_is_one_line_that_names_it(metrify, name, value):
    assert name in one_line(metrify("drop", "list", **{name: value}))


def test_a_day_that_is_no_day_is_one_line(metrify):
    assert "2026-03-29" in one_line(metrify("recompute", "29.03.2026"))


def test_the_feeds_are_listed_with_what_they_carry(metrify):
    done = metrify("feed", "list", "--json")
    assert done.returncode == 0
    feeds = json.loads(done.stdout)
    assert feeds["lcl_halfhourly"]["interval_minutes"] == 30
    assert feeds["registry_points"]["kind"] == "registry"
