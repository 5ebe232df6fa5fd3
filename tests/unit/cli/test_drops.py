"""``metrify drop``, ``metrify feed`` and ``metrify --version`` as people call them."""

from __future__ import annotations

import json
import re
import sys
from datetime import date, timedelta
from importlib.metadata import version

import pytest
from click.testing import CliRunner, Result

from metrify_assets.cli.main import cli, main
from tests.workbench import ARRIVED, Workbench, reads

DAY = date(2026, 3, 9)
REFUSED = {
    "empty.csv": b"",
    "header_only.csv": b"point,start,kwh\n",
    "nul.csv": "point,start,kwh\nA,2026-03-09T00:00:00Z,1\n".encode("utf-16"),
    "old_mac.csv": b"point,start,kwh\rA,2026-03-09T00:00:00Z,1\r",
}


@pytest.fixture
def installation(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """An installation whose platform the commands find."""
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    return bench


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)])


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_refused_as_a_whole_is_counted_where_drops_are_listed(installation, name):
    drop = installation.land("plain", name, REFUSED[name]).drop
    assert drop.counts["refused_files"] == 1
    assert "0 values of 0 days" in run("drop", "list").output
    assert "the file was refused as a whole" in run("drop", "list").output
    (listed,) = json.loads(run("drop", "list", "--json").output)
    assert listed["refused_files"] == 1
    assert re.search(r"refused_files +1\n", run("drop", "show", drop.drop_id).output)


def test_a_file_that_is_refused_in_part_is_not_refused_as_a_whole(installation):
    drop = installation.land("plain", "a.csv", reads(["A"], [DAY]) + b"A,never,1\n").drop
    assert drop.counts["refused_files"] == 0
    assert "24 values of 1 days, 1 quarantined, 2026-03-09..2026-03-09" in run("drop", "list").output


def test_a_drop_that_was_recorded_before_such_files_were_counted_is_listed(installation):
    drop = installation.land("plain", "a.csv", reads(["A"], [DAY])).drop
    del drop.counts["refused_files"]
    assert drop.account == "24 values of 1 days, 0 quarantined"


def test_a_name_in_the_ledger_forges_no_line(installation):
    """Such a file is not taken in; one that was taken in before must not forge lines either."""
    name = "a\nforged  active 2026-01-01  plain/b.csv\x1b[2K\u202e.csv"
    drop = installation.land("adding", name, b"point,start,kwh\nA,never,1\n").drop
    for arguments in (
        ["drop", "list"],
        ["drop", "show", drop.drop_id],
        ["quarantine", "show"],
        ["drop", "withdraw", drop.drop_id, "--reason", "odd"],
    ):
        output = run(*arguments).output
        assert not any(line.startswith("forged") for line in output.splitlines())
        assert "\x1b" not in output
        assert "\u202e" not in output
        assert r"a\nforged" in output
    assert json.loads(run("drop", "list", "--json").output)[0]["name"] == name


def test_an_error_is_one_line_whatever_the_name_holds(installation, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["metrify", "feed", "check", str(tmp_path / "a\nb\x1b.csv"), "--feed", "plain"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.splitlines() == [
        f"metrify: {tmp_path}/a\\nb\\x1b.csv is no file: give the path of the file to check"
    ]


def test_a_broken_definition_is_listed_and_stops_no_other_feed(installation, monkeypatch, capsys, tmp_path):
    folder = installation.platform.settings.feeds_dir
    (folder / "torn.yaml").write_text("name: [")
    odd = (folder / "plain.yaml").read_text().replace("name: plain", "name: odd").replace("iso", "'%d.%m.%Y %d'")
    (folder / "odd.yaml").write_text(odd)
    listed = run("feed", "list")
    assert listed.exit_code == 0
    assert [line for line in listed.output.splitlines() if line.startswith("plain ")]
    broken = [line for line in listed.output.splitlines() if line.startswith("BROKEN ")]
    assert [line.split(":")[0] for line in broken] == ["BROKEN odd", "BROKEN torn"]
    assert f"{folder}/odd.yaml: stamp.format: '%d.%m.%Y %d' cannot be read: %d comes twice, write it once" in broken[0]
    assert "torn.yaml: not YAML" in json.loads(run("feed", "list", "--json").output)["torn"]["broken"]
    file = tmp_path / "a.csv"
    file.write_bytes(reads(["A"], [DAY]))
    assert run("feed", "check", file, "--feed", "plain").exit_code == 0
    assert run("drop", "list").exit_code == 0
    monkeypatch.setattr(sys, "argv", ["metrify", "feed", "check", str(file), "--feed", "odd"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"metrify: {folder}/odd.yaml: stamp.format: ")


def test_drops_of_a_feed_whose_definition_broke_are_still_listed_and_shown(installation):
    drop = installation.land("plain", "a.csv", b"point,start,kwh\nA,never,1\n", ARRIVED + timedelta(hours=1)).drop
    (installation.platform.settings.feeds_dir / "plain.yaml").write_text("name: [")
    assert drop.drop_id in run("drop", "list").output
    assert "bad_timestamp" in run("quarantine", "show").output
    assert "0 drops read again" in run("drop", "reread").output


def test_the_version_is_that_of_the_package():
    assert run("--version").output == f"metrify, version {version('metrify')}\n"
