"""Where gaps are cut: by hand on small axes, and laws of what is drawn."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from metrify_assets.scoring.gaps.places import CELLS, Axis, Cell, Gap, Measured, Place, draw_gaps, starts
from metrify_assets.vee.delivery_day import days_between

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
KEY = ("A", "1-0:1.29.0")


def series(first: date, last: date, minutes: int = 60) -> Measured:
    one = timedelta(days=1)
    axis = Axis(days_between(first - one, last + one), BERLIN, minutes)
    return Measured(KEY, axis, np.ones(axis.first[-1], dtype=bool))


def test_an_axis_holds_23_and_25_hours_and_knows_where_the_clock_changes():
    axis = Axis(days_between(SPRING, SPRING + timedelta(days=1)), BERLIN, 60)
    assert axis.first.tolist() == [0, 23, 47]
    # 00:00, 01:00, then 03:00.
    assert axis.change == {0: 2}
    autumn = Axis([AUTUMN], BERLIN, 15)
    assert autumn.first.tolist() == [0, 100]
    # The second 02:00 comes after three hours.
    assert autumn.change == {0: 12}


@pytest.mark.parametrize(
    ("place", "length", "expected"),
    [
        (Place.INSIDE, 5, (24 + 1, 24 + 18)),
        (Place.HEAD, 5, (24, 24)),
        (Place.TAIL, 5, (24 + 19, 24 + 19)),
        (Place.MIDNIGHT, 5, (24 + 20, 24 + 23)),
        (Place.WHOLE_DAY, 24, (24, 24)),
        (Place.SEVERAL_DAYS, 48, (24, 47)),
        (Place.CLOCK_CHANGE, 5, None),
        (Place.INSIDE, 23, None),
        (Place.MIDNIGHT, 1, None),
    ],
)
def test_a_gap_has_room_where_its_place_says(place, length, expected):
    axis = Axis(days_between(date(2026, 3, 1), date(2026, 3, 3)), BERLIN, 60)
    assert starts(place, axis, 1, length) == expected


def test_a_gap_at_a_clock_change_holds_slots_of_both_sides():
    axis = Axis([SPRING], BERLIN, 60)
    # The change lies between the slots 1 and 2; slot 0 stays, to stand beside the gap.
    assert starts(Place.CLOCK_CHANGE, axis, 0, 5) == (1, 1)
    assert starts(Place.CLOCK_CHANGE, Axis([AUTUMN], BERLIN, 60), 0, 3) == (1, 2)


def test_a_gap_over_midnight_is_told_by_day():
    axis = Axis(days_between(SPRING, SPRING + timedelta(days=2)), BERLIN, 60)
    assert axis.parts(21, 25) == ((SPRING, 21, 23), (SPRING + timedelta(days=1), 0, 2))
    assert axis.parts(23, 47) == ((SPRING + timedelta(days=1), 0, 24),)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.place} {cell.hours}")
def test_every_gap_is_of_its_length_measured_and_drawn_alike_from_one_seed(cell):
    days = days_between(date(2026, 3, 16), date(2026, 4, 5))
    measured = series(days[0], days[-1], 30)
    measured.measured[500:520] = False
    gaps = draw_gaps([measured], days, cell, 12, 5)
    assert gaps
    assert gaps == draw_gaps([measured], days, cell, 12, 5)
    assert len(set(gaps)) == len(gaps) <= 12
    for gap in gaps:
        assert set(gap.days) <= set(days)
        slots = sum(end - start for _, start, end in gap.parts)
        whole = 46 if gap.days == (SPRING,) else 48
        assert slots == (whole if cell.place is Place.WHOLE_DAY else cell.hours * 2)
        first = measured.axis.first[measured.axis.days.index(gap.days[0])] + gap.parts[0][1]
        assert measured.measured[first - 1 : first + slots + 1].all()
        assert (len(gap.days) > 1) == (cell.place in (Place.MIDNIGHT, Place.SEVERAL_DAYS))


def test_a_series_of_which_one_percent_is_measured_has_no_gaps():
    measured = series(date(2026, 3, 1), date(2026, 3, 28))
    random = np.random.default_rng(1)
    sparse = Measured(KEY, measured.axis, random.random(len(measured.measured)) < 0.01)
    days = list(measured.axis.days[1:-1])
    assert [gap for cell in CELLS for gap in draw_gaps([sparse], days, cell, 50, 1)] == []


def test_a_series_that_ends_is_cut_before_its_end():
    measured = series(date(2026, 3, 1), date(2026, 3, 20))
    measured.measured[24 * 8 + 1 :] = False
    days = list(measured.axis.days[1:-1])
    gaps = draw_gaps([measured], days, Cell(Place.WHOLE_DAY, 24), 50, 1)
    # The axis begins on 28 February: 7 March is its last whole day, and one slot of the next stands beside it.
    assert sorted(gap.days[0] for gap in gaps) == days_between(date(2026, 3, 1), date(2026, 3, 7))
    assert Gap(KEY, 60, ((date(2026, 3, 7), 0, 24),)) in gaps
