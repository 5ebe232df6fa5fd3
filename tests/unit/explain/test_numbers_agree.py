"""Where estimates are said to come from against the estimators themselves, on random days: they never drift apart."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.interpolate import interpolate_short_gaps
from metrify_assets.vee.like_days import LikeDays, like_day_estimate
from metrify_assets.vee.origins import like_day_origin, linear_origin
from metrify_assets.vee.parameters import EstimationParameters
from tests.examples import examples
from tests.unit.vee.builders import AUTUMN_DAY, PLAIN_DAY, SPRING_DAY

SLOTS = 24
MINUTES = 60
few = settings(max_examples=examples(1.5))


def random_day(rng: np.random.Generator, day, holes: float) -> HistoryDay:
    slots = day.slots(MINUTES)
    measured = np.ones((1, slots), dtype=bool) if rng.random() > holes else rng.random((1, slots)) > 0.3
    return HistoryDay(day.local_minutes(MINUTES), rng.integers(0, 10**6, (1, slots)), measured, measured)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([PLAIN_DAY, SPRING_DAY, AUTUMN_DAY]))
def test_like_days_named_are_those_of_the_estimate(seed, day):
    rng = np.random.default_rng(seed)
    past = {
        day.plus(-back).day: random_day(rng, day.plus(-back), 0.4) for back in range(7, 35, 7) if rng.random() < 0.8
    }
    needed = rng.random(day.slots(MINUTES)) < 0.4
    measured = ~needed & (rng.random(len(needed)) < 0.8)
    today = rng.integers(0, 3 * 10**6, len(needed))
    parameters = EstimationParameters()

    class Past:
        def totals(self, other: date, rows: np.ndarray) -> DayTotals | None:
            if other not in past:
                return None
            measured = past[other].measured
            return DayTotals(
                energy=past[other].values.sum(axis=1),
                complete=measured.all(axis=1),
                measured_slots=measured.sum(axis=1),
                registered=np.ones(1, dtype=bool),
            )

        def complete_day(self, other: date, rows: np.ndarray) -> CompleteDay:
            return CompleteDay(past[other].local_minutes, past[other].values)

    planes = (needed[None, :], measured[None, :], today[None, :])
    gaps = DayWithGaps(day, MINUTES, np.array([0]), *planes)
    expected = like_day_estimate(gaps, Past(), LikeDays(), parameters)
    values = {slot: int(today[slot]) for slot in np.flatnonzero(measured).tolist()}
    origin = like_day_origin(day, MINUTES, np.flatnonzero(needed).tolist(), values, past.get, LikeDays(), parameters)
    assert sorted(origin.used) == np.flatnonzero(expected.has_value[0]).tolist()
    assert [origin.value(slot) for slot in sorted(origin.used)] == [
        int(expected.value[0, slot]) for slot in sorted(origin.used)
    ]


@few
@given(st.integers(0, 2**32 - 1))
def test_the_edges_named_are_those_of_the_line(seed):
    rng = np.random.default_rng(seed)
    stands = rng.random((1, SLOTS)) > 0.4
    row = np.where(stands, rng.integers(0, 10**6, (1, SLOTS)), 0)
    before, after = (random_day(rng, PLAIN_DAY.plus(days), 1.0) for days in (-1, 1))
    expected = interpolate_short_gaps(row, stands, 3, lambda rows: before, lambda rows: after)
    for slot, value in zip(expected.slot.tolist(), expected.value.tolist(), strict=True):
        origin = linear_origin(row[0].tolist(), stands[0].tolist(), slot, lambda: before, lambda: after)
        assert origin.value == value
