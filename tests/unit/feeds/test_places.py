from __future__ import annotations

import gzip
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.formats import files
from metrify_assets.feeds.places import Place, places
from tests.unit.feeds.reading import feed, read, write


def line_numbers(of, path, rows):
    return {row: place.line for row, place in places(of, path, rows).items()}


HEADER = "point_id,obis,timestamp,mean_kw\n"


def test_a_row_stands_one_line_below_the_header(tmp_path):
    path = write(tmp_path, "a.csv", HEADER + "a\nb\nc\n")
    assert line_numbers(feed("meters_east"), path, [1, 3]) == {1: 2, 3: 4}


def test_blank_lines_are_lines_but_no_rows(tmp_path):
    path = write(tmp_path, "a.csv", HEADER + "\n  \na\r\n\r\nb")
    assert line_numbers(feed("meters_east"), path, [1, 2]) == {1: 4, 2: 6}


def test_lines_of_json_have_no_header(tmp_path):
    path = write(tmp_path, "a.jsonl", "{}\n\n{}\n")
    assert line_numbers(feed("meters_south"), path, [1, 2]) == {1: 1, 2: 3}


def test_a_file_without_header_begins_with_its_first_row(tmp_path):
    path = write(tmp_path, "a.csv", "a\nb\n")
    assert line_numbers(feed("lastgang_end_stamped"), path, [2]) == {2: 2}


def test_a_byte_order_mark_is_no_line(tmp_path):
    path = write(tmp_path, "a.csv", b"\xef\xbb\xbf" + HEADER.encode() + b"a\n")
    assert line_numbers(feed("meters_east"), path, [1]) == {1: 2}


def test_a_compressed_file_is_counted_as_it_is_once_uncompressed(tmp_path):
    path = write(tmp_path, "a.csv.gz", gzip.compress((HEADER + "a\nb\n").encode()))
    assert line_numbers(feed("meters_east"), path, [2]) == {2: 3}


def test_the_file_as_a_whole_a_row_beyond_it_and_a_format_without_lines_have_no_line(tmp_path):
    path = write(tmp_path, "a.csv", HEADER + "a\n")
    assert line_numbers(feed("meters_east"), path, [0, 7]) == {}
    assert line_numbers(feed("meters_west"), path, [1]) == {}
    broken = write(tmp_path, "b.csv.gz", gzip.compress(b"a" * 1_000)[:-9])
    assert line_numbers(feed("meters_east"), broken, [1]) == {}


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@given(lines=st.lists(st.sampled_from(["", " ", "a", "bb", "c\r", "\r"]), min_size=1, max_size=12), end=st.booleans())
def test_every_row_is_found_where_a_plain_count_finds_it(tmp_path_factory, block, lines, end):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(("\n".join(lines) + "\n" * end).encode())
    wanted = [number for number, line in enumerate(lines, start=1) if line.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", block)
        numbers = line_numbers(feed("meters_south"), path, range(1, len(wanted) + 1))
    assert numbers == dict(enumerate(wanted, start=1))


def test_the_rows_of_a_zip_are_found_in_its_files(tmp_path):
    good, bad = "P,1-0:1.29.0,2026-03-01T00:00:00Z,1\n", "P,1-0:1.29.0,never,1\n"
    content = {"a/1.csv": HEADER + good + bad, "2.csv": "wrong\n", "3.csv": HEADER + "\n" + good + good + bad}
    path = tmp_path / "east_1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    result = read("meters_east", path)
    rows = [row["row_number"] for row in result.quarantine]
    place_of_row = places(feed("meters_east"), path, rows, result.report.members)
    assert [place_of_row[row] for row in rows] == [Place("a/1.csv", 3), Place("2.csv"), Place("3.csv", 5)]
    for name, line in [("a/1.csv", 3), ("3.csv", 5)]:
        assert content[name].splitlines()[line - 1] == bad.strip()


def test_the_row_of_a_nem12_file_is_its_line(tmp_path):
    path = write(tmp_path, "a.csv", "100,NEM12,202603011135,A,B\n\n300,20260301,1,A\n900\n")
    (row,) = read("nem12", path).quarantine
    assert line_numbers(feed("nem12"), path, [row["row_number"]]) == {3: 3}
