from __future__ import annotations

import errno
import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import DamagedFileError, LakeError
from metrify_assets.storage.lake import UNPUBLISHED_FOR, Lake, Manifest, Shard
from metrify_assets.storage.object_store import LocalObjectStore
from tests.examples import examples

DAY = date(2026, 3, 29)
SCHEMA = pa.schema([("point_id", pa.string()), ("kwh", pa.decimal64(18, 6))])


def rows(*values: float) -> pa.Table:
    return pa.table(
        {"point_id": [f"P{i}" for i in range(len(values))], "kwh": pa.array([str(v) for v in values])}
    ).cast(SCHEMA)


def write_day(lake: Lake, *values: float, shards: int = 2) -> Manifest:
    """Write a day whose shards hold the values in turn."""
    cut = {
        n: lake.write_shard("clean", DAY, n, rows(*values[n::shards]), inputs={"raw": str(values)})
        for n in range(shards)
    }
    return lake.publish("clean", DAY, cut)


def files(lake: Lake) -> dict[str, bytes]:
    return {item.key: lake.store.read(item.key) for item in lake.store.list("lake")}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LocalObjectStore(tmp_path))


def test_a_day_is_read_back_as_it_was_written(lake):
    manifest = write_day(lake, 1.5, 2.25, 3)
    rows = lake.read(lake.manifest("clean", DAY), SCHEMA)
    assert sorted(str(value) for value in rows["kwh"].to_pylist()) == ["1.500000", "2.250000", "3.000000"]
    assert manifest.rows == 3


def test_a_nullable_column_that_a_shard_was_written_without_is_null_and_any_other_is_damage(lake):
    manifest = write_day(lake, 1.5)
    added = pa.field("method", pa.dictionary(pa.int32(), pa.string()))
    read = lake.read(manifest, pa.schema([SCHEMA.field(0), added, SCHEMA.field(1)]))
    assert read.to_pylist() == [{"point_id": "P0", "method": None, "kwh": Decimal("1.5")}]
    assert lake.read(manifest, pa.schema([added]), ["method"]).to_pylist() == [{"method": None}]
    with pytest.raises(DamagedFileError, match="recompute 2026-03-29"):
        lake.read(manifest, pa.schema([SCHEMA.field(0), added.with_nullable(False)]))


def test_a_column_that_came_after_a_day_was_written_is_null_on_it_unless_it_may_not_be(lake):
    manifest = write_day(lake, 1.5, 2.25)
    later = pa.field("low_kwh", pa.decimal64(18, 6))
    wider = pa.schema([SCHEMA.field("point_id"), later, SCHEMA.field("kwh")])
    rows = lake.read(manifest, wider)
    assert rows.schema == wider
    assert rows["low_kwh"].null_count == rows.num_rows == 2
    assert lake.read(manifest, wider, ["low_kwh"]).to_pylist() == [{"low_kwh": None}] * 2
    with pytest.raises(DamagedFileError):
        lake.read(manifest, pa.schema([*SCHEMA, later.with_nullable(False)]))


def test_a_day_that_was_never_written_has_no_rows(lake):
    assert lake.manifest("clean", DAY) is None
    assert lake.read(None, SCHEMA).num_rows == 0


def test_a_shard_without_rows_has_no_file(lake):
    manifest = write_day(lake, 1.5)
    assert manifest.shards[1].file == ""
    assert manifest.shards[1].digest == EMPTY
    assert len(manifest.files) == 1


def test_a_day_without_any_rows_is_a_day(lake):
    manifest = write_day(lake)
    assert manifest.files == []
    assert lake.days("clean") == {DAY: manifest}


def test_the_same_rows_give_the_same_bytes_and_leave_the_manifest_alone(lake):
    first = write_day(lake, 1.5, 2)
    before = files(lake)
    assert write_day(lake, 1.5, 2) == first
    assert files(lake) == before


def test_rows_are_not_of_the_day_before_it_is_published(lake):
    write_day(lake, 1.5)
    lake.write_shard("clean", DAY, 0, rows(9))
    assert lake.read(lake.manifest("clean", DAY), SCHEMA)["kwh"].to_pylist() == rows(1.5)["kwh"].to_pylist()


def test_a_reader_of_the_replaced_day_still_finds_its_files(lake):
    before = write_day(lake, 1.5, 2)
    write_day(lake, 3, 4)
    assert lake.read(before, SCHEMA).num_rows == 2


def test_files_that_no_manifest_names_go_once_they_are_old(lake, tmp_path):
    first = write_day(lake, 1.5, 2)
    write_day(lake, 3, 4)
    stray = lake.write_shard("clean", DAY, 0, rows(7))
    old = datetime.now(UTC) - UNPUBLISHED_FOR - timedelta(minutes=1)
    for key in first.files:
        os.utime(tmp_path / key, (old.timestamp(), old.timestamp()))
    third = write_day(lake, 5, 6)
    left = {item.key for item in lake.store.list("lake") if item.key.endswith(".parquet")}
    assert not left & set(first.files)
    # What another run has written and not yet published stays.
    assert {stray.file, *third.files} <= left


def test_the_digest_of_a_day_is_that_of_its_content(lake):
    assert write_day(lake, 1.5, 2).digest != write_day(lake, 2, 1.5).digest
    shards = {0: Shard("a", 1, "x"), 1: Shard("b", 1, "y")}
    turned = dict(reversed(shards.items()))
    assert Manifest("clean", DAY, shards).digest == Manifest("clean", DAY, turned).digest
    # Neither inputs nor counts are content.
    assert (
        Manifest("clean", DAY, {0: Shard("a", 1, "x", {"raw": "1"}, {"n": 1}), 1: shards[1]}).digest
        == Manifest("clean", DAY, shards).digest
    )


def test_numbers_are_summed_over_shards_and_absent_ones_count_as_zero():
    shards = {
        0: Shard("", 0, "x", {}, {"tally": {"raw": 3}}),
        1: Shard("", 0, "y", {}, {"tally": {"raw": 4}}),
        2: Shard("", 0, "z"),
    }
    manifest = Manifest("clean", DAY, shards)
    assert manifest.total("tally", "raw") == 7
    assert manifest.total("tally", "none") == 0
    assert manifest.total("raw", "deeper") == 0


def test_a_changed_manifest_is_seen_and_others_are_not_read_again(lake, monkeypatch):
    write_day(lake, 1.5)
    other = date(2026, 3, 30)
    lake.publish("clean", other, {0: lake.write_shard("clean", other, 0, rows(1))})
    assert set(lake.days("clean")) == {DAY, other}
    asked: list[str] = []
    read = lake.store.read
    monkeypatch.setattr(lake.store, "read", lambda key: asked.append(key) or read(key))
    write_day(lake, 2.5)
    asked.clear()
    assert lake.days("clean")[DAY].rows == 1
    assert asked == [f"lake/clean/day={DAY}/_manifest.json"]


NO_MANIFESTS = [b"", b"{", b'{"shards": ', b"\xff{", b"[]", b"null", b'"text"', b"{}", b'{"shards": {}}']
OTHER_SHAPES = [
    {"written_at": "", "shards": []},
    {"written_at": "", "shards": {"a": {}}},
    {"written_at": "", "shards": {"0": {"file": "x"}}},
    {"written_at": "", "shards": {"0": {"file": "x", "rows": "1", "digest": "d"}}},
    {"written_at": "", "shards": {"0": {"file": "x", "rows": 1, "digest": "d", "more": 1}}},
]


@pytest.mark.parametrize("content", [*NO_MANIFESTS, *(json.dumps(record).encode() for record in OTHER_SHAPES)])
def test_a_damaged_manifest_is_told_in_one_line_and_publishing_replaces_it(lake, content):
    manifest = write_day(lake, 1.5)
    key = f"lake/clean/day={DAY}/_manifest.json"
    lake.store.write(key, content)
    with pytest.raises(DamagedFileError, match=rf"^{key} is .*damaged \(.*\): run `metrify recompute {DAY}`$") as error:
        lake.manifest("clean", DAY)
    assert error.value.key == key
    assert write_day(lake, 1.5).shards == manifest.shards
    assert lake.manifest("clean", DAY).shards == manifest.shards


def cut(content: bytes) -> bytes:
    return content[:900]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, None])
@pytest.mark.parametrize("manifest_goes", [True, False])
def test_writing_a_day_again_replaces_its_damaged_files(lake, damage, manifest_goes):
    values = [index * 1.25 for index in range(2_000)]
    manifest = write_day(lake, *values)
    whole = files(lake)
    key = manifest.files[0]
    if damage is None:
        lake.store.delete(key)
    else:
        lake.store.write(key, damage(whole[key]))
        assert lake.store.read(key) != whole[key]
    if manifest_goes:
        lake.unpublish("clean", DAY)
    assert not lake.is_whole(manifest.shards[0])
    assert lake.is_whole(manifest.shards[1])
    write_day(lake, *values)
    assert {key: content for key, content in files(lake).items() if key.endswith(".parquet")} == {
        key: content for key, content in whole.items() if key.endswith(".parquet")
    }
    assert lake.is_whole(manifest.shards[0])


@pytest.mark.parametrize("damage", [cut, flipped, None])
def test_a_copy_is_made_of_a_whole_file_only_and_replaces_a_damaged_copy(lake, damage):
    manifest = write_day(lake, *range(2_000))
    whole = lake.store.read(manifest.files[0])
    copy = lake.copy_shard(manifest.shards[0], "closed", DAY, 0)
    for key in (copy.file, manifest.files[0]):
        if damage is None:
            lake.store.delete(key)
        else:
            lake.store.write(key, damage(whole))
        if key == copy.file:
            assert lake.copy_shard(manifest.shards[0], "closed", DAY, 0) == copy
            assert lake.store.read(copy.file) == whole
    with pytest.raises(DamagedFileError, match=rf"^{manifest.files[0]} is missing or damaged: run `metrify recompute"):
        lake.copy_shard(manifest.shards[0], "closed", DAY, 0)


def three_days(lake: Lake) -> list[Manifest]:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    return [lake.publish("clean", day, {0: lake.write_shard("clean", day, 0, rows(*range(500)))}) for day in days]


def test_one_damaged_manifest_leaves_the_other_days_as_they_are(lake):
    first, second, third = three_days(lake)
    for looks_before in (lake, Lake(lake.store)):
        looks_before.days("clean")
        lake.store.write(f"lake/clean/day={second.day}/_manifest.json", b"no JSON")
        days = looks_before.days("clean")
        assert days == {first.day: first, third.day: third}
        assert days.damaged.keys() == {second.day}
        assert days.every_day == {first.day, second.day, third.day}
        assert days.of(first.day) == first
        assert days.of(DAY - timedelta(days=1)) is None
        for ask in (lambda days=days: days.of(second.day), days.whole):
            with pytest.raises(DamagedFileError, match=f"run `metrify recompute {second.day}`"):
                ask()
        lake.publish("clean", second.day, second.shards)
        assert looks_before.days("clean").whole().keys() == {first.day, second.day, third.day}


@pytest.mark.parametrize("damage", [cut, None])
def test_a_missing_or_cut_file_shows_in_the_listing(lake, damage):
    first, second, third = three_days(lake)
    (key,) = second.files
    assert len(lake.days("clean")) == 3
    whole = lake.store.read(key)
    if damage is None:
        lake.store.delete(key)
    else:
        lake.store.write(key, damage(whole))
    days = lake.days("clean")
    assert days == {first.day: first, third.day: third}
    with pytest.raises(DamagedFileError, match=rf"^{key} is missing or damaged: run `metrify recompute {second.day}`$"):
        days.of(second.day)
    lake.store.write(key, whole)
    assert lake.days("clean").whole().keys() == {first.day, second.day, third.day}


def test_a_day_that_is_published_while_it_is_listed_is_not_taken_for_damaged(lake, monkeypatch):
    write_day(lake, 1.5)
    lake.days("clean")
    listed = lake.store.list

    def publishing_after(prefix: str, after: str = ""):
        objects = listed(prefix, after)
        if prefix == "lake/clean":
            write_day(lake, 2.5, 3.5)
        return objects

    monkeypatch.setattr(lake.store, "list", publishing_after)
    # The manifest is read after the files were listed, and names two that are not among them.
    assert Lake(lake.store).days("clean").whole()[DAY].rows == 2


def test_a_manifest_from_before_sizes_were_noted_is_understood(lake):
    manifest = write_day(lake, 1.5)
    key = f"lake/clean/day={DAY}/_manifest.json"
    record = json.loads(lake.store.read(key))
    for shard in record["shards"].values():
        del shard["size"]
    lake.store.write(key, json.dumps(record).encode())
    restored = lake.days("clean").whole()[DAY]
    assert (restored.digest, restored.files, restored.shards[0].size) == (manifest.digest, manifest.files, 0)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ENOSPC])
def test_a_fault_of_the_machine_is_not_taken_for_a_damaged_file(lake, monkeypatch, number):
    manifest = write_day(lake, 1.5)

    def refuse(key):
        raise OSError(number, os.strerror(number), key)

    monkeypatch.setattr(lake.store, "reading", refuse)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        lake.read(manifest, SCHEMA)


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage"])
def test_a_damaged_file_is_told_with_its_name(lake, tmp_path, damage):
    manifest = write_day(lake, 1.5)
    path = tmp_path / manifest.files[0]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40] if damage == "cut" else b"garbage")
    with pytest.raises(LakeError, match=path.name):
        lake.read(manifest, SCHEMA)


class Crash(Exception):
    pass


class CrashingStore(LocalObjectStore):
    """A store whose process dies at the n-th step: before the bytes, half-way, before or after the rename."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.steps_left: int | None = None
        self.steps = 0

    def _step(self) -> None:
        self.steps += 1
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise Crash

    @contextmanager
    def writing(self, key: str):
        self._step()
        with super().writing(key) as temporary:
            yield temporary
            content = temporary.read_bytes()
            temporary.write_bytes(content[: len(content) // 2])
            self._step()
            temporary.write_bytes(content)
            self._step()
        self._step()


def steps_of_a_day(root: Path) -> int:
    store = CrashingStore(root)
    write_day(Lake(store), 1, 2, 3)
    return store.steps


def test_a_crash_at_any_step_leaves_the_old_day_whole_and_a_second_try_gives_the_same_bytes(tmp_path):
    straight = Lake(LocalObjectStore(tmp_path / "straight"))
    write_day(straight, 1, 2, 3)
    write_day(straight, 4, 5, 6)
    wanted = straight.manifest("clean", DAY)
    steps = steps_of_a_day(tmp_path / "count")
    assert steps == 12  # two shards and a manifest, four steps each
    for step in range(steps):
        store = CrashingStore(tmp_path / str(step))
        lake = Lake(store)
        old = write_day(lake, 1, 2, 3)
        store.steps_left = step
        with pytest.raises(Crash):
            write_day(lake, 4, 5, 6)
        store.steps_left = None
        # Another process looks, with nothing in memory.
        seen = Lake(LocalObjectStore(store.root))
        manifest = seen.manifest("clean", DAY)
        published = step == steps - 1
        assert manifest.digest == (wanted if published else old).digest
        assert seen.read(manifest, SCHEMA).num_rows == 3
        again = write_day(Lake(LocalObjectStore(store.root)), 4, 5, 6)
        assert again.shards == wanted.shards
        assert all(store.read(file) == straight.store.read(file) for file in again.files)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(0.5))
@given(st.lists(st.one_of(st.integers(), st.text(), st.none(), st.dates()), max_size=4))
def test_a_digest_depends_on_its_parts_alone_and_keeps_them_apart(parts):
    assert digest_of(*parts) == digest_of(*parts)
    assert len(digest_of(*parts)) == 16
    assert digest_of(*parts) != digest_of(*parts, "")
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_a_manifest_is_readable_without_this_program(lake, tmp_path):
    manifest = write_day(lake, 1.5)
    record = json.loads((tmp_path / f"lake/clean/day={DAY}/_manifest.json").read_text())
    assert record["table"] == "clean"
    assert record["day"] == "2026-03-29"
    assert record["shards"]["0"]["file"] == manifest.files[0]
