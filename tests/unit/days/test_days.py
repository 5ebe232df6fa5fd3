"""Days from landed files to clean rows: what is computed, when, and what is left alone."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from metrify_assets.days import inputs as inputs_module
from metrify_assets.days import validated as validated_module
from metrify_assets.days.clean import compute_clean
from metrify_assets.days.day import parked_days, unpark
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.days.validated import compute_validated
from metrify_assets.digest import shard_of
from metrify_assets.landing.ingest import read_again
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.workbench import ARRIVED, Workbench, flat, instant, reads, workbench

pytestmark = pytest.mark.slow

DAYS = [date(2026, 3, 9) + timedelta(n) for n in range(4)]
# Points of the two shards.
A, B = "A", next(point for point in ("B", "C", "D", "E") if shard_of(point, 2) != shard_of("A", 2))
SHARD = {point: shard_of(point, 2) for point in (A, B)}
LATER = ARRIVED + timedelta(days=1)


def tally(bench: Workbench, day: date) -> Counter:
    manifest = bench.platform.lake.manifest("validated_readings", day)
    return Counter({name: int(manifest.total("tally", name)) for name in manifest.shards[0].numbers["tally"]})


def files(bench: Workbench) -> dict[str, bytes]:
    return {item.key: bench.platform.store.read(item.key) for item in bench.platform.store.list("lake")}


@pytest.fixture
def four_days(bench) -> Workbench:
    """Two points and four days, computed; one file a day."""
    bench.register(A, B)
    for day in DAYS:
        bench.land("plain", f"{day}.csv", reads([A, B], [day]))
    bench.settle()
    return bench


def test_a_day_is_computed_through_to_clean_and_is_then_clean(four_days):
    # 24 x 0.5 kWh, every odd hour 1 Wh more.
    assert [four_days.energy(day, A) for day in DAYS] == [Decimal("12.012")] * 4
    assert four_days.dirty() == set()
    assert {row["status"] for row in four_days.clean(DAYS[0]).to_pylist()} == {"measured"}


def test_computing_again_writes_nothing(four_days):
    before = files(four_days)
    for _, (validated, clean) in four_days.compute(*DAYS).items():
        assert validated.computed == clean.computed == ()
    assert files(four_days) == before


def test_computing_by_force_gives_the_same_bytes(four_days):
    before = files(four_days)
    digests = Digests(four_days.platform)
    for day in DAYS:
        assert compute_validated(four_days.platform, day, digests, force=True).computed == (0, 1)
        shards = clean_shards(digests)
        assert compute_clean(four_days.platform, day, digests, shards, force=True).computed == (0, 1)
    assert files(four_days) == before


def test_a_day_of_which_nothing_ever_came_is_left_alone_unless_asked_for(bench):
    bench.register(A, B)
    assert bench.dirty() == set()
    digests = Digests(bench.platform)
    assert compute_validated(bench.platform, DAYS[0], digests).manifest is None
    forced = compute_validated(bench.platform, DAYS[0], digests, force=True)
    assert forced.manifest.rows == 48  # silence shows as missing


@pytest.mark.parametrize("name", ["redelivered.csv", f"{DAYS[1]}.csv"])
def test_a_redelivery_makes_nothing_dirty(four_days, name):
    before = files(four_days)
    assert four_days.land("plain", name, reads([A, B], [DAYS[1]]), LATER).outcome == "redelivery"
    assert four_days.dirty() == set()
    assert files(four_days) == before


def test_a_correction_recomputes_its_day_and_nothing_else(four_days):
    before = four_days.digests()
    stamps = {day: manifest.written_at for day, manifest in four_days.platform.lake.days("clean_readings").items()}
    four_days.land("plain", f"{DAYS[1]}.csv", reads([A, B], [DAYS[1]], flat(0.75)), LATER)
    assert four_days.settle() == [DAYS[1]]
    after = four_days.digests()
    assert {day for day in DAYS if before[day] != after[day]} == {DAYS[1]}
    now = {day: manifest.written_at for day, manifest in four_days.platform.lake.days("clean_readings").items()}
    assert {day for day in DAYS if now[day] != stamps[day]} <= {DAYS[1]}
    assert four_days.energy(DAYS[1], A) == Decimal("18.012")


def test_a_correction_of_one_point_leaves_the_other_shard_alone(four_days):
    before = four_days.digests("validated_readings") | {"clean": four_days.digests()[DAYS[1]]}

    def value(point, day, slot):
        return 0.75 if point == A else flat(0.5)(point, day, slot)

    # An added file, so that nothing of the other point is delivered anew.
    four_days.land("adding", "more.csv", reads([A], [DAYS[1]], value), LATER)
    results = four_days.compute(DAYS[1])[DAYS[1]]
    assert [result.computed for result in results] == [(SHARD[A],), (SHARD[A],)]
    assert four_days.digests()[DAYS[1]][SHARD[B]] == before["clean"][SHARD[B]]
    assert four_days.digests()[DAYS[1]][SHARD[A]] != before["clean"][SHARD[A]]


def test_a_late_file_adds_its_day_alone(four_days):
    late = DAYS[-1] + timedelta(days=1)
    before = four_days.digests()
    four_days.land("plain", "late.csv", reads([A, B], [late]), LATER)
    assert four_days.dirty() == {late}
    four_days.settle()
    assert {day: digest for day, digest in four_days.digests().items() if day != late} == before


def test_one_file_of_many_days_makes_all_of_them_dirty(bench):
    bench.register(A, B)
    bench.land("plain", "all.csv", reads([A, B], DAYS))
    assert bench.dirty() == set(DAYS)
    straight = workbench(bench.platform.settings.root.parent / "straight")
    straight.register(A, B)
    for day in DAYS:
        straight.land("plain", f"{day}.csv", reads([A, B], [day]))
    bench.settle()
    straight.settle()
    assert bench.digests() == straight.digests()


@pytest.mark.slow
def test_the_order_of_arrival_does_not_matter(tmp_path):
    drops = [
        ("plain", "a.csv", reads([A, B], DAYS[:2]), ARRIVED),
        ("plain", "a.csv", reads([A, B], DAYS[:1], flat(0.7)), LATER),
        ("adding", "b.csv", reads([A], DAYS[1:3], flat(0.9)), ARRIVED + timedelta(hours=1)),
    ]
    seen = set()
    # Of two files of one name the second is a correction by arriving later: their order is their meaning.
    orders = [order for order in permutations(drops) if order.index(drops[0]) < order.index(drops[1])]
    for number, order in enumerate(orders):
        bench = workbench(tmp_path / str(number))
        bench.register(A, B)
        for drop in order:
            bench.land(*drop)
            bench.settle()
        seen.add(repr(sorted(bench.digests().items())))
        assert tally(bench, DAYS[1])["raw"] == 24
    assert len(seen) == 1


def test_a_withdrawn_file_leaves_and_the_version_before_is_current_again(four_days):
    before = four_days.digests()
    wrong = four_days.land("plain", f"{DAYS[1]}.csv", reads([A, B], [DAYS[1]], flat(0.75)), LATER).drop
    four_days.settle()
    assert four_days.digests() != before
    four_days.platform.ledger.withdraw(wrong, "read with the wrong factor")
    assert four_days.settle() == [DAYS[1]]
    assert four_days.digests() == before
    assert four_days.platform.ledger.view().state(wrong) == "withdrawn"
    assert four_days.platform.store.exists(wrong.landed)


def test_when_all_files_of_a_day_are_withdrawn_its_slots_are_missing(four_days):
    drop = next(drop for drop in four_days.platform.ledger.view().active.values() if drop.days == [DAYS[-1]])
    four_days.platform.ledger.withdraw(drop, "wrong")
    four_days.settle()
    rows = four_days.clean(DAYS[-1]).to_pylist()
    assert len(rows) == 48
    assert all(row["delivered_kwh"] is None and row["status"] in ("estimated", "missing") for row in rows)
    assert tally(four_days, DAYS[-1])["raw"] == 0


def test_values_of_unknown_points_are_unassigned_until_a_registry_names_them(four_days):
    four_days.land("plain", "unknown.csv", reads(["NEW"], DAYS[:2]), LATER)
    four_days.settle()
    assert [tally(four_days, day)["unassigned"] for day in DAYS] == [24, 24, 0, 0]
    manifest = four_days.platform.lake.manifest("validated_readings", DAYS[0])
    assert manifest.shards[shard_of("NEW", 2)].numbers["unassigned_examples"] == ["NEW"]
    before = four_days.digests()
    row = {"point_id": "NEW", "valid_from": str(DAYS[0]), "valid_to": str(DAYS[2])}
    four_days.register(A, B, row, arrived=LATER)
    # Exactly the days of its validity, and of them only its shard.
    assert four_days.dirty() == set(DAYS[:2])
    four_days.settle()
    assert [tally(four_days, day)["unassigned"] for day in DAYS] == [0, 0, 0, 0]
    assert four_days.energy(DAYS[0], "NEW") == Decimal("12.012")
    after = four_days.digests()
    assert {day for day in DAYS if before[day] != after[day]} == set(DAYS[:2])
    other = 1 - shard_of("NEW", 2)
    assert all(before[day][other] == after[day][other] for day in DAYS)


def test_a_change_of_the_registry_in_the_past_makes_its_days_dirty_alone(four_days):
    rows = [
        {"point_id": A, "valid_to": str(DAYS[1])},
        {"point_id": A, "connection_kw": 0.6, "valid_from": str(DAYS[1])},
    ]
    four_days.register(*rows, B, arrived=LATER)
    # The row that was open before ends: the day on which it still holds is left alone, those from the second on ...
    assert four_days.dirty() == set(DAYS[1:])
    four_days.settle()
    # ... have other values: 0.5 kWh in an hour fit 0.6 kW.
    four_days.register(A, {"point_id": B, "valid_to": str(DAYS[2])}, arrived=LATER + timedelta(days=1))
    four_days.settle()
    assert [tally(four_days, day)["unassigned"] for day in DAYS] == [0, 0, 24, 24]
    assert [four_days.energy(day, B) for day in DAYS] == [Decimal("12.012")] * 2 + [0] * 2


def test_a_registry_there_and_back_gives_the_first_bytes_again(four_days):
    before = four_days.digests()
    four_days.register(A, arrived=LATER)
    four_days.settle()
    assert four_days.digests() != before
    four_days.register(A, B, arrived=LATER + timedelta(days=1))
    four_days.settle()
    assert four_days.digests() == before


def test_without_any_registry_everything_is_unassigned_and_days_are_computed(bench):
    bench.land("plain", "a.csv", reads([A, B], DAYS))
    bench.settle()
    assert bench.dirty() == set()
    assert bench.clean(DAYS[0]).num_rows == 0
    assert tally(bench, DAYS[0]) == Counter(raw=48, current=48, unassigned=48)
    bench.register(A, B)
    assert bench.dirty() == set(DAYS)
    bench.settle()
    assert bench.energy(DAYS[0], A) == Decimal("12.012")


def test_a_file_that_arrives_while_a_day_is_computed_comes_after_it(bench, monkeypatch):
    bench.register(A, B)
    bench.land("plain", "a.csv", reads([A, B], DAYS[:1]))
    original = validated_module.validate_shard
    arrived = []

    def arrive_meanwhile(*arguments, **more):
        if not arrived:
            arrived.append(bench.land("adding", "b.csv", reads([A, B], DAYS[:1], flat(0.9)), LATER))
        return original(*arguments, **more)

    monkeypatch.setattr(validated_module, "validate_shard", arrive_meanwhile)
    (validated, _) = bench.compute(DAYS[0])[DAYS[0]]
    manifest = validated.manifest
    # What was counted and what was read are of one moment, in both shards.
    assert manifest.total("raw_rows") == manifest.total("tally", "raw") == 48
    assert bench.dirty() == {DAYS[0]}
    assert bench.settle() == [DAYS[0]]
    assert tally(bench, DAYS[0]) == Counter(raw=96, current=48, superseded=48, measured=48)
    assert bench.energy(DAYS[0], A) == Decimal("21.612")


def test_an_estimate_follows_its_history(bench):
    bench.register(A)
    history = [DAYS[0] - timedelta(days=7), DAYS[0] - timedelta(days=14)]
    for day in history:
        bench.land("plain", f"{day}.csv", reads([A], [day], flat(0.4)))
    # Hours 3 to 21 are missing: too long to draw a line, and too much to tell the level of the day.
    gap = reads([A], DAYS[:1], lambda p, d, slot: None if 3 <= slot < 22 else 0.5 + slot / 100)
    bench.land("plain", "gap.csv", gap)
    bench.settle()
    rows = bench.clean(DAYS[0]).to_pylist()
    assert {row["value_kwh"] for row in rows if row["method"] == "like_day"} == {Decimal("0.4"), Decimal("0.401")}
    assert sum(row["status"] == "estimated" for row in rows) == 19
    bench.land("plain", f"{history[0]}.csv", reads([A], history[:1], flat(0.8)), LATER)
    assert bench.dirty() == {history[0]}
    bench.compute(history[0])
    # The day whose estimate used it follows, as soon as the new history is validated.
    assert bench.dirty() == {DAYS[0]}
    bench.settle()
    estimates = {row["value_kwh"] for row in bench.clean(DAYS[0]).to_pylist() if row["method"] == "like_day"}
    assert estimates == {Decimal("0.6"), Decimal("0.601")}


def test_a_day_with_a_declared_outage_is_no_like_day(bench):
    bench.register(A)
    history = [DAYS[0] - timedelta(weeks=weeks) for weeks in (1, 2, 3)]
    without_supply = range(8, 12)

    def value(point: str, day: date, slot: int) -> float | None:
        if day == DAYS[0] and 3 <= slot < 22:
            return None
        return 0 if day == history[0] and slot in without_supply else 0.5

    bench.land("plain", "all.csv", reads([A], [*DAYS[:1], *history], value))
    starts = DeliveryDay(history[0]).slot_starts(60).tolist()
    outage = f"{A},{instant(starts[8])},{instant(starts[12])}"
    bench.land("registry_outages", "outages.csv", f"point_id,starts_at,ends_at\n{outage}\n".encode())
    bench.settle()
    estimates = {row["value_kwh"] for row in bench.clean(DAYS[0]).to_pylist() if row["method"] == "like_day"}
    assert estimates == {Decimal("0.5")}


def damage(bench: Workbench, name: str) -> None:
    drop = next(drop for drop in bench.platform.ledger.view().drops.values() if drop.name == name)
    for parts in drop.parts.values():
        for part in parts:
            bench.platform.store.write(part.file, b"garbage")


def test_a_damaged_part_parks_its_day_and_the_others_go_on(bench):
    bench.register(A, B)
    for day in DAYS:
        bench.land("plain", f"{day}.csv", reads([A, B], [day]))
    damage(bench, f"{DAYS[1]}.csv")
    results = bench.compute(*DAYS)
    assert f"run `metrify recompute {DAYS[1]}`" in results[DAYS[1]][0].parked
    assert [bench.energy(day, A) for day in DAYS] == [Decimal("12.012"), 0, Decimal("12.012"), Decimal("12.012")]
    (parked,) = parked_days(bench.platform.store, ["validated_readings"])
    assert parked.day == DAYS[1]
    assert parked.inputs == Digests(bench.platform).inputs_digest(DAYS[1])
    # Read again from the landed bytes, it is mended.
    drop = next(drop for drop in bench.platform.ledger.view().drops.values() if drop.name == f"{DAYS[1]}.csv")
    read_again(bench.platform, drop)
    unpark(bench.platform.store, "validated_readings", [DAYS[1]])
    assert parked_days(bench.platform.store, ["validated_readings"]) == []
    bench.settle()
    assert bench.energy(DAYS[1], A) == Decimal("12.012")


def test_a_parked_day_keeps_what_was_published_before(four_days):
    before = four_days.digests()
    four_days.land("plain", f"{DAYS[1]}.csv", reads([A, B], [DAYS[1]], flat(0.75)), LATER)
    path = next(
        d for d in four_days.platform.ledger.view().active.values() if d.received_at > 0 and d.days == [DAYS[1]]
    )
    four_days.platform.store.write(path.parts[str(DAYS[1])][0].file, b"PAR1")
    results = four_days.compute(DAYS[1])[DAYS[1]]
    assert results[0].parked
    assert four_days.digests() == before
    # New bytes are new inputs: computed at once, and no longer parked.
    four_days.land("plain", f"{DAYS[1]}.csv", reads([A, B], [DAYS[1]], flat(0.8)), LATER + timedelta(days=1))
    four_days.settle()
    assert parked_days(four_days.platform.store, ["validated_readings"]) == []


def test_a_broken_structure_is_not_published(bench, monkeypatch):
    bench.register(A, B)
    bench.land("plain", "a.csv", reads([A, B], DAYS[:1]))
    original = validated_module.validated_table

    def doubled(day, series, grids):
        import pyarrow as pa

        rows = original(day, series, grids)
        return pa.concat_tables([rows, rows.slice(0, 1)]) if rows.num_rows else rows

    monkeypatch.setattr(validated_module, "validated_table", doubled)
    result = bench.compute(DAYS[0])[DAYS[0]][0]
    first = A if SHARD[A] == 0 else B
    assert result.parked == (
        f"validated_readings of {DAYS[0]} is not published: 1 rows fail unique by point_id, obis_code, interval_start, "
        f"e.g. ['point_id={first}, obis_code=1-0:1.29.0, interval_start=2026-03-08 23:00:00']"
    )
    assert result.manifest is None


class Crash(BaseException):
    """Stands for the process being killed."""


@pytest.mark.slow
def test_a_crash_between_any_two_writes_leaves_every_day_whole_and_is_mended_by_computing_again(tmp_path, monkeypatch):
    def prepared(name: str) -> Workbench:
        bench = workbench(tmp_path / name)
        bench.register(A, B)
        bench.land("plain", "a.csv", reads([A, B], DAYS[:2]))
        bench.settle()
        bench.land("plain", "a.csv", reads([A, B], DAYS[:2], flat(0.8)), LATER)
        return bench

    straight = prepared("straight")
    before = straight.digests()
    straight.settle()
    wanted = straight.digests()
    step = 0
    while True:
        bench = prepared(str(step))
        done = []
        replace = os.replace
        with monkeypatch.context() as patch:

            def dying(source, target, done=done, step=step, replace=replace):
                if len(done) == step:
                    raise Crash
                replace(source, target)
                done.append(target)

            patch.setattr(os, "replace", dying)
            try:
                bench.settle()
            except Crash:
                pass
            else:
                break
        for day, digests in bench.digests().items():
            assert digests in (before[day], wanted[day])
            assert bench.energy(day, A) in (Decimal("12.012"), Decimal("19.212"))
        fresh = Workbench(type(bench.platform)(bench.platform.settings))
        fresh.settle()
        assert fresh.digests() == wanted
        step += 1
    # Three tables (register_reads has none), two days, each two shards and a manifest.
    assert step == 18


def test_a_signed_channel_may_be_negative_and_its_day_is_published(bench):
    path = bench.platform.settings.feeds_dir / "adding.yaml"
    path.write_text(path.read_text().replace("1-0:1.29.0", "1-0:16.29.0"))
    bench.register({"point_id": A, "obis_code": "1-0:16.29.0"})
    bench.land("adding", "a.csv", reads([A], DAYS[:1], lambda p, d, slot: 0.5 - slot / 10))
    validated, clean = bench.compute(DAYS[0])[DAYS[0]]
    assert not validated.parked
    assert not clean.parked
    # 24 x 0.5 less a tenth of 0 + 1 + ... + 23.
    assert bench.energy(DAYS[0]) == Decimal("12.0") - Decimal("27.6")
    assert [finding.check for finding in clean.audit.plausibility] == ["value_kwh: at least 0"]


def test_a_register_read_of_the_next_day_closes_the_last_interval(bench):
    path = bench.platform.settings.feeds_dir / "plain.yaml"
    path.write_text(path.read_text() + "\nreading: register\n")
    path.write_text(path.read_text().replace("1-0:1.29.0", "1-0:1.8.0"))
    bench.register({"point_id": A, "obis_code": "1-0:1.8.0"})
    counter = lambda p, day, slot: 100 + ((day - DAYS[0]).days * 24 + slot) * 0.25  # noqa: E731
    bench.land("plain", "one.csv", reads([A], DAYS[:1], counter))
    bench.settle()
    # 23 differences; the last hour has no closing read yet and nothing after it to draw a line to.
    assert bench.energy(DAYS[0]) == Decimal("5.75")
    bench.land("plain", "two.csv", reads([A], DAYS[1:2], counter), LATER)
    assert bench.dirty() == {DAYS[0], DAYS[1]}
    bench.settle()
    assert bench.energy(DAYS[0]) == Decimal("6.00")


GRID_HEAD = "timestamp_utc,control_area,metric,value\n"


def test_grid_status_keeps_the_latest_value_and_judges_it(bench):
    bench.land(
        "grid_status",
        "one.csv",
        (
            GRID_HEAD + "2026-03-09T10:00:00Z,DE,load_mw,50000\n2026-03-09T10:15:00Z,DE,load_mw,1\n"
            "2026-03-09T10:30:00Z,DE,load_mw,99999\n2026-03-09T10:45:00Z,DE,load_mw,\n"
            "2026-03-09T11:00:00Z,Amprion,load_mw,20000\n2026-03-09T11:00:00Z,TenneT,load_mw,50000\n"
        ).encode(),
    )
    later = GRID_HEAD + "2026-03-09T10:00:00Z,DE,load_mw,\n2026-03-09T10:15:00Z,DE,load_mw,30002\n"
    bench.land("grid_status", "two.csv", later.encode(), LATER)
    result = compute_grid_status(bench.platform, DAYS[0], Digests(bench.platform))
    rows = bench.platform.lake.read(result.manifest, CLEAN_GRID_STATUS.arrow).to_pylist()
    # A blank that comes later does not displace a value.
    assert [(row["control_area"], row["value"], row["status"]) for row in rows] == [
        ("Amprion", Decimal(20_000), "measured"),
        ("DE", Decimal(50_000), "measured"),
        ("DE", Decimal(30_002), "measured"),
        ("DE", Decimal(99_999), "implausible"),
        ("DE", None, "missing"),
        # What is plausible for Germany is not for one of its control areas.
        ("TenneT", Decimal(50_000), "implausible"),
    ]
    assert compute_grid_status(bench.platform, DAYS[0], Digests(bench.platform)).computed == ()


def test_other_ranges_make_the_days_of_grid_status_dirty(bench, monkeypatch):
    bench.land("grid_status", "one.csv", (GRID_HEAD + "2026-03-09T10:00:00Z,DE,load_mw,50000\n").encode())
    compute_grid_status(bench.platform, DAYS[0], Digests(bench.platform))
    assert Digests(bench.platform).dirty_days("clean_grid_status") == set()
    monkeypatch.setattr(inputs_module, "grid_ranges_digest", lambda: "other ranges")
    assert Digests(bench.platform).dirty_days("clean_grid_status") == {DAYS[0]}


WEATHER_HEAD = "station_id,observed_at,temperature_c,humidity_pct,wind_speed_ms,global_radiation_wm2,cloud_cover_pct\n"


def test_weather_takes_the_latest_version_of_every_metric(bench):
    bench.land(
        "weather_stations_hourly", "one.csv", (WEATHER_HEAD + "s1,2026-03-09T10:00:00Z,5.5,80,3,100,\n").encode()
    )
    bench.land(
        "weather_stations_hourly", "two.csv", (WEATHER_HEAD + "s1,2026-03-09T10:00:00Z,6.5,,,,\n").encode(), LATER
    )
    result = compute_weather(bench.platform, DAYS[0], Digests(bench.platform))
    (row,) = bench.platform.lake.read(result.manifest, CLEAN_WEATHER.arrow).to_pylist()
    assert (row["temperature_c"], row["humidity_pct"], row["cloud_cover_pct"]) == (6.5, 80.0, None)
    assert row["received_at"] == LATER
    assert row["pressure_hpa"] is None


@pytest.mark.parametrize(
    ("feed", "content", "compute"),
    [
        ("grid_status", GRID_HEAD + "2026-03-09T10:00:00Z,DE,load_mw,1\n", compute_grid_status),
        ("weather_stations_hourly", WEATHER_HEAD + "s1,2026-03-09T10:00:00Z,5.5,80,3,100,1\n", compute_weather),
    ],
)
def test_a_damaged_part_of_grid_or_weather_parks_its_day(bench, feed, content, compute):
    drop = bench.land(feed, "one.csv", content.encode()).drop
    bench.platform.store.write(drop.parts[str(DAYS[0])][0].file, b"garbage")
    result = compute(bench.platform, DAYS[0], Digests(bench.platform))
    assert f"run `metrify recompute {DAYS[0]}`" in result.parked


@pytest.mark.parametrize("compute", [compute_grid_status, compute_weather])
def test_a_day_whose_grid_or_weather_was_withdrawn_is_empty(bench, compute):
    feed, content = {
        compute_grid_status: ("grid_status", GRID_HEAD + "2026-03-09T10:00:00Z,DE,load_mw,1\n"),
        compute_weather: ("weather_stations_hourly", WEATHER_HEAD + "s1,2026-03-09T10:00:00Z,5.5,80,3,100,1\n"),
    }[compute]
    drop = bench.land(feed, "one.csv", content.encode()).drop
    assert compute(bench.platform, DAYS[0], Digests(bench.platform)).manifest.rows == 1
    bench.platform.ledger.withdraw(drop, "wrong")
    assert compute(bench.platform, DAYS[0], Digests(bench.platform)).manifest.rows == 0


def test_an_input_that_has_days_is_refused_without_one_and_says_how_to_name_it(bench):
    digests = Digests(bench.platform)
    with pytest.raises(ValueError, match="the input holidays has days: name one, as in holidays@2026-03-10"):
        digests.current("holidays", 0)
    assert digests.current("profiles", 0) == digests.current(f"profiles@{DAYS[0]}", 0)
