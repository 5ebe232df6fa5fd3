"""Every label is found again by reading the files, and nothing that is not labelled is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby

from metrify_assets.simulator.faults import FaultKind

SLOT_KINDS = set(FaultKind) - {FaultKind.LATE_FILE, FaultKind.REDELIVERED_FILE}


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


def test_missing_rows_are_the_gaps_and_the_malformed_rows(utility):
    missing = set(utility.truth) - set(delivered(utility))
    assert missing == utility.labelled("gap") | utility.labelled("malformed_row")


def test_gaps_come_in_short_and_long_runs(utility):
    lengths = {int(detail.split()[0]) for detail in utility.labels["gap"].values()}
    assert min(lengths) <= 8 < max(lengths) <= 32


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
    assert stuck == utility.labelled("stuck")


def test_on_days_without_another_fault_the_spike_rule_finds_exactly_the_labelled_spikes(utility):
    # A gap may leave so little of a car's charging that the rest looks like a spike: those days are left out.
    others = set().union(*(utility.labelled(kind) for kind in SLOT_KINDS - {FaultKind.SPIKE}))
    found, expected = set(), set()
    for (point, obis, name), values in by_channel_and_day(utility).items():
        if any((point, obis, start) in others for start in utility.starts[name]):
            continue
        *_, third, _, highest = sorted(values.values())
        slots = {(point, obis, start) for start in values}
        expected |= slots & utility.labelled("spike")
        if highest - third > max(1.8 * third, 200):
            found |= {(point, obis, start) for start, wh in values.items() if wh == highest}
    assert found == expected == utility.labelled("spike")


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
    changed = SLOT_KINDS - {FaultKind.DUPLICATE, FaultKind.PROVISIONAL}
    labelled = set().union(*(utility.labelled(kind) for kind in changed))
    wrong = {key for key, wh in delivered(utility).items() if wh != utility.truth[key]}
    assert wrong <= labelled
