"""The benchmark of the formats: its files hold what it says, and both sides find it."""

from __future__ import annotations

import pytest

from benchmarks.sources_formats import FIGURES, PEERS
from benchmarks.sources_formats_files import FEEDS, stage
from benchmarks.sources_formats_sides import ours, peer


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    return stage(str(tmp_path_factory.mktemp("formats")), points=40)


@pytest.mark.parametrize("name", PEERS)
def test_both_sides_find_the_same_values(staged, name):
    file = staged[name]
    mine, theirs = ours(name, file["path"]), peer(name, file["path"])
    assert mine["rows"] == theirs["rows"] == file["rows"]
    assert mine["total"] == theirs["total"]


def test_every_format_has_a_peer_and_its_figures():
    assert list(FEEDS) == list(PEERS)
    assert {name.split("_rows")[0] for name in FIGURES if name.endswith("_rows")} == set(PEERS)
