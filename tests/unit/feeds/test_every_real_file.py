"""Every file of the catalogue whose format is declared is read to its end: as many values as its lines say.

Belongs here: that no file is left out. Does not belong here: what single files hold (``test_real_*``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_data import require
from tests.unit.feeds.reading import feed, read

pytestmark = pytest.mark.real_data


def lines_of(path: Path) -> int:
    """Return the lines after the header that are not blank."""
    return sum(bool(line.strip()) for line in path.read_bytes().split(b"\n")[1:])


@pytest.mark.parametrize(
    ("name", "pattern", "files"),
    [
        ("lcl_halfhourly", "meters/lcl_halfhourly/*.csv", 8),
        ("lastgang", "meters/lastgang/*.csv", 3),
        ("dwd_hourly_tu", "weather/dwd_hourly_tu/*/produkt_*.txt", 11),
    ],
)
def test_every_line_is_a_row(name, pattern, files):
    folder, _, rest = pattern.partition("/")
    paths = sorted(require(folder).glob(rest))
    assert len(paths) == files
    for path in paths:
        result = read(name, path)
        assert result.report.delivered_values == lines_of(path) * feed(name).values_per_row
        assert (path.name, {reason for reason in result.reasons if reason != "ambiguous_dst_hour"}) == (
            path.name,
            set(),
        )
