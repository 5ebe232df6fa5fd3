from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.orchestration.automation.decisions import (
    STOPS_WITHOUT_COUNT,
    Failures,
    batches,
    day_ranges,
    days_to_compute,
    plan_work,
    should_wait,
    work_digest,
)

FIRST = date(2026, 3, 1)


def days(*offsets: int) -> list[date]:
    return [FIRST + timedelta(n) for n in offsets]


def plan(items, failed=None, *, now=1e9, longest=100, max_attempts=3, max_pieces=1, group=None):
    failed = failed or {}
    return plan_work(
        items,
        identity=str,
        group=group or batches(longest),
        failures=lambda work: failed.get(work, Failures()),
        now=now,
        max_attempts=max_attempts,
        max_pieces=max_pieces,
    )


def test_work_that_was_under_way_at_stops_is_asked_for_at_once_in_smaller_pieces_and_not_given_up():
    whole = plan(list("abcd")).work[0]
    stopped = plan(list("abcd"), {whole.digest: Failures.of_runs(0, 2, 1_000.0)}, now=1_000)
    assert [(work.items, work.attempt) for work in stopped.work] == [(("a", "b"), 1)]
    alone = plan(["a"]).work[0].digest
    assert plan(["a"], {alone: Failures.of_runs(0, STOPS_WITHOUT_COUNT, 1_000.0)}, now=1_000).work[0].attempt == 1
    assert plan(["a"], {alone: Failures.of_runs(0, 1 + STOPS_WITHOUT_COUNT, 1_000.0)}, now=1_000).waiting == ("a",)
    assert plan(["a"], {alone: Failures.of_runs(1, 2 + STOPS_WITHOUT_COUNT, 1_000.0)}, now=9_999).given_up == ("a",)


def test_a_clock_that_was_set_back_has_nothing_wait():
    alone = plan(["a"]).work[0].digest
    assert plan(["a"], {alone: Failures(2, last_ended=2_000.0)}, now=1_999 - 1_200).work[0].attempt == 3


def test_nothing_to_do_is_no_work():
    assert plan([]).work == ()


def test_new_work_is_a_first_attempt_at_one_batch():
    (work,) = plan(list("abcdef"), longest=4).work
    assert work.items == tuple("abcd")
    assert work.attempt == 1


def test_the_same_items_are_the_same_work_and_others_are_not():
    digests = [plan(list(items)).work[0].digest for items in ("abc", "abc", "abd", "ab", "bac")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_a_failed_batch_is_asked_for_again_by_halves_and_the_rest_is_not_lost():
    whole = plan(list("abcd")).work[0]
    failed = {whole.digest: Failures(1, 0.0)}
    half = plan(list("abcd"), failed).work[0]
    assert half.items == ("a", "b")
    assert half.attempt == 1
    failed[half.digest] = Failures(1, 0.0)
    assert plan(list("abcd"), failed).work[0].items == ("a",)


def test_a_failed_item_waits_twice_as_long_after_each_attempt():
    alone = plan(["a"]).work[0].digest
    for count, wait in ((1, 20), (2, 40)):
        failed = {alone: Failures(count, 1_000.0)}
        assert plan(["a"], failed, now=1_000 + wait - 1).waiting == ("a",)
        (work,) = plan(["a"], failed, now=1_000 + wait).work
        assert work.attempt == count + 1


def test_an_item_is_given_up_after_its_last_attempt_and_the_others_go_on():
    alone = plan(["a"]).work[0].digest
    decision = plan(list("abc"), {alone: Failures(3, 0.0)})
    assert decision.given_up == ("a",)
    assert decision.work[0].items == ("b", "c")


def test_a_piece_that_waits_does_not_hold_up_the_next():
    pieces = lambda items: [[item] for item in items]  # noqa: E731
    alone = plan(["a"]).work[0].digest
    decision = plan(list("ab"), {alone: Failures(1, 1_000.0)}, now=1_001, group=pieces)
    assert decision.waiting == ("a",)
    assert decision.work[0].items == ("b",)


def test_new_content_of_an_item_that_was_given_up_is_new_work():
    alone = plan(["a"]).work[0].digest
    assert plan(["a2"], {alone: Failures(3, 0.0)}).given_up == ()


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=25, unique=True),
    st.sets(st.integers(0, 40), max_size=4),
    st.integers(1, 8),
    st.sampled_from(["files", "days"]),
)
def test_everything_that_works_is_done_and_only_what_fails_is_given_up(items, bad, longest, kind):
    """Plays scheduler: a run with a bad item fails as a whole, otherwise its items are done."""
    todo = [FIRST + timedelta(n) for n in sorted(items)]
    broken = {FIRST + timedelta(n) for n in bad} & set(todo)
    group = batches(longest) if kind == "files" else day_ranges(longest)
    failed: dict[str, Failures] = defaultdict(Failures)
    now, runs, done = 0.0, 0, set()
    while True:
        rest = [item for item in todo if item not in done]
        decision = plan(rest, failed, now=now, group=group)
        if not decision.work and not decision.waiting:
            break
        if not decision.work:
            now += 1_000
            continue
        (work,) = decision.work
        runs += 1
        assert runs < 60 * (len(broken) + 1), "never ends"
        if broken & set(work.items):
            failed[work.digest] = Failures(failed[work.digest].count + 1, now)
        else:
            done |= set(work.items)
    assert done == set(todo) - broken
    assert set(decision.given_up) == broken


def test_day_ranges_are_contiguous_and_no_longer_than_asked():
    assert day_ranges(2)(days(0, 1, 2, 5)) == [days(0, 1), days(2), days(5)]
    # A day that is not wanted is in no range.
    assert day_ranges(31)(days(0, 2)) == [days(0), days(2)]
    assert day_ranges(31)([]) == []


def test_days_that_are_dirty_anywhere_are_computed_oldest_first():
    dirty = {"clean_readings": set(days(3, 1)), "marts": set(days(2, 1))}
    assert days_to_compute(dirty, {}, str) == days(1, 2, 3)
    assert days_to_compute({}, {}, str) == []


def test_a_day_that_is_parked_in_one_table_is_still_computed_for_another():
    dirty = {"clean_weather": set(days(1)), "marts": set(days(1))}
    assert days_to_compute(dirty, {("clean_weather", days(1)[0]): "old"}, lambda day: "old") == days(1)


def test_a_parked_day_waits_for_other_inputs():
    dirty = {"validated_readings": set(days(1, 2))}
    assert days_to_compute(dirty, {("validated_readings", days(1)[0]): "old"}, lambda day: "old") == days(2)
    assert days_to_compute(dirty, {("validated_readings", days(1)[0]): "old"}, lambda day: "new") == days(1, 2)


def test_dirty_days_wait_for_files_under_way_but_not_for_ever():
    assert should_wait(True, 1_000.0, 1_000.0, 120)
    assert should_wait(True, 1_000.0, 1_119.0, 120)
    assert not should_wait(True, 1_000.0, 1_120.0, 120)
    assert not should_wait(False, 1_000.0, 1_000.0, 120)
    assert not should_wait(True, 1_000.0, 1_000.0, 0)


def by_letter(items, failed=None, *, suspects="", retry_first=False, now=1e9):
    """Plan items such as ``a1``, whose letter says what they belong to."""
    failed = failed or {}
    return plan_work(
        items,
        identity=str,
        group=batches(100),
        failures=lambda work: failed.get(work, Failures()),
        now=now,
        max_attempts=3,
        max_pieces=1,
        kin=lambda item: item[0],
        suspected=lambda item: item in suspects.split(),
        retry_first=retry_first,
    )


def alone(*items):
    return [work_digest(item) for item in items]


def test_what_waits_for_its_next_attempt_delays_nothing_else():
    failed = dict.fromkeys(alone("a1", "a2"), Failures(1, 1_000.0))
    decision = by_letter(["a1", "a2", "b1", "c1"], failed, now=1_001)
    assert decision.work[0].items == ("b1", "c1")
    assert decision.waiting == ("a1", "a2")


def test_what_failed_is_tried_again_with_its_kin_and_with_nothing_else():
    failed = dict.fromkeys(alone("a1", "a2", "b1"), Failures(1, 1_000.0))
    items = ["a1", "b1", "c1", "a2"]
    assert by_letter(items, failed).work[0].items == ("c1",)
    (work,) = by_letter(items, failed, retry_first=True).work
    assert (work.items, work.attempt) == (("a1", "a2"), 2)
    assert by_letter(["b1", "a2"], failed).work[0].items == ("b1",)


def test_many_items_that_each_failed_three_times_are_given_up_together():
    items = [f"a{number}" for number in range(50)]
    failed = dict.fromkeys(alone(*items), Failures(3, 1_000.0))
    decision = by_letter([*items, "b1"], failed)
    assert decision.given_up == tuple(items)
    assert decision.work[0].items == ("b1",)


def test_of_what_went_down_with_a_run_each_kin_is_tried_on_its_own_and_what_is_new_before_it():
    items = ["a1", "b1", "a2", "b2", "c1"]
    suspects = "a1 b1 a2 b2"
    assert by_letter(items, suspects=suspects).work[0].items == ("c1",)
    assert by_letter(items[:-1], suspects=suspects).work[0].items == ("a1", "a2")
    # Those of a kin that fail together are told apart by halves, after the others, and who fails alone waits alone.
    failed = {work_digest("a1", "a2"): Failures(1, 1_000.0)}
    assert by_letter(items[:-1], failed, suspects=suspects).work[0].items == ("b1", "b2")
    assert by_letter(["a1", "a2"], failed, suspects=suspects).work[0].items == ("a1",)
    failed |= dict.fromkeys(alone("a1"), Failures(1, 1_000.0))
    decision = by_letter(["a1", "a2"], failed, suspects=suspects, now=1_001)
    assert (decision.work[0].items, decision.waiting) == (("a2",), ("a1",))
