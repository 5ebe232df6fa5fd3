"""Lines counted without a parser, compared with counting them one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.formats import files
from metrify_assets.feeds.formats.files import count_block, data_lines


def one_by_one(block: bytes) -> int:
    return sum(bool(line.strip(b" \r\n")) for line in block.split(b"\n"))


@given(st.lists(st.sampled_from([b"a", b"1,2", b" ", b"\t", b"\r", b"\n", b"\r\n", b"  x"]), max_size=40))
def test_lines_are_counted_as_one_by_one(parts):
    block = b"".join(parts)
    assert count_block(block) == one_by_one(block) == len(data_lines(block, one_by_one(block)))


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
@pytest.mark.parametrize("block", [b"a\nb\nc", b"a\nb\nc\n", b"abc\n\ndef\n", b"ab\n cd\n", b"x", b"\n", b""])
def test_the_size_of_the_pieces_does_not_matter(monkeypatch, piece, block):
    monkeypatch.setattr(files, "_PIECE_BYTES", piece)
    assert count_block(block) == one_by_one(block)
