"""``metrify feed check`` on formats beside plain columns: E66, its register export, exports from web pages."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from metrify_assets.cli.main import cli
from tests.unit.feeds import test_esl as esl
from tests.unit.feeds.reading import write
from tests.unit.feeds.test_e66 import document, observation, series
from tests.unit.feeds.test_exports import day_of_positions, ranges, shown_definitions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of files to check; the feeds are those of the documentation and the built-in ones."""
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    for name, definition in shown_definitions().items():
        (feeds / f"{name}.yaml").write_text(yaml.safe_dump(definition))
    wide = {**shown_definitions()["tennet_wind"], "name": "tennet_wide", "encoding": "utf-16"}
    (feeds / "tennet_wide.yaml").write_text(yaml.safe_dump(wide))
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "metrify"))
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(feeds))
    return tmp_path


def check(path: Path, feed: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["feed", "check", str(path), "--feed", feed, *options])


def test_a_range_that_an_e66_leaves_out_is_shown_as_a_gap(folder):
    places = [place for place in range(1, 97) if not 41 <= place <= 60]
    text = document(series(*(observation(place, place) for place in places), end="2026-03-01T23:00:00Z"))
    result = check(write(folder, "1_E66_2.xml", text), "sdat_e66")
    assert result.exit_code == 0, result.output
    assert "76 rows, 76 values: 76 would be read of 1 days" in result.output
    assert "gaps:   20 slots missing, the longest:" in result.output
    assert "2026-03-01T10:00+01:00 to 2026-03-01T15:00+01:00, 20 slots of" in result.output


def test_the_observations_that_would_be_quarantined_are_shown_with_their_series(folder):
    text = document(series(observation(1), observation(9)), series(observation(1), step="x"))
    result = check(write(folder, "1_E66_2.xml", text), "sdat_e66", "--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert (shown["raw_values"], shown["quarantined_values"], shown["reasons"]) == (1, 2, {"broken_record": 2})
    assert '"product": "8716867000030"' in shown["rejected"][0]["payload"]


def test_a_register_export_is_shown_with_its_meters(folder):
    text = esl.document(esl.meter(esl.period(esl.row(), esl.row("1-1:2.8.1", 3))))
    result = check(write(folder, esl.NAME, text), "sdat_esl")
    assert result.exit_code == 0, result.output
    assert "point_id=38157930 obis_code=1-1:1.8.1 kind=register" in result.output


@pytest.mark.parametrize("day", [date(2025, 10, 26), date(2026, 3, 29)])
def test_the_days_of_a_web_export_are_whole_over_the_changes_of_the_clock(folder, day):
    cells = ranges(day, 15, "%d/%m/%Y %H:%M:%S")
    text = "MTU (CET/CEST),Actual Total Load (MW)\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))
    result = check(write(folder, "load.csv", text), "entsoe_web_load")
    assert result.exit_code == 0, result.output
    assert f"days:   1 of {len(cells)} slots whole, 0 in part" in result.output
    assert "WARNING" not in result.output


@pytest.mark.parametrize(("feed", "encoding"), [("tennet_wind", "latin-1"), ("tennet_wide", "utf-16")])
def test_positions_are_shown_and_a_last_line_that_breaks_off_is_named(folder, feed, encoding):
    head = "Wind\n\n\nDatum;Position;prognostiziert [MW];tatsaechlich [MW];\n"
    rows = "".join(f"{line};{i}.25;\n" for i, line in enumerate(day_of_positions(date(2025, 10, 26), 100).splitlines()))
    result = check(write(folder, "wind.csv", (head + rows).encode(encoding)), feed)
    assert result.exit_code == 0, result.output
    assert "days:   1 of 100 slots whole, 0 in part" in result.output
    assert "WARNING" not in result.output
    cut = check(write(folder, "cut.csv", (head + rows)[: -len("5;\n")].encode(encoding)), feed)
    assert "WARNING: the last line ends with 99.2 and without a line end" in cut.output or (
        "WARNING: the last line breaks off in a number: it ends with 99.2" in cut.output
    )
