"""A reader of another package: its example is built, put on the path, and read through a feed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import parse_feed
from metrify_assets.feeds.plugins import load_reader
from tests.plugins.wheels import install_example
from tests.unit.feeds.reading import read, write

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


def test_a_reader_whose_package_cannot_be_imported_says_which(installed):
    (installed / "acme_fixed_width" / "__init__.py").write_text("import not_there\n")
    with pytest.raises(
        FeedError, match=r"reader acme_fixed_width \(acme_fixed_width:FixedWidthSource\) cannot be loaded"
    ):
        load_reader("acme_fixed_width")
