"""Files that arrive in a bucket: nothing is lost and nothing is taken in twice, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.drops import inbox_s3
from metrify_assets.drops.inbox import InboxFile, InboxState, Position
from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.landing.ingest import Ingested, ingest
from metrify_assets.orchestration.automation import jobs
from metrify_assets.orchestration.automation.sensors import drops_sensor, scan_inbox
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry
from metrify_assets.settings import Settings
from metrify_assets.storage import s3
from metrify_assets.storage.s3 import S3ObjectStore
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.examples import examples
from tests.s3_server import Sender, new_bucket, s3_settings
from tests.workbench import Workbench, flat, points_file, reads, workbench

pytest_plugins = ["tests.s3_fixtures"]
DAYS = [date(2026, 3, 28), date(2026, 3, 29)]
MOMENT = datetime(2026, 6, 1, 6, tzinfo=UTC)
DATED = ("name: plain", "name: dated\ndated_names: {pattern: '%Y/%m/%d/', days: 2}")


def on_s3(sender: Sender, root: Path) -> Workbench:
    """Return a platform whose files lie in the sender's bucket, with a dated feed beside those of the tests."""
    bench = workbench(root, **s3_settings(sender))
    feeds = root / "feeds"
    (feeds / "dated.yaml").write_text((feeds / "plain.yaml").read_text().replace(*DATED))
    return bench


@pytest.fixture
def bench(sender: Sender, tmp_path: Path) -> Workbench:
    return on_s3(sender, tmp_path)


def one_read(value: float = 1, point: str = "A") -> bytes:
    return f"point,start,kwh\n{point},2026-03-28T10:00:00Z,{value}\n".encode()


def scan(bench: Workbench, position: str | None = None, at: int | None = None) -> InboxState:
    sources = bench.platform.ledger.view().sources
    return bench.platform.inbox.scan(bench.platform.feeds, at or SYSTEM_CLOCK.now(), sources, position)


def take_in(bench: Workbench) -> list[Ingested]:
    """Take in all that is new."""
    return [ingest(bench.platform, file) for file in scan_inbox(bench.platform, None).files]


def outcomes(ingested: list[Ingested]) -> list[tuple[str, str]]:
    return [(file.file.name, file.outcome) for file in ingested]


def listings(bench: Workbench) -> list[str]:
    """Return a list that grows with every listing that the platform asks for."""
    asked: list[str] = []
    bench.platform.inbox.bucket.client.meta.events.register(
        "before-call.s3.ListObjectsV2", lambda params, **_: asked.append(params["url"])
    )
    return asked


# What arrives


def test_files_are_landed_read_and_known_afterwards(bench, sender):
    content = reads(["A"], DAYS)
    sender.put("plain", "sub/ä b.csv", content)
    (ingested,) = take_in(bench)
    assert ingested.outcome == "new"
    assert ingested.drop.landed == f"landing/plain/{ingested.drop.drop_id}-_b.csv"
    assert bench.platform.store.read(ingested.drop.landed) == content
    assert ingested.drop.counts["raw_values"] == 47  # 24 hours, and 23 on the day on which the clocks change
    assert ingested.drop.etag == ingested.file.etag != ""
    assert take_in(bench) == []


def test_what_a_sender_is_told_locally_is_told_on_s3(bench, sender):
    for feed, name in [("plain", "a.csv.part"), ("plain", ".a.csv"), ("nobody", "a.csv"), ("meters_north", "a.csv")]:
        sender.put(feed, name, b"1")
    sender.bucket.client.put_object(Bucket=sender.bucket.name, Key=sender.bucket.full("inbox/stray.csv"), Body=b"1")
    sender.put("plain", "folder/", b"")
    state = scan(bench)
    assert state.files == []
    assert sorted(state.settling) == ["plain/.a.csv", "plain/a.csv.part"]
    problems = "\n".join(state.problems)
    assert "there is no feed 'nobody'" in problems
    assert "expects names like 'north_*.csv'" in problems
    assert "stray.csv lies beside the feeds' folders" in problems
    assert len(state.problems) == 3


def test_two_objects_of_the_same_second_are_both_taken_in(bench, sender):
    sender.put("plain", "a.csv", one_read(1, "A"), MOMENT)
    sender.put("plain", "b.csv", one_read(2, "B"), MOMENT)
    assert outcomes(take_in(bench)) == [("a.csv", "new"), ("b.csv", "new")]
    assert take_in(bench) == []


def test_an_object_that_looks_older_than_all_that_was_seen_is_taken_in(bench, sender):
    sender.put("plain", "m.csv", one_read(1), MOMENT)
    take_in(bench)
    sender.put("plain", "a.csv", one_read(2, "B"), MOMENT - timedelta(days=9))
    assert outcomes(take_in(bench)) == [("a.csv", "new")]


def test_an_overwritten_object_is_read_again_though_second_and_size_are_the_same(bench, sender):
    sender.put("plain", "a.csv", one_read(1), MOMENT)
    (first,) = take_in(bench)
    sender.put("plain", "a.csv", one_read(2), MOMENT)
    (second,) = take_in(bench)
    assert second.outcome == "new"
    assert (second.file.size, second.file.modified_at) == (first.file.size, first.file.modified_at)
    assert second.drop.received_at == first.drop.received_at + 1
    assert list(bench.platform.ledger.view().active.values()) == [second.drop]


def test_the_same_bytes_written_again_are_a_redelivery(bench, sender):
    sender.put("plain", "a.csv", one_read(), MOMENT)
    (first,) = take_in(bench)
    sender.put("plain", "a.csv", one_read(), MOMENT + timedelta(hours=1))
    assert take_in(bench) == []  # recognised and recorded by the look
    view = bench.platform.ledger.view()
    assert len(view.sources) == 2
    assert list(view.drops.values()) == [first.drop]


def test_an_object_that_is_removed_before_it_is_read_is_gone_and_after_it_stays(bench, sender):
    sender.put("plain", "a.csv", one_read(1))
    sender.put("plain", "b.csv", one_read(2, "B"))
    seen = scan_inbox(bench.platform, None).files
    sender.remove("plain", "a.csv")
    assert outcomes([ingest(bench.platform, file) for file in seen]) == [("a.csv", "gone"), ("b.csv", "new")]
    sender.remove("plain", "b.csv")
    assert take_in(bench) == []
    assert [drop.name for drop in bench.platform.ledger.view().active.values()] == ["b.csv"]


def test_an_object_that_is_overwritten_before_it_is_read_is_left_for_the_next_look(bench, sender):
    sender.put("plain", "a.csv", one_read(1))
    (seen,) = scan_inbox(bench.platform, None).files
    sender.put("plain", "a.csv", one_read(2))
    assert ingest(bench.platform, seen).outcome == "changing"
    assert bench.platform.ledger.view().drops == {}
    assert outcomes(take_in(bench)) == [("a.csv", "new")]


def test_a_file_is_put_where_the_sensor_finds_it(bench, tmp_path):
    (tmp_path / "a.csv").write_bytes(one_read())
    address = bench.platform.inbox.put(bench.platform.feed("plain"), tmp_path / "a.csv")
    assert address.startswith("s3://metrify-")
    assert address.endswith("/inbox/plain/a.csv")
    assert outcomes(take_in(bench)) == [("a.csv", "new")]


# How much is listed


def passes(bench: Workbench, at: int, position: str = "") -> Iterator[InboxState]:
    """Look until the pass has come to its end."""
    while True:
        state = scan(bench, position, at)
        yield state
        position = state.position
        if not Position.parse(position).after:
            return


def test_a_pass_in_slices_sees_every_key_once(bench, sender, monkeypatch):
    monkeypatch.setattr(inbox_s3, "SLICE_REQUESTS", 1)
    names = [f"{number:05}.csv" for number in range(2_345)]
    sender.put_many([f"inbox/plain/{name}" for name in names])
    sender.put_many([f"inbox/adding/{name}" for name in names[:10]])
    looks = [[(file.feed, file.name) for file in state.files] for state in passes(bench, SYSTEM_CLOCK.now())]
    assert [len(seen) for seen in looks] == [1_000, 1_000, 355]
    wanted = [("adding", name) for name in names[:10]] + [("plain", name) for name in names]
    assert sorted(chain.from_iterable(looks)) == wanted
    assert sorted((file.feed, file.name) for file in scan(bench).files) == wanted


@pytest.mark.parametrize("position", [None, ""])
def test_an_empty_page_in_the_middle_of_a_listing_is_not_its_end(bench, sender, monkeypatch, position):
    # S3 answers so where it passes over removed objects of a bucket with versions.
    monkeypatch.setattr(s3, "PAGE_KEYS", 2)
    sender.put_many([f"inbox/plain/{name}.csv" for name in "abcdef"])
    asked: list[str] = []

    def without_the_second_page(parsed, **_):
        asked.append(parsed["Prefix"])
        if any(item["Key"].endswith("/c.csv") for item in parsed.get("Contents", ())):
            del parsed["Contents"]

    bench.platform.inbox.bucket.client.meta.events.register("after-call.s3.ListObjectsV2", without_the_second_page)
    assert [file.name for file in scan(bench, position).files] == ["a.csv", "b.csv", "e.csv", "f.csv"]
    assert len(asked) < 12


def test_a_look_lists_the_recent_days_of_a_dated_feed_and_not_the_old(bench, sender):
    today = datetime.now(UTC).date()
    old = [f"inbox/dated/{today - timedelta(days=9 + number % 30):%Y/%m/%d}/{number}.csv" for number in range(3_000)]
    sender.put_many(old)
    position = [state.position for state in passes(bench, SYSTEM_CLOCK.now())][-1]
    sender.put("dated", f"{today:%Y/%m/%d}/a.csv", one_read(1))
    sender.put("dated", f"{today - timedelta(days=2):%Y/%m/%d}/b.csv", one_read(2))
    asked = listings(bench)
    assert {file.name[-5:] for file in scan(bench, position).files} == {"a.csv", "b.csv"}
    # The ledger's latest records, the recent days of the feed, the names of all feeds' folders.
    assert len(asked) == 3


def test_what_is_put_under_an_old_date_is_found_by_the_pass_of_the_hour(bench, sender):
    began = SYSTEM_CLOCK.now()
    position = [state.position for state in passes(bench, began)][-1]
    sender.put("dated", "2020/01/01/late.csv", one_read())
    soon = list(passes(bench, began + 60_000_000, position))
    assert [file.name for state in soon for file in state.files] == []
    later = list(passes(bench, began + 3_601_000_000, soon[-1].position))
    assert [file.name for state in later for file in state.files] == ["2020/01/01/late.csv"]


@pytest.mark.parametrize(
    "position",
    ["", "nonsense", "{}", '{"after": "inbox/zzz"}', '{"unknown": 1}', "[1]", '{"after": 1}', '{"full_began": 9e30}'],
)
def test_whatever_the_position_two_passes_find_everything(bench, sender, position):
    names = ["plain/a.csv", "dated/2020/01/01/b.csv", "adding/c.csv"]
    sender.put_many([f"inbox/{name}" for name in names])
    first = list(passes(bench, SYSTEM_CLOCK.now(), position))
    second = list(passes(bench, SYSTEM_CLOCK.now() + 3_601_000_000, first[-1].position))
    assert {f"{file.feed}/{file.name}" for state in first + second for file in state.files} == set(names)


# The sensor


class Plant:
    """The drops sensor and its job on an instance; a restart forgets all but the cursor and the runs."""

    def __init__(self, sender: Sender, root: Path, instance: dg.DagsterInstance):
        self.sender, self.root, self.instance = sender, root, instance
        self.cursor: str | None = None
        self.restart()

    def restart(self) -> None:
        self.bench = on_s3(self.sender, self.root)
        self.sensor = drops_sensor(dg.DefaultSensorStatus.STOPPED)

    def tick(self) -> list[dg.RunRequest]:
        resources = {"platform": self.bench.platform}
        with dg.build_sensor_context(self.instance, cursor=self.cursor, resources=resources) as context:
            result = self.sensor(context)
        self.cursor = result.cursor
        return result.run_requests or []

    def run(self, request: dg.RunRequest) -> None:
        done = jobs.ingest_job.execute_in_process(
            run_config=request.run_config,
            tags=request.tags,
            instance=self.instance,
            resources={"platform": self.bench.platform},
        )
        assert done.success

    def settle(self, ticks: int = 6) -> int:
        """Tick and run; return how many files were asked for."""
        asked = 0
        for _ in range(ticks):
            for request in self.tick():
                asked += len(request.run_config["ops"]["ingest_drops"]["config"]["drops"])
                self.run(request)
        return asked

    def names(self) -> list[str]:
        return sorted(drop.name for drop in self.bench.platform.ledger.view().drops.values())


@pytest.fixture
def plant(sender: Sender, tmp_path: Path) -> Iterator[Plant]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Plant(sender, tmp_path, instance)


def test_a_sensor_that_starts_again_or_whose_cursor_is_lost_or_old_asks_for_nothing_twice(plant, monkeypatch):
    monkeypatch.setattr(s3, "PAGE_KEYS", 2)
    monkeypatch.setattr(inbox_s3, "SLICE_REQUESTS", 1)
    for number in range(3):
        plant.sender.put("plain", f"{number}.csv", one_read(number, f"P{number}"))
    early = plant.cursor
    assert plant.settle() == 3
    plant.restart()
    assert plant.settle() == 0
    plant.sender.put("plain", "3.csv", one_read(3, "P3"))
    plant.cursor = early
    assert plant.settle() == 1
    plant.cursor = None
    plant.restart()
    assert plant.settle() == 0
    assert plant.names() == ["0.csv", "1.csv", "2.csv", "3.csv"]


def test_a_tick_that_finds_nothing_asks_for_five_listings(plant):
    plant.sender.put("plain", "a.csv", one_read())
    plant.settle()
    asked = listings(plant.bench)
    assert plant.tick() == []
    # The recent days of the dated feed, the names of the feeds' folders and the one that is not dated; before and after
    # them the ledger's latest. Not one for each registry.
    assert len(asked) == 5


def test_the_pass_stays_where_something_waits(plant, monkeypatch):
    monkeypatch.setattr(inbox_s3, "SLICE_REQUESTS", 1)
    monkeypatch.setattr(s3, "PAGE_KEYS", 3)
    plant.bench.platform.settings = plant.bench.platform.settings.model_copy(update={"max_drops_per_run": 2})
    for number in range(5):
        plant.sender.put("plain", f"{number}.csv", one_read(number, f"P{number}"))
    asked = []
    for _ in range(6):
        for request in plant.tick():
            asked.append([drop["name"] for drop in request.run_config["ops"]["ingest_drops"]["config"]["drops"]])
            plant.run(request)
    assert asked == [["0.csv", "1.csv"], ["2.csv"], ["3.csv", "4.csv"]]


# Crashes


class Crash(BaseException):
    """Stands for the process being killed."""


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Let the process die before the ``step``-th object appears in the bucket; return those that appeared."""
    done: list[str] = []

    def dying(name, position):
        original = getattr(S3ObjectStore, name)

        def appear(self, *arguments):
            if len(done) == step:
                raise Crash
            done.append(arguments[position])
            return original(self, *arguments)

        monkeypatch.setattr(S3ObjectStore, name, appear)

    for name, position in (("write", 0), ("create", 0), ("keep", 1)):
        dying(name, position)
    return done


def test_a_crash_before_any_step_is_mended_by_doing_it_again(s3_url, tmp_path, monkeypatch):
    content = reads(["A", "B"], DAYS) + b"A,never,1\n"
    wanted: Ingested | None = None
    steps = 0
    while True:
        sender = new_bucket(s3_url, f"metrify-crash-{steps}")
        sender.put("plain", "a.csv", content, MOMENT)
        bench = on_s3(sender, tmp_path / str(steps))
        with monkeypatch.context() as patch:
            done = crash_at(patch, steps)
            try:
                (straight,) = take_in(bench)
            except Crash:
                pass
            else:
                break
        assert len(done) == steps
        # Another process, perhaps on another machine, does it again.
        bench = on_s3(sender, tmp_path / f"{steps}-again")
        assert bench.platform.ledger.view().drops == {}
        (ingested,) = take_in(bench)
        assert ingested.outcome == "new"
        wanted = wanted or ingested
        assert (ingested.drop.parts, ingested.drop.counts) == (wanted.drop.parts, wanted.drop.counts)
        assert len([key for key in sender.all_keys() if not key.startswith(("inbox/", "ledger/"))]) == 5
        assert take_in(bench) == []
        steps += 1
    # The landed bytes, the number of shards, a part for each of two days, the quarantine, the record.
    assert steps == 6
    assert straight.drop.parts == wanted.drop.parts


# Memory


def test_a_large_drop_is_read_once_from_the_inbox_and_in_pieces(bench, sender, monkeypatch):
    content = b"point,start,kwh\n" + b"A,2026-03-28T10:00:00Z,1\n" * 200_000
    sender.put("plain", "large.csv", content)
    sizes: dict[str, list[int]] = {}
    opened = s3.Bucket.opened

    class Counting:
        def __init__(self, stream, read):
            self.stream, self.sizes = stream, read

        def read(self, size=-1):
            piece = self.stream.read() if size < 0 else self.stream.read(size)
            self.sizes.append(len(piece))
            return piece

    def counted(self, key, etag=""):
        @contextmanager
        def counting():
            with opened(self, key, etag) as stream:
                yield Counting(stream, sizes.setdefault(key, []))

        return counting()

    monkeypatch.setattr(s3.Bucket, "opened", counted)
    (ingested,) = take_in(bench)
    assert ingested.drop.counts["rows"] == 200_000
    assert sum(sizes["inbox/plain/large.csv"]) == len(content)
    assert max(sizes["inbox/plain/large.csv"]) <= 2**20
    assert ingested.drop.landed not in sizes  # the copy that was uploaded is the one that is read


# Any course of events


events = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcd"), st.integers(1, 3)),
        st.tuples(st.just("remove"), st.sampled_from("abcd"), st.just(0)),
        st.tuples(st.sampled_from(["look", "restart", "rewind"]), st.just(""), st.just(0)),
    ),
    max_size=12,
)


@given(events)
@hypothesis_settings(max_examples=examples(0.08), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_course_of_events_each_version_that_was_seen_is_taken_in_once(s3_url, tmp_path_factory, course):
    root = tmp_path_factory.mktemp("course")
    sender = new_bucket(s3_url, f"metrify-{root.name}")
    bench, position, remembered = on_s3(sender, root), "", [""]
    inbox: dict[str, int] = {}
    versions: list[tuple[str, int]] = []

    def look() -> None:
        nonlocal position
        state = scan_inbox(bench.platform, position)
        position = state.position
        remembered.append(position)
        for file in state.files:
            assert ingest(bench.platform, file).outcome == "new"
            versions.append((file.name[0], inbox[file.name[0]]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox_s3, "SLICE_REQUESTS", 1)
        patch.setattr(s3, "PAGE_KEYS", 2)
        for event, name, value in [*course, *[("look", "", 0)] * 4]:
            if event == "put":
                sender.put("plain", f"{name}.csv", one_read(value, name), MOMENT)
                inbox[name] = value
            elif event == "remove":
                sender.remove("plain", f"{name}.csv")
                inbox.pop(name, None)
            elif event == "restart":
                bench = on_s3(sender, root)
            elif event == "rewind":
                position = remembered[len(remembered) // 2]
            else:
                look()
    view = bench.platform.ledger.view()
    # What lies in the inbox now is what counts under its name.
    for name, value in inbox.items():
        (counting,) = [drop for drop in view.active.values() if drop.name == f"{name}.csv"]
        assert bench.platform.store.read(counting.landed) == one_read(value, name)
    # No version that replaced nothing was taken in twice.
    assert len(view.drops) == len(versions)
    for name in "abcd":
        values = [value for each, value in versions if each == name]
        assert all(before != after for before, after in pairwise(values))


# From the inbox to the marts' door


def test_files_in_a_bucket_become_clean_days_that_the_warehouse_reads(bench, sender, tmp_path):
    sender.put("registry_points", "points.csv", points_file([{"point_id": "A"}, {"point_id": "B"}]))
    sender.put("plain", "a.csv", reads(["A", "B"], DAYS))
    assert sorted(outcomes(take_in(bench))) == [("a.csv", "new"), ("points.csv", "new")]
    build_registry(bench.platform, "points")
    assert bench.settle() == DAYS
    # 24 slots, every second one 1 Wh more; 23 on the day on which the clocks change.
    assert bench.energy(DAYS[0], "A") == Decimal("12.012")
    assert bench.energy(DAYS[1], "A") == Decimal("11.511")
    sender.put("plain", "a.csv", reads(["A", "B"], DAYS, flat(0.75)))
    take_in(bench)
    assert bench.settle() == DAYS
    local = workbench(tmp_path / "local")
    local.register("A", "B")
    local.land("plain", "a.csv", reads(["A", "B"], DAYS))
    local.land("plain", "a.csv", reads(["A", "B"], DAYS, flat(0.75)), MOMENT + timedelta(hours=1))
    local.settle()
    values = ["point_id", "interval_start", "value_kwh", "status", "delivered_kwh"]
    for day in DAYS:
        assert bench.clean(day).select(values).to_pylist() == local.clean(day).select(values).to_pylist()
    # A process on another machine, with nothing but the bucket, finds nothing to do.
    elsewhere = on_s3(sender, tmp_path / "elsewhere")
    assert take_in(elsewhere) == []
    assert elsewhere.dirty() == set()
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    marts.prepare(elsewhere.platform, warehouse, DAYS)
    with warehouse.connect() as connection:
        paths = connection.execute("select path from metrify.lake_files where table_name = 'clean_readings'").fetchall()
        total = duckdb.sql(f"select sum(value_kwh) from read_parquet({[path for (path,) in paths]})").fetchall()
    assert total == [(2 * (Decimal("18.012") + Decimal("17.261")),)]
    assert not (tmp_path / "elsewhere" / "metrify" / "lake").exists()


# Settings


def test_the_store_is_chosen_beside_the_warehouse(sender, tmp_path):
    environment = {
        "METRIFY_STORE": "s3",
        "METRIFY_S3_BUCKET": sender.bucket.name,
        "METRIFY_S3_PREFIX": f"/{sender.bucket.prefix}/",
        "METRIFY_S3_ENDPOINT": sender.bucket.endpoint,
        "METRIFY_ROOT": str(tmp_path),
    }
    platform = Platform(Settings.from_env(environment))
    assert platform.store.uri("ledger") == f"s3://{sender.bucket.name}/metrify/test/ledger"
    with pytest.raises(SettingsError, match="needs METRIFY_S3_BUCKET"):
        Settings.from_env({"METRIFY_STORE": "s3"})


def test_two_installations_that_begin_at_once_agree_on_where_values_lie(sender, tmp_path):
    first = workbench(tmp_path / "one", shards=2, **s3_settings(sender)).platform
    second = workbench(tmp_path / "two", shards=3, **s3_settings(sender)).platform
    assert first.ledger is not None
    assert second.ledger is not None
    first.keep_format()
    with pytest.raises(LakeError, match="METRIFY_SHARDS=2"):
        second.keep_format()


def test_a_file_that_names_another_folder_stays_text(bench, sender):
    file = InboxFile("plain", "../../ledger/x.csv", 1, 1, "0")
    assert ingest(bench.platform, file).outcome == "gone"
    sender.put("plain", "../../x.csv", one_read())
    (ingested,) = take_in(bench)
    assert ingested.drop.landed.startswith("landing/plain/")
