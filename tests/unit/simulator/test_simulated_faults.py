"""Every label is found again by reading the files, and nothing that is not labelled is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest

from metrify_assets.simulator.counters import DIGITS
from metrify_assets.simulator.delivery import FaultKind
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate
from metrify_assets.simulator.vendor_files import meter_file
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.unit.simulator.conftest import FAULTY, SLOW
from tests.unit.simulator.reading import BERLIN, local_day, other_intervals, parse, register_reads, table

pytestmark = pytest.mark.slow

NO_FAULTS = {FaultKind.REGISTER_ROLLOVER, FaultKind.METER_EXCHANGE}
ON_REGISTERS = {FaultKind.REGISTER_DECREASE, FaultKind.LATE_REGISTER}
TAKES_LONGER = {FaultKind.PROLONGED_ESTIMATION, FaultKind.COLLAPSED_DST}
SLOT_KINDS = (
    set(FaultKind) - {FaultKind.LATE_FILE, FaultKind.REDELIVERED_FILE} - NO_FAULTS - ON_REGISTERS - TAKES_LONGER
)
NOT_DELIVERED = ("gap", "malformed_row", "future_stamp", "outage", "interval_size")


def delivered(utility):
    """Known points' rows as key -> Wh or None."""
    return {key: wh for _, parsed in utility.parsed for key, wh, _ in parsed.rows if key[0] in utility.connection_kw}


def by_channel_and_day(utility):
    """(point, obis, file) -> values in order of time, without blanks, negatives and what exceeds the connection."""
    series = defaultdict(dict)
    for file, parsed in utility.parsed:
        for (point, obis, start), wh, _ in parsed.rows:
            limit = utility.connection_kw.get(point, 0) * 250
            if wh is not None and 0 <= wh <= limit:
                series[point, obis, file.name][start] = wh
    return series


def test_every_kind_of_fault_occurs(utility):
    assert {kind for kind in SLOT_KINDS if not utility.labels[kind]} == set()


def test_no_two_faults_share_a_slot(utility):
    slots = Counter(key for kind in SLOT_KINDS for key in utility.labels[kind])
    assert max(slots.values()) == 1


def test_missing_rows_are_those_of_the_kinds_that_leave_rows_out(utility):
    missing = set(utility.truth) - set(delivered(utility))
    assert missing == set().union(*(utility.labelled(kind) for kind in NOT_DELIVERED))


def test_gaps_come_in_all_lengths_up_to_a_day(utility):
    lengths = {int(detail.split()[0]) for detail in utility.labels["gap"].values()}
    assert all(any(low < length <= high for length in lengths) for low, high in ((0, 8), (8, 32), (32, 96)))
    assert max(lengths) <= 96


def test_unreadable_lines_are_the_malformed_rows(utility):
    lines = Counter(file.feed for file, parsed in utility.parsed for _ in parsed.unreadable)
    table = utility.simulation.labels.to_pylist()
    assert lines == Counter(row["feed"] for row in table if row["kind"] == "malformed_row")
    assert set(lines) == {"meters_north", "meters_south", "meters_east"}


def test_malformed_rows_are_broken_in_four_ways(utility):
    details = set(utility.labels["malformed_row"].values())
    assert details == {"too few columns", "too many columns", "letters", "bad date"}


def test_blank_cells_are_the_labelled_blanks(utility):
    assert {key for key, wh in delivered(utility).items() if wh is None} == utility.labelled("blank")


def test_negative_values_are_the_labelled_ones(utility):
    assert {key for key, wh in delivered(utility).items() if wh is not None and wh < 0} == utility.labelled("negative")


def test_values_above_the_connection_are_the_labelled_ones(utility):
    above = {key for key, wh in delivered(utility).items() if (wh or 0) > utility.connection_kw[key[0]] * 250 * 1.1}
    assert above == utility.labelled("physical_limit")


def test_rows_that_stand_twice_in_a_file_are_the_labelled_duplicates(utility):
    twice = set()
    for _, parsed in utility.parsed:
        twice |= {row[0] for row, count in Counter(parsed.rows).items() if count == 2}
        assert len(set(parsed.rows)) == len({row[0] for row in parsed.rows}), "one slot with two values in a file"
    assert twice == utility.labelled("duplicate")


def test_the_same_value_for_two_hours_is_always_a_labelled_run(utility):
    stuck = set()
    for (point, obis, _), values in by_channel_and_day(utility).items():
        for value, run in groupby(sorted(values), key=values.get):
            starts = list(run)
            if value and len(starts) >= 8:
                stuck |= {(point, obis, start) for start in starts}
    assert stuck - utility.labelled("stuck_across_midnight") == utility.labelled("stuck")


def test_a_run_across_midnight_is_one_value_on_both_days(utility):
    values, labelled = delivered(utility), utility.labelled("stuck_across_midnight")
    runs = []
    for key in sorted(labelled):
        if not runs or runs[-1][-1] != (*key[:2], key[2] - timedelta(minutes=15)):
            runs.append([])
        runs[-1].append(key)
    inside = [run for run in runs if local_day(run[-1][2]) != "2026-03-30"]
    assert inside
    for run in inside:
        assert len({values[key] for key in run}) == 1
        assert len(run) >= 9
        assert len({local_day(start) for _, _, start in run}) == 2


def test_on_days_without_another_fault_the_spike_rule_finds_the_labelled_spikes_and_a_car_that_tops_up(utility):
    # A gap may leave so little of a car's charging that the rest looks like a spike, and so may a wrong factor: those
    # days are left out.
    others = set().union(*(utility.labelled(kind) for kind in SLOT_KINDS - {FaultKind.SPIKE}))
    spikes, expected = set(), set()
    for (point, obis, name), values in by_channel_and_day(utility).items():
        if any((point, obis, start) in others for start in utility.starts[name]):
            continue
        *_, third, _, highest = sorted(values.values())
        slots = {(point, obis, start) for start in values}
        expected |= slots & utility.labelled("spike")
        if highest - third > max(1.8 * third, 200):
            spikes |= {(point, obis, start) for start, wh in values.items() if wh == highest}
    cars = {row["point_id"] for row in table(utility.points_file.content) if row["point_class"] == "ev"}
    assert {key for key in spikes if key[0] not in cars} == {key for key in expected if key[0] not in cars}
    assert expected == utility.labelled("spike") <= spikes
    assert spikes != expected, "a session of a quarter or half an hour looks like a spike to the rule"


def test_sender_statuses_other_than_measured_are_labelled(utility):
    marked = defaultdict(set)
    for _, parsed in utility.parsed:
        for key, wh, status in parsed.rows:
            if wh is not None:
                marked[status].add(key)
    assert set(marked) == {"", "W", "E", "V", "A", "S", "P"}
    assert marked["E"] | marked["S"] == utility.labelled("substitute")
    assert marked["V"] | marked["P"] == utility.labelled("provisional")


def test_rows_of_points_that_no_registry_knows_are_labelled(utility):
    unknown = {key for _, parsed in utility.parsed for key, _, _ in parsed.rows if key[0] not in utility.connection_kw}
    assert unknown == utility.labelled("unknown_point")
    assert not unknown & set(utility.truth)


def test_every_value_without_a_label_is_the_truth(utility):
    changed = SLOT_KINDS - {FaultKind.DUPLICATE, FaultKind.PROVISIONAL, FaultKind.CLOCK_DRIFT, FaultKind.UNIT_MISMATCH}
    labelled = set().union(*(utility.labelled(kind) for kind in changed))
    wrong = {key for key, wh in delivered(utility).items() if wh != utility.truth[key]}
    assert wrong <= labelled


def days_of(utility, kind):
    """(point, obis, day) -> labelled slots of a kind."""
    starts = defaultdict(set)
    for point, obis, start in utility.labels[kind]:
        starts[point, obis, local_day(start)].add(start)
    return starts


@pytest.mark.parametrize("kind", ["zero_run", "interval_size", "clock_drift", "high_low", "unit_mismatch", "sum_check"])
def test_faults_of_a_day_are_labelled_on_all_its_slots(utility, kind):
    for (_, _, day), starts in days_of(utility, kind).items():
        assert len(starts) == (92 if day == "2026-03-29" else 96)


def test_rows_stamped_with_another_day_are_the_labelled_ones(utility):
    days = Counter((point, obis, day) for point, obis, day in days_of(utility, "future_stamp"))
    counts = Counter((point, obis, name.rpartition("_")[2].partition(".")[0]) for point, obis, name in utility.ahead)
    assert counts == days


def test_stamps_between_the_quarter_hours_are_the_labelled_drift(utility):
    assert utility.drifted == utility.labelled("clock_drift")


def test_days_of_zeros_are_labelled_where_there_is_load(utility):
    silent = defaultdict(list)
    for key, wh in delivered(utility).items():
        silent[key[0], key[1], local_day(key[2])].append((key, wh))
    zeros = {
        key
        for rows in silent.values()
        if all(wh == 0 for _, wh in rows) and any(utility.truth[key] for key, _ in rows)
        for key, _ in rows
    }
    assert zeros == utility.labelled("zero_run")


def test_outliers_come_three_a_day_so_that_the_third_maximum_hides_them(utility):
    values_wh = delivered(utility)
    for (point, obis, _), starts in days_of(utility, "robust_outlier").items():
        values = sorted(values_wh[point, obis, start] for start in starts)
        assert len(values) == 3
        assert values[0] > 0.97 * values[2]
        apart = [later - earlier for earlier, later in zip(sorted(starts)[:-1], sorted(starts)[1:], strict=True)]
        assert min(apart) >= timedelta(hours=5)


def test_a_wrong_factor_makes_the_day_a_third_or_three_times_as_much(utility):
    values_wh = delivered(utility)
    for (point, obis, _), starts in days_of(utility, "high_low").items():
        ratio = sum(values_wh[point, obis, start] for start in starts) / sum(
            utility.truth[point, obis, start] for start in starts
        )
        assert ratio == pytest.approx(3, rel=0.05) or ratio == pytest.approx(1 / 3, rel=0.05)


def test_other_intervals_add_up_to_the_truth(utility):
    minutes = {"meters_hourly": 60, "meters_five_minute": 5}
    delivered_elsewhere = Counter()
    for file in utility.first:
        for (point, obis, start), wh in other_intervals(file.content).items() if file.feed in minutes else ():
            parts = [start + timedelta(minutes=15 * quarter) for quarter in range(max(minutes[file.feed] // 15, 1))]
            hour = start.replace(minute=0)
            delivered_elsewhere[point, obis, hour] += wh
            slots = {part - timedelta(minutes=part.minute % 15) for part in parts}
            assert {(point, obis, slot) for slot in slots} <= utility.labelled("interval_size")
    expected = Counter()
    for point, obis, start in utility.labels["interval_size"]:
        expected[point, obis, start.replace(minute=0)] += utility.truth[point, obis, start]
    assert delivered_elsewhere == expected


def test_declared_outages_are_the_labelled_slots_and_no_energy_flows(utility):
    file = next(file for file in utility.first if file.feed == "registry_outages")
    declared = set()
    for row in table(file.content):
        start, end = datetime.fromisoformat(row["starts_at"]), datetime.fromisoformat(row["ends_at"])
        declared |= {key for key in utility.truth if key[0] == row["point_id"] and start <= key[2] < end}
    assert declared == utility.labelled("outage")
    assert all(utility.truth[key] == 0 for key in declared)


def test_the_registry_names_another_unit_on_the_labelled_days_only(utility):
    file = next(file for file in utility.first if file.feed == "registry_registers")
    units = {"meters_north": "kWh", "meters_south": "Wh", "meters_west": "kWh", "meters_east": "kW"}
    feed_of = {key[0]: file.feed for file, parsed in utility.parsed for key, _, _ in parsed.rows}
    strange = {
        (row["point_id"], row["obis_code"], row["valid_from"])
        for row in table(file.content)
        if row["obis_code"] != "1-0:1.8.0" and row["unit"] != units[feed_of[row["point_id"]]]
    }
    in_period = {key for key in strange if key[2] < FAULTY.day(FAULTY.days).isoformat()}
    assert in_period == set(days_of(utility, "unit_mismatch"))


# Registers


@pytest.fixture(scope="module")
def slow():
    simulation = simulate(SLOW)
    reads, late = {}, {}
    for wave, of_wave in ((simulation.first, reads), (simulation.later, late)):
        for file in wave:
            if file.feed == "registers_daily":
                of_wave.update(register_reads(file.content))
    labels = defaultdict(set)
    for row in simulation.labels.to_pylist():
        labels[row["kind"]].add((row["point_id"], row["obis_code"], row["interval_start"]))
    truth = defaultdict(Decimal)
    for row in simulation.truth.to_pylist():
        truth[row["point_id"], row["obis_code"], local_day(row["interval_start"])] += row["value_kwh"]
    return simulation, reads, late, labels, truth


def test_late_reads_are_in_the_second_wave_only(slow):
    _, reads, late, labels, _ = slow
    assert set(late) == labels["late_register"]
    assert late
    assert not set(late) & set(reads)


def test_differences_of_registers_are_the_true_energy_of_the_day(slow):
    simulation, reads, late, labels, truth = slow
    states = reads | late
    exchanged = {row["point_id"]: row for row in simulation.registries["registers"].to_pylist() if row["final_kwh"]}
    rolled = {(point, local_day(start)) for point, _, start in labels["register_rollover"]}
    compared = 0
    for (point, obis, read_at), state in states.items():
        following = states.get((point, obis, midnight_after(read_at)))
        if (
            following is None
            or {(point, obis, read_at), (point, obis, midnight_after(read_at))} & labels["register_decrease"]
        ):
            continue
        day = local_day(read_at)
        if point in exchanged and exchanged[point]["valid_to"].isoformat() == local_day(midnight_after(read_at)):
            following = Decimal(str(exchanged[point]["final_kwh"]))
        difference = following - state + (10**DIGITS if (point, day) in rolled else 0)
        assert difference == truth[point, "1-0:1.29.0", day]
        compared += 1
    assert compared > 1_000
    assert exchanged
    assert rolled


def midnight_after(midnight: datetime, days: int = 1) -> datetime:
    local = midnight.astimezone(BERLIN).replace(tzinfo=None) + timedelta(days=days)
    return local.replace(tzinfo=BERLIN).astimezone(UTC)


def test_reads_below_the_read_before_are_the_labelled_ones_roll_overs_and_exchanges(slow):
    simulation, reads, late, labels, _ = slow
    states = reads | late
    lower = {
        key
        for key, state in states.items()
        if (earlier := states.get((key[0], key[1], midnight_after(key[2], -1)))) is not None and state < earlier
    }
    rolled = {(point, local_day(start + timedelta(days=1))) for point, _, start in labels["register_rollover"]}
    exchanged = {
        (row["point_id"], row["valid_to"].isoformat())
        for row in simulation.registries["registers"].to_pylist()
        if row["final_kwh"]
    }
    unexplained = {key for key in lower if (key[0], local_day(key[2])) not in rolled | exchanged}
    assert unexplained == labels["register_decrease"]


def test_a_silent_point_is_labelled_prolonged_from_the_fourteenth_day_on(slow):
    *_, labels, _ = slow
    gaps, prolonged = Counter(), Counter()
    for kind, days in (("gap", gaps), ("prolonged_estimation", prolonged)):
        days.update((point, obis) for point, obis, _ in {(p, o, local_day(s)) for p, o, s in labels[kind]})
    assert prolonged
    assert all(gaps[channel] == 13 for channel in prolonged)


# The repeated hour


@pytest.mark.parametrize("vendor", range(4))
def test_a_collapsed_hour_is_delivered_once_and_labelled_in_both_passes(vendor):
    plan = replace(
        SimulationPlan(points=120, days=1, first_day=date(2026, 10, 25)), **SimulationPlan().without_faults()
    )
    plan = replace(plan, collapsed_dst_rate=0.3)
    feed = VENDORS[vendor].feed
    parsed = parse(feed, meter_file(plan, vendor, DeliveryDay(plan.first_day)))
    rows = Counter(key[:2] for key, _, _ in parsed.rows)
    labels = Counter(
        (row["point_id"], row["obis_code"]) for row in simulate(plan).labels.to_pylist() if row["feed"] == feed
    )
    assert set(rows.values()) == {96, 100}
    assert labels == {channel: 8 for channel, count in rows.items() if count == 96}
