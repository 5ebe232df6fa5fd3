"""The register reads of a day that are kept for brackets."""

from __future__ import annotations

import pytest

from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.grid import CHECK_REGISTER
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.registers import RegisterReads, chosen_reads, drop_redundant_reads
from tests.unit.vee.builders import PLAIN_DAY, deliveries, kwh, register, series_table

IMPORT_REGISTER = "1-0:1.8.0"
MINUTE = 60_000_000
HOURS = PLAIN_DAY.slot_starts(60).tolist()


def chosen(rows: list[dict], minutes: int = 60) -> RegisterReads:
    series = series_table((IMPORT_REGISTER, minutes, float("nan")))
    return chosen_reads(PLAIN_DAY, deliveries(rows), series.interval_minutes, RuleSet())


def kept(rows: list[dict], minutes: int = 60) -> list[int]:
    """The hours whose reads are kept."""
    series = series_table((IMPORT_REGISTER, minutes, float("nan")))
    reads = drop_redundant_reads(chosen(rows, minutes), series.interval_minutes)
    return [HOURS.index(moment) for moment in reads.read_at.tolist()]


def hourly(*hours: int) -> list[dict]:
    return [register(HOURS[hour], 100.0 + hour, minutes=60) for hour in hours]


def test_of_a_counter_read_in_every_slot_the_first_and_last_read_are_kept():
    assert kept(hourly(*range(24))) == [0, 23]


def test_the_reads_beside_a_gap_are_kept():
    assert kept(hourly(*range(6), *range(9, 24))) == [0, 5, 9, 23]


def test_every_read_of_a_register_without_slots_is_kept():
    assert kept(hourly(0, 1, 2, 3), minutes=0) == [0, 1, 2, 3]


def test_a_read_that_its_sender_estimated_counts_as_none():
    rows = hourly(*range(24))
    rows[5]["source_status"] = SourceStatus.SUBSTITUTE
    assert kept(rows) == [0, 4, 5, 6, 23]


def test_the_later_of_two_reads_of_one_instant_is_chosen_and_a_drifting_stamp_snapped():
    rows = [*hourly(3), register(HOURS[3] + 60_000_000, 200.0, received_at=1_900_000_000_000_009)]
    reads = chosen(rows)
    assert (reads.read_at.tolist(), reads.state.tolist(), reads.version.tolist()) == ([HOURS[3]], [kwh(200.0)], [2])


@pytest.mark.parametrize(("minutes", "meant"), [(5, 10), (10, 10), (15, 11.5), (60, 11.5), (CHECK_REGISTER, 11.5)])
def test_a_drifting_stamp_means_the_boundary_of_its_own_slots(minutes, meant):
    # A minute and a half after 00:10: within the tolerance of three, and of half a slot.
    reads = chosen([register(HOURS[0] + 690_000_000, 1.0)], minutes)
    assert (reads.read_at - HOURS[0]).tolist() == [meant * MINUTE]


def test_reads_five_minutes_apart_stay_apart():
    rows = [register(HOURS[0] + minute * MINUTE, 1.0 + minute) for minute in (0, 5, 12, 15)]
    assert ((chosen(rows, 5).read_at - HOURS[0]) // MINUTE).tolist() == [0, 5, 10, 15]
