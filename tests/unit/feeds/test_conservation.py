"""Laws of the reader: whatever arrives, every delivered value is raw or in quarantine, once."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.feeds.reading import feed, read, write

CELLS = ["1", "0,5", "-3.25", "", " ", "NaN", "x", '"', '""', '"1"', "1e13", "W", "P1", "1-0:1.29.0", "01.03.2026"]
CELLS += ["00:15", "02:30", "25.10.2025", "29.03.2026", "2026-03-01T00:00:00Z", "9999-12-31T00:00:00Z", "-999", "\r"]
CELLS += ["ä", "\x00", "Amprion", "load_mw", "2026-03-01"]


def files(name: str) -> st.SearchStrategy[bytes]:
    """Return files of a delimited feed: well-formed, ragged and garbled lines, any line end, any last line."""
    delimiter, columns = feed(name).delimiter, len(feed(name).column_names)
    cell = st.sampled_from(CELLS)
    whole = st.lists(cell, min_size=columns, max_size=columns).map(delimiter.join)
    ragged = st.lists(cell, max_size=columns + 2).map(delimiter.join)
    line = st.one_of(whole, whole, ragged).map(str.encode) | st.binary(max_size=20)
    lines = st.lists(st.tuples(line, st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n"])), max_size=12)
    header = delimiter.join(feed(name).header or ()).encode() + b"\n"
    return st.tuples(lines, line).map(lambda parts: header + b"".join(a + b for a, b in parts[0]) + parts[1])


@pytest.mark.parametrize(
    "name",
    [
        "meters_north",
        "meters_east",
        "grid_status",
        "power_quality",
        "weather_stations_hourly",
        "smard_load",
        "amprion_wind",
        "dwd_hourly_ff",
    ],
)
@settings(max_examples=examples(0.6))
@given(data=st.data())
def test_every_delivered_value_is_raw_or_quarantined(name, data):
    content = data.draw(files(name))
    with TemporaryDirectory() as folder:
        result = read(name, write(Path(folder), "50Hertz_file", content))
    body = content.split(b"\n")[1:]
    lines = sum(bool(line.strip(b" \r")) for line in body)
    assert result.report.rows == lines
    assert result.report.delivered_values == lines * feed(name).values_per_row
    refused = [row["row_number"] for row in result.quarantine]
    assert len(set(refused)) == len(refused)
    assert {row["row_number"] for row in result.rows} | set(refused) == set(range(1, lines + 1)) or refused == [0]


@settings(max_examples=examples(0.6))
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [
                    b'{"point":"A","obis":"1","end":"2026-03-01T00:15:00Z","wh":1,"quality":"A"}',
                    b'{"point":"A","obis":"1","end":"2026-03-01T00:15:00Z","wh":null,"quality":"A"}',
                    b'{"point":"A","obis":"1","end":7,"wh":1,"quality":"Z"}',
                    b'{"point":["A"],"wh":"x"}',
                    b"{}",
                    b'{"',
                    b"null",
                ]
            ),
        ),
        max_size=8,
    )
)
def test_every_json_line_is_raw_or_quarantined(lines):
    content = b"\n".join(lines)
    # Bytes that announce gzip or zip make it a packed file, whose lines cannot be counted.
    assume(not content.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06")))
    with TemporaryDirectory() as folder:
        result = read("meters_south", write(Path(folder), "south.jsonl", content))
    expected = sum(bool(line.strip(b" \r")) for line in content.split(b"\n"))
    assert result.report.delivered_values == expected


@settings(max_examples=examples(0.4))
@given(st.binary(max_size=300))
@pytest.mark.parametrize(
    "name", ["meters_north", "meters_south", "meters_west", "registry_points", "lastgang_end_stamped"]
)
def test_random_bytes_never_raise(name, content):
    with TemporaryDirectory() as folder:
        read(name, write(Path(folder), "lastgang.csv", content))
