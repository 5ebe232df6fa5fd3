from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.drops.inbox import LocalInbox
from metrify_assets.errors import BridgeError
from metrify_assets.sources.mqtt import inbox_files
from metrify_assets.sources.mqtt.inbox_files import InboxFiles
from tests.unit.feeds.reading import feed
from tests.unit.landing.test_ingest import Crash

LATER = 60_000_000


def files(tmp_path: Path, client_id: str = "bridge-1") -> InboxFiles:
    return InboxFiles(tmp_path, feed("meters_mqtt"), client_id)


def seen(tmp_path: Path) -> list[str]:
    """Return the files that the drops sensor would read, in its order."""
    return [
        file.name
        for file in LocalInbox(tmp_path).scan({"meters_mqtt": feed("meters_mqtt")}, SYSTEM_CLOCK.now() + LATER).files
    ]


def test_a_batch_is_one_file_with_nothing_beside_it(tmp_path):
    path = files(tmp_path).write(b"{}\n")
    assert path.read_bytes() == b"{}\n"
    assert os.listdir(tmp_path / "meters_mqtt") == [path.name]
    assert path.name.startswith("mqtt_bridge-1_2")


def test_files_are_read_in_the_order_in_which_they_were_written(tmp_path, monkeypatch):
    # Even if the clock stands, or goes back.
    ticks = iter([5_000_000_000, 5_000_000_000, 4_000_000_000, 5_000_001_000])
    monkeypatch.setattr(inbox_files.time, "time_ns", lambda: next(ticks))
    written = files(tmp_path)
    names = [written.write(b"{}\n").name for _ in range(4)]
    assert seen(tmp_path) == names
    assert len(set(names)) == 4


@given(st.text(min_size=1, max_size=30))
def test_any_client_id_makes_a_name_that_the_feed_accepts(tmp_path_factory, client_id):
    folder = tmp_path_factory.mktemp("inbox")
    path = files(folder, client_id).write(b"{}\n")
    assert path.parent == folder / "meters_mqtt"
    assert seen(folder) == [path.name]


def test_a_bridge_knows_the_files_of_its_name(tmp_path):
    assert not files(tmp_path).exist()
    files(tmp_path).write(b"{}\n")
    assert files(tmp_path).exist()
    assert not files(tmp_path, "bridge").exist()


def test_a_file_that_is_half_written_is_not_read_and_removed_by_the_next_bridge(tmp_path, monkeypatch):
    files(tmp_path).write(b"{}\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            files(tmp_path).write(b"{}\n")
    assert len(os.listdir(tmp_path / "meters_mqtt")) == 2
    assert len(seen(tmp_path)) == 1
    files(tmp_path, "another").remove_leftovers()
    assert len(os.listdir(tmp_path / "meters_mqtt")) == 2
    files(tmp_path).remove_leftovers()
    assert os.listdir(tmp_path / "meters_mqtt") == seen(tmp_path)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    written = files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        (tmp_path / "meters_mqtt").mkdir()
        with pytest.raises(OSError, match="No space"):
            written.write(b"{}\n")
    assert os.listdir(tmp_path / "meters_mqtt") == []
    written.write(b"{}\n")


def test_a_feed_that_expects_other_names_is_told(tmp_path):
    with pytest.raises(BridgeError, match=r"feed meters_south expects names like 'south_\*\.jsonl'"):
        InboxFiles(tmp_path, feed("meters_south"), "bridge-1")
