from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.errors import LakeError
from metrify_assets.storage.object_store import LocalObjectStore


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "root")


def test_bytes_are_read_as_they_were_written(store):
    store.write("a/b/c.json", b"\x00\xff")
    assert store.read("a/b/c.json") == b"\x00\xff"
    assert store.exists("a/b/c.json")


def test_a_second_write_replaces(store):
    store.write("a", b"1")
    store.write("a", b"22")
    assert [(item.key, item.size) for item in store.list("")] == [("a", 2)]


def test_an_absent_object_is_told(store):
    assert not store.exists("a")
    with pytest.raises(FileNotFoundError):
        store.read("a")
    store.delete("a")


def test_a_listing_is_ordered_by_key_and_knows_nothing_of_other_folders(store):
    for key in ("lake/b", "lake/a/z", "lakes/x", "lake/a-b"):
        store.write(key, b"")
    assert [item.key for item in store.list("lake")] == ["lake/a-b", "lake/a/z", "lake/b"]
    assert store.list("nowhere") == []


def test_a_write_that_fails_leaves_the_old_bytes_and_no_rest(store):
    store.write("a", b"old")

    def fail_half_way():
        with store.writing("a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert store.read("a") == b"old"
    assert os.listdir(store.root) == ["a"]


def test_an_unfinished_write_is_not_listed(store):
    with store.writing("a") as temporary:
        temporary.write_bytes(b"half")
        assert store.list("") == []
        assert not store.exists("a")
    assert [item.key for item in store.list("")] == ["a"]


def test_an_object_that_goes_while_it_is_listed_is_left_out(store, monkeypatch):
    store.write("a", b"1")
    store.write("b", b"1")
    scandir = os.scandir

    def racing(path):
        entries = list(scandir(path))
        (store.root / "a").unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", racing)
    assert [item.key for item in store.list("")] == ["b"]


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/etc/hostname", "a/.."])
def test_a_key_that_leaves_the_root_is_refused(store, key):
    for use in (store.read, store.exists, store.delete, store.uri, store.list, lambda key: store.write(key, b"")):
        with pytest.raises(LakeError, match="leaves"):
            use(key)


@given(st.lists(st.sampled_from(["..", "a", ".", "b"]), min_size=1, max_size=5))
def test_no_key_of_a_store_names_anything_outside(parts):
    store = LocalObjectStore(Path("/somewhere/root"))
    try:
        path = store.uri("/".join(parts))
    except LakeError:
        assert ".." in parts
    else:
        assert os.path.normpath(path).startswith("/somewhere/root")


def test_objects_may_be_read_by_others(store):
    store.write("a", b"1")
    assert (store.root / "a").stat().st_mode & 0o777 == 0o644
