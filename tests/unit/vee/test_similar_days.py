"""Similar days and the bridge, against a slow working-out in floating point and against laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.vee import similar_days
from metrify_assets.vee.beside import AFTER, BEFORE, slots_beside
from metrify_assets.vee.bridge import CORRELATION_ONE, HIGHEST_CORRELATION, Ends, bridge, ratio, residual_correlation
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.gaps import DayWithGaps, OtherDaysEstimate
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.similar_days import similar_day_estimate
from tests.examples import examples

ZONE = "Europe/Berlin"
DAY = date(2026, 3, 11)
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
ON = EstimationParameters(similar_days=10, similar_day_least_minutes=60)
OVER = replace(ON, similar_day_over_midnight=True)


class Past:
    """Other days of R series, complete but for those that are named."""

    def __init__(
        self, days: dict[date, np.ndarray], incomplete: frozenset[tuple[date, int]] = frozenset(), minutes: int = 60
    ):
        self.days, self.incomplete, self.minutes = days, incomplete, minutes

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        if day not in self.days:
            return None
        values = self.days[day][rows]
        complete = np.array([(day, row) not in self.incomplete for row in rows.tolist()], dtype=bool)
        count = np.full(len(rows), values.shape[1])
        return DayTotals(values.sum(axis=1), complete, count, np.ones(len(rows), dtype=bool))

    def complete_day(self, day: date, rows: np.ndarray) -> CompleteDay | None:
        return CompleteDay(DeliveryDay(day, ZONE).local_minutes(self.minutes), self.days[day][rows])


def hours(day: date) -> int:
    return DeliveryDay(day, ZONE).slots(60)


def past_of(day: date, curve, series: int = 1, back: int = 28) -> Past:
    """Return the days before one, each by a function of series, days back and slot."""
    days = {day - timedelta(b): b for b in range(1, back + 1)}
    return Past(
        {
            d: np.array([[curve(r, b, s) for s in range(hours(d))] for r in range(series)], dtype=np.int64)
            for d, b in days.items()
        }
    )


def estimate(
    past: Past,
    value: np.ndarray,
    needed: np.ndarray,
    *,
    day: date = DAY,
    parameters=ON,
    one_direction=True,
    minutes: int = 60,
    measured: np.ndarray | None = None,
    beside: dict[int, HistoryDay] | None = None,
) -> OtherDaysEstimate:
    rows = np.arange(len(value))
    direction = np.full(len(value), one_direction)
    measured = ~needed if measured is None else measured
    gaps = DayWithGaps(DeliveryDay(day, ZONE), minutes, rows, needed, measured, value)
    around = beside or {}
    return similar_day_estimate(gaps, direction, past, kinds_of(rows), parameters, lambda side, _: around.get(side))


def day_beside(day: date, values: list[list[int | None]]) -> HistoryDay:
    """Return a day of hours; None is a slot without a measured value."""
    measured = np.array([[value is not None for value in row] for row in values])
    kept = np.array([[value or 0 for value in row] for row in values], dtype=np.int64)
    return HistoryDay(DeliveryDay(day, ZONE).local_minutes(60), kept, measured, measured)


def kinds_of(rows: np.ndarray):
    return lambda day: np.full(len(rows), LikeDays().kind(day))


def gap(first: int, end: int, series: int = 1, slots: int = 24) -> np.ndarray:
    needed = np.zeros((series, slots), dtype=bool)
    needed[:, first:end] = True
    return needed


def slowly(
    past: Past,
    row: int,
    value: np.ndarray,
    needed: np.ndarray,
    day: date,
    p: EstimationParameters,
    beside: dict[int, HistoryDay] | None = None,
):
    """Work out one series in floating point, day by day and slot by slot, from the formulas."""
    slots = list(range(len(value)))
    local = DeliveryDay(day, ZONE).local_minutes(60).tolist()
    measured = [s for s in slots if not needed[s]]
    candidates = []
    for back in range(1, p.similar_day_lookback_days + 1):
        other = day - timedelta(back)
        if other not in past.days or (other, row) in past.incomplete:
            continue
        theirs = DeliveryDay(other, ZONE).local_minutes(60).tolist()
        curve, used = {}, {}
        for s in slots:
            passes = [i for i, minute in enumerate(theirs) if minute == local[s]]
            number = used.get(local[s], 0)
            used[local[s]] = number + 1
            if passes:
                curve[s] = float(past.days[other][row][passes[min(number, len(passes) - 1)]])
        energy = sum(value[s] for s in measured if s in curve)
        if energy <= 0:
            continue
        apart = sum(abs(curve[s] - value[s]) for s in measured if s in curve) / energy
        free = [d.weekday() >= 5 for d in (day, other)]
        if free[0] != free[1]:
            apart += p.similar_day_other_kind_percent / 100
        elif free[0] and day.weekday() != other.weekday():
            apart += p.similar_day_other_free_percent / 100
        candidates.append((apart, back, curve))
    chosen = sorted(candidates, key=lambda each: each[:2])[: p.similar_days]
    weights = [(each[0] + p.similar_day_floor_percent / 100) ** -p.similar_day_exponent for each in chosen]
    mean = {}
    for s in slots:
        there = [(w, each[2][s]) for w, each in zip(weights, chosen, strict=True) if s in each[2]]
        if there:
            mean[s] = sum(w * v for w, v in there) / sum(w for w, _ in there)
    top = bottom = 0.0
    pairs = count = 0
    for each in chosen:
        for s in slots:
            if s in each[2]:
                bottom += (each[2][s] - mean[s]) ** 2
                count += 1
                pairs += s + 1 in each[2]
                if s + 1 in each[2]:
                    top += (each[2][s] - mean[s]) * (each[2][s + 1] - mean[s + 1])
    use, usual = sum(value[s] for s in measured), sum(mean[s] for s in measured)
    level = 1.0
    if usual > 0 and len(measured) * 60 >= p.like_day_level_minutes:
        level = min(max(use / usual, p.like_day_level_low_percent / 100), p.like_day_level_high_percent / 100)
    level = 1 + (level - 1) * p.similar_day_level_percent / 100
    expected = {s: v * level for s, v in mean.items()}
    for s in measured:
        if s in expected:
            bottom += (value[s] - expected[s]) ** 2
            count += 1
            pairs += s + 1 in measured and s + 1 in expected
            if s + 1 in measured and s + 1 in expected:
                top += (value[s] - expected[s]) * (value[s + 1] - expected[s + 1])
    phi = min(max(top / max(pairs, 1) / (bottom / count), 0), 0.9999) if bottom else 0.0

    def edge_of(side: int) -> tuple[int, float] | None:
        """Return how many slots from midnight the nearest measured one of the day beside is, and its residual."""
        if not p.similar_day_over_midnight or side not in (beside or {}):
            return None
        there = beside[side]
        order = [s for s in range(len(there.local_minutes)) if there.measured[row][s]]
        if not order:
            return None
        s = order[-1] if side < 0 else order[0]
        minute = there.local_minutes[s]
        number = there.local_minutes[:s].tolist().count(minute)
        total, weight_of_all, days_of_mean = 0.0, 0.0, 0
        for weight, (_, back, _) in zip(weights, chosen, strict=True):
            other = day - timedelta(back) + timedelta(side)
            if other >= day or other not in past.days or (other, row) in past.incomplete:
                continue
            theirs = DeliveryDay(other, ZONE).local_minutes(60).tolist()
            passes = [i for i, each in enumerate(theirs) if each == minute]
            if passes:
                total += weight * past.days[other][row][passes[min(number, len(passes) - 1)]]
                weight_of_all, days_of_mean = weight_of_all + weight, days_of_mean + 1
        if days_of_mean < p.min_similar_days:
            return None
        away = len(there.local_minutes) - s if side < 0 else s + 1
        return away, there.values[row][s] - level * total / weight_of_all

    ahead, behind = edge_of(-1), edge_of(1)
    result = {}
    for s in slots:
        if not needed[s]:
            continue
        if p.similar_day_over_midnight and all(each[2].get(s, 0) == 0 for each in chosen):
            result[s] = 0
            continue
        before, after = s, s
        while before >= 0 and needed[before]:
            before -= 1
        while after < len(slots) and needed[after]:
            after += 1
        r0 = value[before] - expected[before] if before >= 0 else None
        r1 = value[after] - expected[after] if after < len(slots) else None
        if before < 0 and ahead is not None:
            before, r0 = -ahead[0], ahead[1]
        if after == len(slots) and behind is not None:
            after, r1 = len(slots) - 1 + behind[0], behind[1]
        n, i = after - before, s - before
        added = 0.0
        if r0 is not None and r1 is not None:
            added = (phi**i - phi ** (2 * n - i)) * r0 + (phi ** (n - i) - phi ** (n + i)) * r1
            added /= 1 - phi ** (2 * n)
        elif r0 is not None:
            added = phi**i * r0
        elif r1 is not None:
            added = phi ** (n - i) * r1
        result[s] = max(expected[s] + added, 0)
    return result


@settings(max_examples=examples(0.4))
@given(
    day=st.sampled_from([DAY, SPRING, AUTUMN, date(2026, 3, 14), date(2026, 4, 5)]),
    seed=st.integers(0, 10_000),
    bounds=st.tuples(st.integers(0, 20), st.integers(1, 14)),
    smooth=st.booleans(),
)
def test_it_is_what_the_formulas_say(day, seed, bounds, smooth):
    random = np.random.default_rng(seed)
    past = past_of(day, lambda r, b, s: 0)
    for other, rows in past.days.items():
        noise = random.gamma(1.5, 400_000, rows.shape)
        past.days[other] = np.rint(np.cumsum(noise, axis=1) / 5 if smooth else noise).astype(np.int64)
    past.incomplete = frozenset((day - timedelta(int(b)), 0) for b in random.integers(1, 29, 5))
    value = np.rint(random.gamma(1.5, 400_000, (1, hours(day)))).astype(np.int64)
    needed = gap(bounds[0], min(sum(bounds), hours(day)), slots=hours(day))
    result = estimate(past, value, needed, day=day)
    expected = slowly(past, 0, value[0].astype(float), needed[0], day, ON)
    assert result.has_value[0].tolist() == needed[0].tolist()
    got = {s: int(result.value[0, s]) for s in expected}
    assert got == pytest.approx(expected, rel=2e-3, abs=1_000)


@settings(max_examples=examples(0.4))
@given(
    day=st.sampled_from([DAY, *(each + timedelta(n) for each in (SPRING, AUTUMN) for n in (-1, 0, 1, 7, 8))]),
    seed=st.integers(0, 10_000),
    bounds=st.sampled_from([(0, 5), (0, 1), (12, 25), (20, 25), (0, 20), (5, 12)]),
    open_slots=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    zeros=st.booleans(),
)
def test_a_gap_over_midnight_is_what_the_formulas_say(day, seed, bounds, open_slots, zeros):
    random = np.random.default_rng(seed)
    past = past_of(day, lambda r, b, s: 0, back=29)
    for other, rows in past.days.items():
        past.days[other] = np.rint(np.cumsum(random.gamma(1.5, 400_000, rows.shape), axis=1) / 5).astype(np.int64)
        if zeros:
            past.days[other][:, :3] = 0
    past.incomplete = frozenset((day - timedelta(int(b)), 0) for b in random.integers(1, 30, 12))
    value = np.rint(np.cumsum(random.gamma(1.5, 400_000, (1, hours(day))), axis=1) / 5).astype(np.int64)
    needed = gap(bounds[0], min(bounds[1], hours(day)), slots=hours(day))
    beside = {}
    for side, missing in zip((-1, 1), open_slots, strict=True):
        other = day + timedelta(side)
        row = random.integers(0, 3_000_000, hours(other)).tolist()
        row[:missing] = [None] * missing
        if missing < 8:
            beside[side] = day_beside(other, [row[::side]])
    result = estimate(past, value, needed, day=day, parameters=OVER, beside=beside)
    expected = slowly(past, 0, value[0].astype(float), needed[0], day, OVER, beside)
    got = {s: int(result.value[0, s]) for s in expected}
    assert got == pytest.approx(expected, rel=2e-3, abs=1_000)
    # Without the parameter the days beside are not looked at.
    off = estimate(past, value, needed, day=day, parameters=ON, beside=beside)
    assert np.array_equal(off.value, estimate(past, value, needed, day=day).value)


def chosen_days(*back: int) -> tuple[np.ndarray, list[date]]:
    """Return the places of some days among the 28 before."""
    return np.array([[each - 1 for each in back]]), [DAY - timedelta(b) for b in range(1, 29)]


def test_the_slot_after_midnight_and_what_ran_there_after_the_similar_days_by_hand():
    # The first two hours of the day after are missing: 02:00 is the third slot from midnight.
    past = past_of(DAY, lambda r, b, s: 1_000 * b + s, back=29)
    past.incomplete = frozenset({(DAY - timedelta(4), 0)})
    after = day_beside(DAY + timedelta(1), [[None, None, 700, *[9] * 21]])
    chosen, days = chosen_days(1, 2, 5, 8)
    slots = slots_beside(AFTER, DAY, np.array([0]), np.array([True]), chosen, days, lambda *_: after, past)
    assert (slots.exists.tolist(), slots.distance.tolist(), slots.value.tolist()) == ([True], [3], [700])
    # After yesterday comes the day itself, which is not looked at; the day after the fifth is not complete.
    assert slots.present.tolist() == [[False, True, False, True]]
    assert slots.values.tolist() == [[0, 1_002, 0, 7_002]]
    assert slots.sum_days == {DAY - timedelta(b) for b in (1, 4, 7)}
    assert slots.slot_days == {DAY - timedelta(b) for b in (1, 7)}


def test_the_slot_before_midnight_and_what_ran_there_before_the_similar_days_by_hand():
    past = past_of(DAY, lambda r, b, s: 1_000 * b + s, back=29)
    before = day_beside(DAY - timedelta(1), [[*[9] * 22, 700, None]])
    chosen, days = chosen_days(1, 2, 28, 0)
    slots = slots_beside(BEFORE, DAY, np.array([0]), np.array([True]), chosen, days, lambda *_: before, past)
    assert (slots.distance.tolist(), slots.value.tolist()) == ([2], [700])
    # The fourth place is taken by no day.
    assert slots.present.tolist() == [[True, True, True, False]]
    assert slots.values.tolist() == [[2_022, 3_022, 29_022, 0]]


@pytest.mark.parametrize("reaching", [True, False])
def test_a_day_beside_that_says_nothing_is_no_edge(reaching):
    past, (chosen, days) = past_of(DAY, lambda r, b, s: 1_000), chosen_days(2, 3, 4)
    silent = day_beside(DAY + timedelta(1), [[None] * 24])
    asked = []

    def beside(side, rows):
        asked.append(side)
        return silent

    slots = slots_beside(AFTER, DAY, np.array([0]), np.array([reaching]), chosen, days, beside, past)
    assert not slots.exists.any()
    assert asked == ([AFTER] if reaching else [])


def test_an_edge_beyond_midnight_needs_as_many_days_as_an_estimate():
    # The days alternate around 1 kWh as a whole, so that their residuals go together from slot to slot.
    past = past_of(DAY, lambda r, b, s: 1_000_000 + 100_000 * (-1) ** (b // 2), back=29)
    value, needed = np.full((1, 24), 1_000_000), gap(18, 24)
    beside = {AFTER: day_beside(DAY + timedelta(1), [[3_000_000] * 24])}
    plain = estimate(past, value, needed, parameters=OVER).value[0, 18:]
    bridged = estimate(past, value, needed, parameters=OVER, beside=beside).value[0, 18:]
    # It rises to the 3 kWh of the day after: 2 kWh above what is expected there, the more the nearer.
    assert (np.diff(bridged) > 200_000).all()
    assert 2_500_000 < bridged[-1] < 3_000_000
    # Two of the ten days are left whose next day is complete: too few.
    past.days = {d: v for d, v in past.days.items() if (DAY - d).days in (1, 2, 3, 5, 7, 9, 11, 13)}
    alone = estimate(past, value, needed, parameters=OVER, beside=beside)
    assert alone.value[0, 18:].tolist() == estimate(past, value, needed, parameters=ON).value[0, 18:].tolist()
    assert plain.max() < 1_200_000


def test_what_all_similar_days_have_zero_in_stays_zero():
    # Nothing is fed in after six in the evening on any day; the edge at five is far above the mean.
    past = past_of(DAY, lambda r, b, s: (1_000_000 + 100_000 * (b % 5)) * (8 <= s < 18), back=29)
    value = np.array([[2_000_000 * (8 <= s < 17) for s in range(24)]])
    with_edges = estimate(past, value, gap(17, 24), parameters=ON).value[0, 17:]
    assert with_edges[1] > 100_000
    stays = estimate(past, value, gap(17, 24), parameters=OVER).value[0, 17:]
    assert stays[0] == with_edges[0]
    assert not stays[1:].any()


def test_it_depends_on_the_days_beside_the_chosen_ones_where_a_gap_reaches_midnight():
    past = past_of(DAY, lambda r, b, s: 1_000 + s, back=29)
    beside = {side: day_beside(DAY + timedelta(side), [[1_000] * 24]) for side in (BEFORE, AFTER)}
    inside = estimate(past, np.full((1, 24), 1_000), gap(5, 20), parameters=OVER, beside=beside)
    assert inside.slot_days == {DAY - timedelta(back) for back in range(1, 29)}
    few = replace(OVER, similar_day_lookback_days=10)
    head = estimate(past, np.full((1, 24), 1_000), gap(0, 20), parameters=few, beside=beside)
    assert head.sum_days == head.slot_days == {DAY - timedelta(back) for back in range(1, 12)}


def test_a_day_that_repeats_is_estimated_exactly():
    curve = np.array([[100_000 * (1 + s % 7) for s in range(24)]])
    result = estimate(past_of(DAY, lambda r, b, s: int(curve[0, s])), curve, gap(5, 20))
    assert result.value[0, 5:20].tolist() == curve[0, 5:20].tolist()


def ends(length: int, left: int | None, right: int | None) -> Ends:
    """Return the ends of one gap."""
    before = np.arange(1, length + 1)
    return Ends(
        row=np.zeros(length, dtype=np.int64),
        before=before,
        after=length + 1 - before,
        left=np.full(length, left or 0),
        right=np.full(length, right or 0),
        has_left=np.full(length, left is not None),
        has_right=np.full(length, right is not None),
    )


def test_the_path_between_known_ends_by_hand():
    # At the highest correlation the path between 30 and 90 is nearly the line: 45, 60, 75.
    nearly_one, half, nothing = (np.array([phi]) for phi in (HIGHEST_CORRELATION, CORRELATION_ONE // 2, 0))
    assert bridge(ends(3, 30_000, 90_000), nearly_one).tolist() == pytest.approx([45_000, 60_000, 75_000], rel=1e-3)
    # Without correlation, or without ends, the estimate is left alone.
    assert bridge(ends(3, 30_000, 90_000), nothing).tolist() == [0, 0, 0]
    assert bridge(ends(3, None, None), half).tolist() == [0, 0, 0]
    # phi = 0.5, one end: 30,000 x 0.5, 0.25, 0.125.
    assert bridge(ends(3, 30_000, None), half).tolist() == [15_000, 7_500, 3_750]
    assert bridge(ends(3, None, 30_000), half).tolist() == [3_750, 7_500, 15_000]
    # phi = 0.5, n = 1: (0.5 - 0.5^3) / (1 - 0.5^4) = 0.4 of each end.
    assert bridge(ends(1, 30_000, 90_000), half).tolist() == [48_000]


def test_days_that_agree_leave_the_level_to_the_edges():
    # All days run at 1 kWh, this one at half of it: the mean is moved by 30 % only, the edges say the rest.
    value = np.full((1, 24), 500_000)
    result = estimate(past_of(DAY, lambda r, b, s: 1_000_000), value, gap(8, 15))
    assert result.value[0, 8:15].tolist() == pytest.approx([500_000] * 7, rel=0.05)


@pytest.mark.parametrize("minutes", [60, 15, 5, 1])
def test_a_level_that_stands_is_kept_whatever_the_interval_and_the_size(minutes):
    slots = 1_440 // minutes
    days = {
        DAY - timedelta(b): np.full((1, slots), 100_000_000 + (b % 2) * 134_217_727, dtype=np.int64)
        for b in range(1, 29)
    }
    value = np.full((1, slots), 207_000_000)
    needed = gap(slots // 3, slots // 2, slots=slots)
    result = estimate(Past(days, minutes=minutes), value, needed, minutes=minutes)
    assert result.value[needed].tolist() == pytest.approx([207_000_000] * needed.sum(), rel=0.05)


def test_the_edge_of_a_gap_is_the_nearest_slot_that_says_something():
    past = past_of(DAY, lambda r, b, s: 1_000_000 + 20_000 * b)
    value, needed = np.full((1, 24), 2_000_000), gap(8, 15)
    plain = estimate(past, value, needed).value[0, 8:15]
    measured = ~needed
    # An outlier stands on both sides of the gap: it is measured, and is no edge.
    measured[0, [7, 15]] = False
    value[0, [7, 15]] = 9_000_000
    beside = estimate(past, value, needed, measured=measured).value[0, 8:15]
    assert beside.tolist() == pytest.approx(plain.tolist(), rel=0.02)


def test_correlation_by_hand():
    residuals = np.array([[[3, -1, 2, 0]]])
    # (3 x -1 - 1 x 2 + 2 x 0) / 14 is below zero; the absolute ones: (3 + 2) / 3 pairs over 14 / 4 slots.
    everywhere = np.ones((1, 1, 4), dtype=bool)
    assert residual_correlation(residuals, everywhere).tolist() == [0]
    assert residual_correlation(np.abs(residuals), everywhere).tolist() == pytest.approx(
        [5 / 3 / (14 / 4) * CORRELATION_ONE], abs=2
    )
    assert residual_correlation(residuals * 0, everywhere).tolist() == [0]


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**18))
def test_a_ratio_of_any_numbers_is_right_to_a_millionth_or_cut(part, whole):
    got = int(ratio(np.array([part]), np.array([whole]), CORRELATION_ONE)[0]) / CORRELATION_ONE
    assert got == pytest.approx(min(max(part / whole, -(2**20)), 2**20), rel=1e-6, abs=2e-6)


@settings(max_examples=examples(0.3))
@given(seed=st.integers(0, 10_000), block=st.integers(1, 4))
def test_the_order_of_the_series_and_their_neighbours_do_not_matter(seed, block):
    random = np.random.default_rng(seed)
    past = past_of(DAY, lambda r, b, s: 0, series=5)
    past.days = {d: random.integers(0, 2_000_000, v.shape) for d, v in past.days.items()}
    value, needed = random.integers(0, 2_000_000, (5, 24)), random.random((5, 24)) < 0.4
    order = random.permutation(5)
    shuffled = Past({d: v[order] for d, v in past.days.items()})
    with pytest.MonkeyPatch.context() as patch:
        whole = estimate(past, value, needed)
        patch.setattr(similar_days, "BLOCK_CELLS", block * 28 * 24)
        parts = estimate(shuffled, value[order], needed[order])
    assert np.array_equal(whole.value[order], parts.value)
    assert np.array_equal(whole.has_value[order], parts.has_value)


@pytest.mark.parametrize(
    ("value", "needed", "days"),
    [
        # Two complete days are too few.
        (np.full((1, 24), 1_000_000), gap(5, 20), 2),
        # Nothing measured, and half an hour less than the least.
        (np.full((1, 24), 1_000_000), gap(0, 24), 28),
        # A day of zeros has no measure of distance.
        (np.zeros((1, 24), dtype=np.int64), gap(5, 20), 28),
        # More went out than came in.
        (np.full((1, 24), -1_000_000), gap(5, 20), 28),
        # A series without any history.
        (np.full((1, 24), 1_000_000), gap(5, 20), 0),
    ],
)
def test_what_cannot_be_compared_has_no_estimate(value, needed, days):
    result = estimate(past_of(DAY, lambda r, b, s: 500_000 + s, back=days), value, needed)
    assert not result.has_value.any()
    assert not result.value.any()


def test_only_what_counts_in_one_direction_is_cut_at_zero():
    # The edges are far below the other days, which differ from each other as a whole: the bridge goes below zero.
    past = past_of(DAY, lambda r, b, s: 1_000_000 * b + s)
    value = np.full((1, 24), 8_000_000)
    value[0, [3, 4, 15, 16]] = -4_000_000
    cut = estimate(past, value, gap(5, 15), one_direction=True)
    signed = estimate(past, value, gap(5, 15), one_direction=False)
    assert signed.value.min() < 0
    assert np.array_equal(cut.value, np.maximum(signed.value, 0))


def test_it_depends_on_the_days_before_and_on_no_other():
    past = past_of(DAY, lambda r, b, s: 1_000 + s)
    past.incomplete = frozenset({(DAY - timedelta(3), 0)})
    result = estimate(past, np.full((1, 24), 1_000), gap(5, 20))
    assert result.sum_days == {DAY - timedelta(back) for back in range(1, 29)}
    # Of a day that is not complete only the sums were asked for.
    assert result.slot_days == result.sum_days - {DAY - timedelta(3)}


def test_values_of_any_size_do_not_overflow():
    huge = 10**15
    past = past_of(DAY, lambda r, b, s: huge + b * 10**12 + s * 10**11)
    value = np.full((1, 24), huge + 5 * 10**12)
    result = estimate(past, value, gap(5, 20))
    assert (np.abs(result.value[0, 5:20] / huge - 1) < 0.05).all()
