"""The object store in a bucket keeps the promises of the local one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from metrify_assets.errors import LakeError
from metrify_assets.storage import s3
from metrify_assets.storage.lake import Lake
from metrify_assets.storage.object_store import LocalObjectStore, ObjectStore
from metrify_assets.storage.s3 import Bucket, S3ObjectStore
from tests.s3_server import Sender

pytest_plugins = ["tests.s3_fixtures"]


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, sender: Sender) -> ObjectStore:
    return LocalObjectStore(tmp_path) if request.param == "local" else S3ObjectStore(sender.bucket, tmp_path)


@pytest.fixture
def on_s3(tmp_path: Path, sender: Sender) -> S3ObjectStore:
    return S3ObjectStore(sender.bucket, tmp_path / "cache")


def test_bytes_are_read_as_they_were_written(store):
    store.write("a/b c+ä.json", b"\x00\xff")
    assert store.read("a/b c+ä.json") == b"\x00\xff"
    assert store.exists("a/b c+ä.json")
    assert [(item.key, item.size) for item in store.list("a")] == [("a/b c+ä.json", 2)]


def test_an_absent_object_is_told(store):
    assert not store.exists("a")
    with pytest.raises(FileNotFoundError):
        store.read("a")
    with pytest.raises(FileNotFoundError), store.reading("a"):
        pass
    assert store.read_all(["a", "b"]) == [None, None]
    store.delete("a")


def test_a_listing_is_ordered_and_begins_after_a_key(store):
    keys = ["lake/a-b", "lake/a/y", "lake/a/z", "lake/b", "lakes/x"]
    for key in reversed(keys):
        store.write(key, b"")
    assert [item.key for item in store.list("lake")] == keys[:4]
    for position, key in enumerate(keys[:4]):
        assert [item.key for item in store.list("lake", key)] == keys[position + 1 : 4]
    assert [item.key for item in store.list("lake", "lake/a/")] == keys[1:4]
    assert store.list("nowhere") == []


def test_of_two_that_create_an_object_one_does(store):
    assert store.create("a", b"first")
    assert not store.create("a", b"second")
    assert store.read("a") == b"first"


def test_a_write_that_fails_leaves_the_old_bytes(store):
    store.write("a", b"old")

    def fail_half_way():
        with store.writing("a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert store.read("a") == b"old"
    assert [item.key for item in store.list("")] == ["a"]


def test_what_was_written_is_read_as_a_local_file(store):
    with store.writing("a/b") as temporary:
        temporary.write_bytes(b"1")
    with store.reading("a/b") as path:
        assert path.read_bytes() == b"1"
    assert [path.read_bytes() for path in store.local_copies(["a/b"])] == [b"1"]


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/etc/hostname"])
def test_a_key_that_leaves_the_root_is_refused(store, key):
    uses = (store.read, store.exists, store.delete, store.uri, store.list, lambda key: store.write(key, b""))
    for use in uses:
        with pytest.raises(LakeError, match="leaves"):
            use(key)


def test_two_versions_of_the_same_second_and_size_are_told_apart(on_s3):
    on_s3.write("a", b"1")
    (before,) = on_s3.list("")
    on_s3.write("a", b"2")
    (after,) = on_s3.list("")
    assert before.size == after.size
    assert before.etag != after.etag


def test_more_than_a_page_is_listed_whole(on_s3, sender):
    keys = [f"many/{number:05}" for number in range(2_345)]
    sender.put_many(keys)
    assert [item.key for item in on_s3.list("many")] == keys
    assert [item.key for item in on_s3.list("many", keys[999])] == keys[1_000:]


def test_a_listing_says_what_the_client_alone_would_say(on_s3, sender):
    import boto3

    names = ["ä b.csv", "a+b&c<d>%20.csv", "日本.csv", "a/b/c.csv", "'\".csv", "zero"]
    for name in names:
        sender.put("plain", name, b"" if name == "zero" else name.encode())
    objects, more = sender.bucket.page("inbox/plain/")
    plain = boto3.client("s3", endpoint_url=sender.bucket.endpoint)
    answer = plain.list_objects_v2(Bucket=sender.bucket.name, Prefix=sender.bucket.full("inbox/plain/"))
    listed = [
        (item["Key"], item["Size"], round(item["LastModified"].timestamp() * 1_000_000), item["ETag"].strip('"'))
        for item in answer["Contents"]
    ]
    assert [(sender.bucket.full(each.key), each.size, each.modified_at, each.etag) for each in objects] == listed
    assert sorted(each.key.removeprefix("inbox/plain/") for each in objects) == sorted(names)
    assert not more


def test_a_large_file_goes_in_parts_and_appears_whole(on_s3, monkeypatch, sender):
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 6 * 2**20)
    content = os.urandom(20 * 2**20)
    with on_s3.writing("large") as temporary:
        temporary.write_bytes(content)
        assert on_s3.list("") == []
    (entry,) = on_s3.list("")
    assert entry.etag.endswith("-3")  # parts of 8 MiB
    assert on_s3.read("large") == content


def test_a_copy_that_its_reader_fails_on_is_fetched_anew(on_s3):
    on_s3.write("a", b"right")
    with on_s3.reading("a") as path:
        path.write_bytes(b"wrong")

    def fail():
        with on_s3.reading("a") as path:
            assert path.read_bytes() == b"wrong"
            raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"):
        fail()
    with on_s3.reading("a") as path:
        assert path.read_bytes() == b"right"


def test_a_full_disk_is_not_taken_for_a_damaged_object(on_s3, monkeypatch):
    shard = Lake(on_s3).write_shard("numbers", None, 0, pa.table({"n": [1]}))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(s3.shutil, "copyfileobj", full)
    with pytest.raises(LakeError, match=r"No space left on device\): make room"):
        Lake(on_s3).read_shard(shard)
    monkeypatch.undo()
    assert Lake(on_s3).read_shard(shard).to_pydict() == {"n": [1]}


def test_a_copy_is_fetched_once(on_s3, sender):
    on_s3.write("a", b"1")
    with on_s3.reading("a"):
        pass
    sender.bucket.client.delete_object(Bucket=sender.bucket.name, Key=sender.bucket.full("a"))
    with on_s3.reading("a") as path:
        assert path.read_bytes() == b"1"


def test_copies_for_other_programs_outlive_the_cache_until_they_are_named_no_more(on_s3, monkeypatch):
    for key in ("lake/day=2026-03-01/a", "lake/day=2026-03-01/b"):
        on_s3.write(key, key.encode())
    first, second = on_s3.local_copies(["lake/day=2026-03-01/a", "lake/day=2026-03-01/b"])
    assert first.parts[-3:] == ("lake", "day=2026-03-01", "a")
    for path in (first, second):
        os.utime(path, (0, 0))
    assert on_s3.local_copies(["lake/day=2026-03-01/b"]) == [second]
    assert not first.exists()
    assert second.read_bytes() == b"lake/day=2026-03-01/b"


@pytest.mark.parametrize(
    ("bucket", "problem"),
    [
        (Bucket("metrify-no-such-bucket", "", "{url}"), "there is no bucket metrify-no-such-bucket"),
        (Bucket("metrify", "", "http://127.0.0.1:9"), "check METRIFY_S3_ENDPOINT"),
        (Bucket("metrify", "", "nonsense"), "METRIFY_S3_ENDPOINT"),
    ],
)
def test_what_is_wrong_with_the_bucket_is_told_in_one_line(bucket, problem, s3_url, tmp_path):
    store = S3ObjectStore(Bucket(bucket.name, "", bucket.endpoint.format(url=s3_url)), tmp_path)
    for use in (lambda: store.list("a"), lambda: store.write("a", b"1")):
        with pytest.raises(LakeError, match=problem) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_a_stream_ends_with_the_version_that_was_asked_for(sender):
    sender.bucket.client.put_object(Bucket=sender.bucket.name, Key=sender.bucket.full("a"), Body=b"1")
    (item,) = next(sender.bucket.pages(""))
    with sender.bucket.opened("a", item.etag) as stream:
        assert stream.read(10) == b"1"
    sender.bucket.client.put_object(Bucket=sender.bucket.name, Key=sender.bucket.full("a"), Body=b"2")
    with pytest.raises(s3.ObjectChangedError), sender.bucket.opened("a", item.etag):
        pass
