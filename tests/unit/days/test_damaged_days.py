"""Days with damaged files: what is dirty, what is refused, and what mends it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from metrify_assets.days.clean import compute_clean
from metrify_assets.days.day import parked_days
from metrify_assets.days.digests import DAMAGED, Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.repair import repair_inputs
from metrify_assets.days.validated import compute_validated
from metrify_assets.digest import EMPTY
from metrify_assets.errors import DamagedFileError, DropError
from metrify_assets.warehouse import marts
from tests.workbench import Workbench, flat, reads, workbench

pytestmark = pytest.mark.slow

DAYS = [date(2026, 3, 9) + timedelta(days=offset) for offset in range(4)]
POINTS = [f"P{number}" for number in range(12)]
TABLES = ("validated_readings", "series_days", "clean_readings")


@pytest.fixture
def bench(tmp_path) -> Workbench:
    bench = workbench(tmp_path)
    bench.register(*POINTS)
    for day in DAYS:
        bench.land("plain", f"{day}.csv", reads(POINTS, [day]))
    bench.settle()
    return bench


def state(bench: Workbench) -> dict[str, bytes]:
    lake = bench.platform.lake
    manifests = [manifest for table in TABLES for manifest in lake.days(table).whole().values()]
    return {file: bench.platform.store.read(file) for manifest in manifests for file in manifest.files}


def force(bench: Workbench, day: date) -> None:
    repair_inputs(bench.platform, [day])
    assert not compute_validated(bench.platform, day, Digests(bench.platform), force=True).parked
    digests = Digests(bench.platform)
    assert not compute_clean(bench.platform, day, digests, clean_shards(digests), force=True).parked


def cut(content: bytes) -> bytes:
    return content[:900]


def flipped(content: bytes) -> bytes:
    return content[:600] + bytes([content[600] ^ 0xFF]) + content[601:]


def garbage(content: bytes) -> bytes:
    return b"x" * len(content)


def damage(bench: Workbench, key: str, change) -> None:
    if change is None:
        bench.platform.store.delete(key)
    else:
        bench.platform.store.write(key, change(bench.platform.store.read(key)))


def file_of(bench: Workbench, table: str, day: date) -> str:
    return bench.platform.lake.manifest(table, day).shards[0].file


def drop_of(bench: Workbench, day: date):
    (drop,) = [drop for drop in bench.platform.ledger.view().active.values() if drop.name == f"{day}.csv"]
    return drop


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"shards": {"0": {"file": 1}}}'])
def test_a_damaged_manifest_makes_its_day_dirty_and_no_other(bench, table, content):
    whole = state(bench)
    key = f"lake/{table}/day={DAYS[1]}/_manifest.json"
    bench.platform.store.write(key, content)
    assert bench.dirty() == {DAYS[1]}
    ((damaged, error),) = Digests(bench.platform).damage(TABLES[::2]).items()
    assert (damaged, error.key) == ((table, DAYS[1]), key)
    bench.settle()
    assert state(bench) == whole


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", [cut, None])
def test_a_cut_or_missing_file_makes_its_day_dirty_and_no_other(bench, table, change):
    whole = state(bench)
    damage(bench, file_of(bench, table, DAYS[1]), change)
    assert bench.dirty() == {DAYS[1]}
    bench.settle()
    assert state(bench) == whole


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", [flipped, garbage])
def test_computing_a_day_on_request_repairs_files_whose_size_is_right(bench, table, change):
    whole = state(bench)
    damage(bench, file_of(bench, table, DAYS[1]), change)
    assert bench.dirty() == set()
    force(bench, DAYS[1])
    assert state(bench) == whole


def test_nothing_is_made_of_a_damaged_day(bench):
    bench.platform.store.write(f"lake/validated_readings/day={DAYS[1]}/_manifest.json", b"no JSON")
    digests = Digests(bench.platform)
    assert digests.current(f"validated_readings@{DAYS[1]}", 0) == DAMAGED
    before = bench.platform.lake.manifest("clean_readings", DAYS[1])
    result = compute_clean(bench.platform, DAYS[1], digests, clean_shards(digests), force=True)
    assert f"run `metrify recompute {DAYS[1]}`" in result.parked
    assert bench.platform.lake.manifest("clean_readings", DAYS[1]) == before
    assert [parked.day for parked in parked_days(bench.platform.store, ["clean_readings"])] == [DAYS[1]]
    bench.settle()
    # Its file is another one now, so it waits no longer.
    assert parked_days(bench.platform.store, ["clean_readings"]) == []


def test_a_day_goes_on_once_the_file_that_it_waits_for_is_written_again(bench):
    # A gap is filled from the days a week apart.
    before = DAYS[3] - timedelta(days=7)
    bench.land("plain", f"{before}.csv", reads(POINTS, [before]))
    bench.settle()
    for table in ("validated_readings", "series_days"):
        damage(bench, file_of(bench, table, before), garbage)
    lacking = reads(POINTS, [DAYS[3]], lambda point, day, slot: None if slot < 4 else flat(0.5)(point, day, slot))
    bench.land("plain", f"{DAYS[3]}.csv", lacking)
    bench.compute(DAYS[3])
    (parked,) = parked_days(bench.platform.store, ["clean_readings"])
    assert (parked.day, f"run `metrify recompute {before}`" in parked.reason) == (DAYS[3], True)
    force(bench, before)
    assert parked_days(bench.platform.store, ["clean_readings"]) == []
    bench.settle()
    assert bench.platform.lake.manifest("clean_readings", DAYS[3]).total("status", "measured") == 12 * 20
    assert bench.dirty() == set()


@pytest.mark.parametrize("change", [cut, garbage, None])
def test_a_drop_is_read_again_whose_part_is_damaged_from_landed_bytes_or_the_inbox(bench, change):
    whole, drop = state(bench), drop_of(bench, DAYS[1])
    part = drop.parts[str(DAYS[1])][0].file
    content, landed = bench.platform.store.read(part), bench.platform.store.read(drop.landed)
    for key in (part, drop.landed):
        damage(bench, part, change)
        damage(bench, key, change)
        assert repair_inputs(bench.platform, [DAYS[1]]) == [part]
        assert bench.platform.store.read(part) == content
        assert bench.platform.store.read(drop.landed) == landed
    assert repair_inputs(bench.platform, [DAYS[1]]) == []
    force(bench, DAYS[1])
    assert state(bench) == whole


def test_landed_bytes_that_are_nowhere_are_told_and_delivered_again(bench):
    drop = drop_of(bench, DAYS[1])
    landed = bench.platform.store.read(drop.landed)
    damage(bench, drop.parts[str(DAYS[1])][0].file, garbage)
    damage(bench, drop.landed, cut)
    (bench.inbox / "plain" / drop.name).unlink()
    with pytest.raises(DropError, match=rf"{drop.landed} is missing or damaged: put plain/{drop.name} into the inbox"):
        repair_inputs(bench.platform, [DAYS[1]])
    assert bench.land("plain", drop.name, landed, bench_later()).outcome == "redelivery"
    assert len(repair_inputs(bench.platform, [DAYS[1]])) == 1
    assert bench.platform.store.read(drop.landed) == landed


def bench_later():
    from tests.workbench import ARRIVED

    return ARRIVED + timedelta(hours=5)


@pytest.mark.parametrize("change", [flipped, garbage, None])
@pytest.mark.parametrize("what", ["file", "manifest"])
def test_a_damaged_registry_is_built_again(bench, change, what):
    (key,) = bench.platform.lake.manifest("points", None).files
    whole = bench.platform.store.read(key)
    if what == "file":
        damage(bench, key, change)
    else:
        bench.platform.store.write("lake/points/_manifest.json", b"no JSON")
    assert len(repair_inputs(bench.platform, [DAYS[1]])) == 1
    assert bench.platform.store.read(key) == whole
    assert bench.platform.lake.manifest("points", None).files == [key]


def test_files_that_dbt_cannot_read_are_found_by_their_content_and_by_what_it_says(bench):
    key = file_of(bench, "clean_readings", DAYS[1])
    inputs = marts.MartInputs({DAYS[1]: {}}, EMPTY)
    assert marts.damaged_files(bench.platform, inputs, "Compilation Error") == []
    damage(bench, key, flipped)
    assert marts.damaged_files(bench.platform, inputs, "Snappy decompression failure") == [key]
    other = file_of(bench, "clean_readings", DAYS[2])
    message = f"No magic bytes found at end of file '{bench.platform.store.uri(other)}'"
    assert marts.damaged_files(bench.platform, inputs, message) == sorted([key, other])
    damage(bench, other, cut)
    with pytest.raises(DamagedFileError, match=f"run `metrify recompute {DAYS[2]}`"):
        bench.platform.lake.days("clean_readings").whole()
