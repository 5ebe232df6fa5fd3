"""Files of the lake that are cut, changed, lost or overwritten: other days go on, and what the errors say mends them.

Belongs here: the real sensors and jobs on damaged files, without dbt but for the last tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from metrify_assets.days.day import parked_days
from metrify_assets.days.repair import repair_inputs
from metrify_assets.errors import DropError, MetrifyError
from metrify_assets.orchestration.recompute import recompute_days
from metrify_assets.storage.lake import Lake
from tests.harness import LAKE_ASSETS, Installation, days_of_request, installation
from tests.templates import built_once, copy_of
from tests.workbench import ARRIVED, flat, points_file, reads, write_feeds

DAYS = [date(2026, 3, 9) + timedelta(days=offset) for offset in range(4)]
POINTS = [f"P{number}" for number in range(12)]
TABLES = ("validated_readings", "register_reads", "series_days", "clean_readings")


def cut(content: bytes) -> bytes:
    assert len(content) > 900
    return content[:900]


def flipped(content: bytes) -> bytes:
    return content[:600] + bytes([content[600] ^ 0xFF]) + content[601:]


def garbage(content: bytes) -> bytes:
    return b"x" * len(content)


def opened(root: Path, *, with_marts: bool = False):
    return installation(root, with_marts=with_marts, shards=2, feeds_dir=write_feeds(root / "feeds"))


def deliver(plant: Installation, name: str, content: bytes, *, hours: float = 0, feed: str = "plain") -> None:
    plant.put(feed, content, name, mtime=(ARRIVED + timedelta(hours=hours)).timestamp())


def fill(plant: Installation) -> None:
    deliver(plant, "points.csv", points_file({"point_id": point} for point in POINTS), feed="registry_points")
    for day in DAYS:
        deliver(plant, f"{day}.csv", reads(POINTS, [day]))
    assert plant.settle() == ["ingest", "delivery_days"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(root: Path) -> None:
        with opened(root) as plant:
            fill(plant)

    return built_once(tmp_path_factory, "undamaged", build)


@pytest.fixture
def plant(template: Path, tmp_path: Path) -> Iterator[Installation]:
    with opened(copy_of(template, tmp_path)) as plant:
        yield plant


def state(plant: Installation) -> dict[str, bytes]:
    """Return the files that the manifests name, and what the manifests say apart from the time."""
    lake = Lake(plant.platform.store)
    contents: dict[str, bytes] = {}
    for table in TABLES:
        for day, manifest in lake.days(table).whole().items():
            contents |= {file: plant.platform.store.read(file) for file in manifest.files}
            contents[f"{table}@{day}"] = repr(sorted(manifest.shards.items())).encode()
    return contents


def file_of(plant: Installation, table: str, day: date, number: int = 0) -> str:
    return plant.platform.lake.manifest(table, day).shards[number].file


def damage(plant: Installation, key: str, change: Callable[[bytes], bytes] | None) -> None:
    if change is None:
        plant.platform.store.delete(key)
    else:
        plant.platform.store.write(key, change(plant.platform.store.read(key)))


def recompute(plant: Installation, *days: date) -> None:
    """Do what ``metrify recompute`` does, without dbt."""
    repair_inputs(plant.platform, days)
    for day in days:
        plant.run(dg.RunRequest(partition_key=str(day), job_name="delivery_days"))


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("validated_readings", b"no JSON"),
        ("clean_readings", b"[]"),
        ("series_days", b'{"shards": {"0": {"file": 1}}}'),
        ("register_reads", b""),
    ],
)
def test_a_damaged_manifest_is_named_and_its_day_alone_is_computed_again(plant, table, content, capfd):
    whole = state(plant)
    key = f"lake/{table}/day={DAYS[1]}/_manifest.json"
    plant.platform.store.write(key, content)
    (asked,) = plant.tick("dirty_days")
    assert DAYS[1] in days_of_request(asked)
    assert f"{key} is missing or damaged: {DAYS[1]} of {table} is computed again" in capfd.readouterr().err
    plant.run(asked)
    assert state(plant) == whole
    assert plant.settle() == []


@pytest.mark.parametrize(
    ("table", "change"), [("validated_readings", cut), ("clean_readings", None), ("series_days", cut)]
)
def test_a_cut_or_missing_file_is_computed_again_by_itself(plant, table, change):
    whole = state(plant)
    damage(plant, file_of(plant, table, DAYS[1]), change)
    assert plant.settle() == ["delivery_days"]
    assert state(plant) == whole
    assert plant.settle() == []


@pytest.mark.parametrize("change", [flipped, garbage, cut, None])
@pytest.mark.parametrize("table", ["validated_readings", "clean_readings"])
def test_recomputing_a_day_repairs_its_files_whatever_is_wrong_with_them(plant, table, change):
    whole = state(plant)
    damage(plant, file_of(plant, table, DAYS[1]), change)
    recompute(plant, DAYS[1])
    assert state(plant) == whole
    assert plant.settle() == []


def test_other_days_are_computed_while_a_damaged_one_cannot_be(plant):
    # Damaged beyond what a day can mend: the manifest, and the raw part that it would be computed from.
    (drop,) = [drop for drop in plant.platform.ledger.view().drops.values() if drop.name == f"{DAYS[1]}.csv"]
    damage(plant, drop.parts[str(DAYS[1])][0].file, garbage)
    plant.platform.store.write(f"lake/validated_readings/day={DAYS[1]}/_manifest.json", b"no JSON")
    before = plant.platform.lake.manifest("clean_readings", DAYS[1])
    deliver(plant, f"{DAYS[3]}.csv", reads(POINTS, [DAYS[3]], flat(0.75)), hours=1)
    plant.settle(despite_failures=True)
    new = plant.platform.lake.manifest("clean_readings", DAYS[3])
    assert new.total("micro_kwh") == 12 * 24 * 750_500
    # Nothing was made of a day that could not be read: neither a day without values nor one without its history.
    assert plant.platform.lake.manifest("clean_readings", DAYS[1]) == before
    (parked,) = parked_days(plant.platform.store, ("validated_readings",))
    assert (parked.day, f"run `metrify recompute {DAYS[1]}`" in parked.reason) == (DAYS[1], True)
    recompute(plant, DAYS[1])
    plant.settle()
    assert parked_days(plant.platform.store, TABLES) == []
    assert Lake(plant.platform.store).days("validated_readings").whole().keys() == set(DAYS)


@pytest.mark.parametrize("change", [cut, garbage, None])
def test_recomputing_a_day_reads_drops_again_whose_parts_are_damaged(plant, change):
    whole = state(plant)
    (drop,) = [drop for drop in plant.platform.ledger.view().drops.values() if drop.name == f"{DAYS[1]}.csv"]
    part = drop.parts[str(DAYS[1])][0].file
    content = plant.platform.store.read(part)
    damage(plant, part, change)
    recompute(plant, DAYS[1])
    assert plant.platform.store.read(part) == content
    assert state(plant) == whole


@pytest.mark.parametrize("change", [flipped, garbage, None])
def test_recomputing_a_day_builds_damaged_registries_again(plant, change):
    whole = state(plant)
    (key,) = plant.platform.lake.manifest("points", None).files
    content = plant.platform.store.read(key)
    damage(plant, key, change)
    recompute(plant, DAYS[1])
    assert plant.platform.store.read(key) == content
    assert state(plant) == whole


def test_a_damaged_manifest_of_a_registry_is_mended_by_the_drops_sensor(plant):
    whole = state(plant)
    plant.platform.store.write("lake/points/_manifest.json", b"no JSON")
    with pytest.raises(MetrifyError, match=r"points/_manifest.json is missing or damaged .*: run `metrify"):
        plant.tick("dirty_days")
    assert plant.settle() == ["ingest"]
    assert state(plant) == whole


@pytest.mark.parametrize("change", [cut, None])
def test_a_registry_whose_file_is_cut_or_gone_is_built_again_by_the_drops_sensor(plant, change):
    whole = state(plant)
    (key,) = plant.platform.lake.manifest("points", None).files
    damage(plant, key, change)
    assert plant.settle() == ["ingest"]
    assert state(plant) == whole


@pytest.mark.parametrize("change", [cut, flipped, None])
def test_landed_bytes_that_are_damaged_are_landed_again_from_the_inbox(plant, change):
    (drop,) = [drop for drop in plant.platform.ledger.view().drops.values() if drop.name == f"{DAYS[1]}.csv"]
    whole, landed = state(plant), plant.platform.store.read(drop.landed)
    damage(plant, drop.parts[str(DAYS[1])][0].file, garbage)
    damage(plant, drop.landed, change)
    recompute(plant, DAYS[1])
    assert plant.platform.store.read(drop.landed) == landed
    assert state(plant) == whole


def test_landed_bytes_that_are_nowhere_else_are_told_and_delivered_again(plant):
    (drop,) = [drop for drop in plant.platform.ledger.view().drops.values() if drop.name == f"{DAYS[1]}.csv"]
    whole, landed = state(plant), plant.platform.store.read(drop.landed)
    damage(plant, drop.parts[str(DAYS[1])][0].file, garbage)
    damage(plant, drop.landed, cut)
    (plant.settings.inbox / "plain" / drop.name).unlink()
    with pytest.raises(DropError, match=rf"{drop.landed} is missing or damaged: put plain/{drop.name} into the inbox"):
        recompute(plant, DAYS[1])
    deliver(plant, drop.name, landed, hours=5)
    assert plant.settle() == []
    recompute(plant, DAYS[1])
    assert state(plant) == whole


def one_line(error: pytest.ExceptionInfo[MetrifyError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.dbt
@pytest.mark.seldom
def test_what_dbt_cannot_read_is_named_in_one_line_and_recomputing_mends_file_and_marts(tmp_path, monkeypatch):
    with opened(tmp_path, with_marts=True) as plant:
        fill(plant)
        facts = "select day, sum(energy_kwh), count(*) from marts.fct_smart_meter_analytics group by day order by day"
        whole, rows = state(plant), plant.query(facts)
        key = file_of(plant, "clean_readings", DAYS[1])
        damage(plant, key, garbage)
        # Only the marts are asked for, as after a change of a model.
        names = plant.defs.resolve_job_def("delivery_days").asset_layer.executable_asset_keys
        chosen = [name for name in names if name.path[-1] not in LAKE_ASSETS]
        request = dg.RunRequest(partition_key=str(DAYS[1]), job_name="delivery_days", asset_selection=chosen)
        result = plant.run(request, raise_on_error=False)
        (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        assert failure.user_failure_data.description == (
            f"dbt cannot read 1 files of the lake: {key} is missing or damaged: run `metrify recompute {DAYS[1]}`"
        )
        recompute_days(plant.settings, DAYS[1], DAYS[1])
        assert state(plant) == whole
        assert plant.query(facts) == rows

        # A warehouse that is none: told, and made again by what is said.
        plant.settings.warehouse.write_bytes(b"no database " * 1_000)
        with pytest.raises(MetrifyError) as error:
            recompute_days(plant.settings, DAYS[1], DAYS[1])
        message = one_line(error)
        assert f"{plant.settings.warehouse} cannot be opened, it is no DuckDB file" in message
        assert "delete it, and the marts are built again by themselves" in message
        plant.settings.warehouse.unlink()
        assert plant.settle() == ["delivery_days"]
        assert plant.query(facts) == rows
