"""Laws of the platform: neither the order of arrival nor repetition matters, and the past can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import permutations

import pyarrow as pa
import pytest

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.days.as_known import PastSnapshot
from metrify_assets.reference.rule_books import remember
from metrify_assets.registry.registries import build_registry
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.clock import read_as
from tests.workbench import ARRIVED, IMPORT, Workbench, flat, instant, points_file, reads, workbench

pytestmark = pytest.mark.slow

FIRST = date(2025, 10, 23)
# The day on which clocks are set back is among them.
DAYS = [FIRST + timedelta(n) for n in range(5)]
TABLES = ("validated_readings", "register_reads", "series_days", "clean_readings")
A, B = "A", "B"
REGISTER = "1-0:1.8.0"


def at(day: int, hour: int) -> str:
    return instant(DeliveryDay(DAYS[day]).start + hour * 3_600_000_000)


def gaps(point: str, day: date, slot: int) -> float | None:
    if (day, slot) in {(DAYS[1], 5), (DAYS[3], 2), (DAYS[3], 3), (DAYS[2], 3)}:
        return None
    return flat(0.5)(point, day, slot)


REGISTERS = (
    "point_id,obis_code,unit,digits,resolution_kwh,valid_from,valid_to,final_kwh\n"
    f"{A},{REGISTER},kWh,6,0.1,2020-01-01,,\n{B},{REGISTER},kWh,6,0.1,2020-01-01,{DAYS[2]},424\n"
)
OUTAGES = f"point_id,starts_at,ends_at,cause\n{B},{at(2, 3)},{at(2, 5)},storm\n"
EDITS = f"point_id,obis_code,interval_start,kwh,author,reason\n{A},{IMPORT},{at(2, 7)},0.9,Max,photo\n"
DROPS = {
    "points": ("registry_points", "points.csv", points_file([{"point_id": A}, {"point_id": B}])),
    "registers": ("registry_registers", "registers.csv", REGISTERS.encode()),
    "outages": ("registry_outages", "outages.csv", OUTAGES.encode()),
    "first": ("plain", "all.csv", reads([A, B], DAYS, gaps)),
    "correction": ("plain", "all.csv", reads([A, B], DAYS, lambda p, d, s: 0.7 if s == 9 else gaps(p, d, s))),
    "other feed": ("adding", "more.csv", reads([B], DAYS[1:3], lambda p, d, s: 0.6 if s in (4, 9, 30) else None)),
    "reads": (
        "registers_daily",
        "registers_1.csv",
        (
            f"point_id,obis,read_at,kwh\n{A},{REGISTER},{at(0, 0)},100\n{A},{REGISTER},{at(4, 0)},150\n"
            f"{B},{REGISTER},{at(0, 0)},400\n"
        ).encode(),
    ),
    "late read": (
        "registers_daily",
        "registers_2.csv",
        f"point_id,obis,read_at,kwh\n{A},{REGISTER},{at(2, 0)},124.9\n".encode(),
    ),
    "edit": ("manual_edits", "e1.csv", EDITS.encode()),
}
RECEIVED = {name: ARRIVED + timedelta(hours=number) for number, name in enumerate(DROPS)}
LATEST = ARRIVED + timedelta(days=1)
"""When each file was written: what counts is this, not when it was taken in."""


def digests(bench: Workbench) -> dict:
    return {table: bench.digests(table) for table in TABLES}


def landed(root, order: list[str], *, settle_between: bool) -> Workbench:
    bench = workbench(root)
    for name in order:
        bench.land(*DROPS[name], RECEIVED[name])
        if settle_between:
            bench.settle()
    bench.settle()
    return bench


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict:
    """Digests of the drops in the order of their reception."""
    bench = landed(tmp_path_factory.mktemp("reference"), list(DROPS), settle_between=False)
    methods = {row["method"] for day in DAYS for row in bench.clean(day).to_pylist()}
    assert methods >= {"register_scaled", "documented_zero", "manual"}
    return digests(bench)


# A file that replaces another of its name counts as received after it, whatever its own time says: these two stay in
# their order.
ORDERS = {
    "backwards": [*[name for name in reversed(DROPS) if name not in ("first", "correction")], "first", "correction"],
    "registries last": [*list(DROPS)[3:], "outages", "registers", "points"],
    "reads first": [
        "late read",
        "reads",
        "edit",
        "points",
        "other feed",
        "first",
        "outages",
        "registers",
        "correction",
    ],
}


@pytest.mark.parametrize("settle_between", [False, True], ids=["at once", "step by step"])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_order_of_arrival_never_matters(tmp_path, reference, order, settle_between):
    assert sorted(order) == sorted(DROPS)
    assert digests(landed(tmp_path, order, settle_between=settle_between)) == reference


def test_any_order_of_readings_edits_and_reads_gives_the_same(tmp_path, reference):
    base = ["points", "registers", "outages", "other feed", "first", "reads"]
    for number, order in enumerate(permutations(["correction", "late read", "edit"])):
        assert digests(landed(tmp_path / str(number), [*base, *order], settle_between=False)) == reference


def test_computing_twice_changes_nothing(tmp_path, reference):
    bench = landed(tmp_path, list(DROPS), settle_between=False)
    assert bench.settle() == []
    bench.compute(*DAYS)
    assert digests(bench) == reference


# --- the past ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch) -> Callable[[], int]:
    """A clock that no two events share a reading of."""
    state = {"now": SYSTEM_CLOCK.now()}

    def tick() -> int:
        state["now"] += 1_000_000
        return state["now"]

    read_as(monkeypatch, tick)
    return tick


def published(bench: Workbench) -> dict[date, list[dict]]:
    return {day: sorted_rows(bench.clean(day)) for day in bench.digests()}


def sorted_rows(rows: pa.Table) -> list[dict]:
    return sorted(rows.to_pylist(), key=lambda row: (row["point_id"], row["obis_code"], row["interval_start"]))


class Past:
    """States of a platform, each with the instant of its publication."""

    def __init__(self, bench: Workbench, clock: Callable[[], int]):
        self.bench, self.clock = bench, clock
        self.states: list[tuple[str, int, dict[date, list[dict]]]] = []

    def settle(self, what: str) -> None:
        remember(self.bench.platform)
        self.bench.settle()
        self.states.append((what, self.clock(), published(self.bench)))

    def check(self) -> None:
        for what, moment, states in self.states:
            snapshot = PastSnapshot(self.bench.platform, moment)
            for day, rows in states.items():
                assert sorted_rows(snapshot.clean(day)) == rows, (what, day)


def test_a_day_as_it_was_known_equals_what_was_published_then(tmp_path, clock):
    rules = tmp_path / "rules.yaml"
    rules.write_text("editions:\n  - {version: first, valid_from: 1990-01-01}\n")
    bench = workbench(tmp_path, rules_file=rules)
    past = Past(bench, clock)
    drops = {}
    for name in DROPS:
        drops[name] = bench.land(*DROPS[name], RECEIVED[name]).drop
        if name not in ("points", "registers", "outages"):
            past.settle(name)
    for name in ("outages", "edit", "late read"):
        bench.platform.ledger.withdraw(drops[name], "wrong")
        build_registry(bench.platform, "outages")
        past.settle(f"without {name}")
    rules.write_text(
        "editions:\n  - version: second\n    valid_from: 1990-01-01\n    rules: {stuck_minutes: 60, stuck_slots: 2}\n"
        "    severities: {spike: block}\n    estimation: {max_linear_gap_minutes: 60, scale_to_registers: false}\n"
    )
    past.settle("rule book")
    bench.land("registry_points", "points.csv", points_file([{"point_id": A, "connection_kw": 0.6}]), LATEST)
    past.settle("registry")
    bench.platform.ledger.withdraw(drops["correction"], "wrong")
    past.settle("without correction")
    assert len({str(state) for _, _, state in past.states}) == len(past.states)
    past.check()


def test_a_day_whose_only_drop_was_withdrawn_is_known_as_it_was_published(tmp_path, clock):
    bench = workbench(tmp_path)
    past = Past(bench, clock)
    bench.register(A)
    drop = bench.land("plain", "all.csv", reads([A], DAYS)).drop
    past.settle("delivered")
    bench.platform.ledger.withdraw(drop, "wrong")
    past.settle("withdrawn")
    past.check()


def test_before_anything_was_read_nothing_was_known(tmp_path):
    bench = workbench(tmp_path)
    bench.register(A)
    bench.land("plain", "all.csv", reads([A], DAYS))
    bench.settle()
    early = int(datetime(2020, 1, 1).astimezone().timestamp()) * 1_000_000
    assert PastSnapshot(bench.platform, early).clean(DAYS[0]).num_rows == 0
