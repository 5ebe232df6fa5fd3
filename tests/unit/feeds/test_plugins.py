"""A reader of another package: its example is built, put on the path, and read through a feed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import parse_feed
from metrify_assets.feeds.plugins import load_reader
from metrify_assets.landing.preview import preview
from tests.plugins.wheels import install_example
from tests.unit.feeds.reading import read, write
from tests.workbench import workbench

DECLARED = {
    "name": "meters_fixed",
    "description": "Lines of fixed width.",
    "kind": "readings",
    "format": "plugin",
    "reader": "acme_fixed_width",
    "stamp": {"columns": ["stamp"], "format": "%Y%m%d%H%M", "timezone": "Europe/Berlin", "marks": "start"},
    "interval_minutes": 15,
    "point": {"column": "point"},
    "obis": "1-0:1.29.0",
    "unit": "Wh",
    "values": [{"column": "wh"}],
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an environment that the example's wheel is unpacked into, as pip does."""
    return install_example("fixed_width", "acme_fixed_width", tmp_path, monkeypatch)


def test_values_of_a_format_of_ones_own_are_read_and_counted(installed, tmp_path):
    lines = ["EXAMPLE-1   202603290145     412", "EXAMPLE-1   202603290300     398", "EXAMPLE-1   2026"]
    result = read(parse_feed(DECLARED), write(tmp_path, "a.txt", "\n".join(lines)))
    assert result.values == [Decimal(412), Decimal(398)]
    assert result.column("unit") == ["Wh", "Wh"]
    # 01:45 and 03:00 of the day whose clocks skip an hour are neighbours: 00:45 and 01:00 UTC.
    assert [start.strftime("%H:%M") for start in result.column("interval_start")] == ["00:45", "01:00"]
    assert result.reasons == ["broken_record"]
    assert result.quarantine[0]["payload"] == lines[2]
    assert result.report.delivered_values == 3


def test_another_version_of_the_reader_reads_the_drops_again(installed):
    before = parse_feed(DECLARED).digest
    metadata = installed / "acme_fixed_width-1.0.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0.0", "Version: 1.1.0"))
    assert parse_feed(DECLARED).digest != before


def test_a_reader_that_is_not_installed_is_named_by_its_feed():
    with pytest.raises(FeedError, match="no installed package has the reader 'acme_fixed_width'"):
        parse_feed(DECLARED)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reader": None}, "a plugin feed needs reader: add it"),
        (
            {"format": "json_lines"},
            "reader belongs to plugin feeds: use format plugin, not json_lines, or leave it out",
        ),
    ],
)
def test_a_reader_and_its_format_belong_together(changes, message, installed):
    with pytest.raises(FeedError, match=message):
        parse_feed({name: value for name, value in {**DECLARED, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("def", "SyntaxError: "),
        ("undefined", "NameError: "),
        ("import os; os.environ['ACME_LICENCE']", "KeyError: 'ACME_LICENCE'"),
        ("open('/not/there')", "FileNotFoundError: "),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("1 / 0", "ZeroDivisionError: "),
        ("", "AttributeError: module 'acme_fixed_width' has no attribute 'FixedWidthSource'"),
    ],
)
def test_a_reader_whose_package_cannot_be_imported_says_which_and_why(installed, code, reason):
    (installed / "acme_fixed_width" / "__init__.py").write_text(f"{code}\n")
    with pytest.raises(FeedError, match="reader acme_fixed_width") as caught:
        load_reader("acme_fixed_width")
    message = str(caught.value)
    assert message.startswith("reader acme_fixed_width (acme_fixed_width:FixedWidthSource) cannot be loaded (" + reason)
    assert message.endswith("): correct its package")


def test_a_reader_that_is_no_class_and_no_function_is_refused(installed):
    (installed / "acme_fixed_width" / "__init__.py").write_text("FixedWidthSource = 7\n")
    with pytest.raises(FeedError, match="is int, expected a class or a function"):
        load_reader("acme_fixed_width")


def test_a_check_of_a_file_shows_what_the_reader_of_a_package_makes_of_it(installed, tmp_path):
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "meters_fixed.yaml").write_text(yaml.safe_dump(DECLARED))
    bench = workbench(tmp_path)
    path = write(tmp_path, "a.txt", "EXAMPLE-1   202603101145     412\nEXAMPLE-1   2026\n")
    shown = preview(bench.platform, bench.platform.feed("meters_fixed"), path, 3, lambda *_: {"EXAMPLE-1"})
    assert (shown.counts["raw_values"], shown.reasons) == (1, {"broken_record": 1})
    assert "1 would be read" in shown.as_text()
