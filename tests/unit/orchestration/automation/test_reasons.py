from __future__ import annotations

from datetime import date, timedelta

import pytest

from metrify_assets.days.digests import Digests
from metrify_assets.digest import EMPTY
from metrify_assets.orchestration.automation.reasons import (
    Change,
    attempted,
    day_tags,
    file_reason,
    names_of,
    reason_of,
)
from tests.workbench import flat, reads, workbench

DAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([Change("validated_readings")], "new days"),
        ([Change("validated_readings"), Change("clean_readings"), Change("marts")], "new days"),
        ([Change("validated_readings", "raw_readings", "a", "b")], "corrected or further readings"),
        ([Change("validated_readings", "raw_readings", EMPTY, "b")], "readings of new points"),
        ([Change("validated_readings", "raw_readings", "a", EMPTY)], "corrected or further readings"),
        ([Change("clean_weather", "raw_weather", EMPTY, "b")], "corrected or further weather"),
        (
            [Change("validated_readings", "rules", "a", "b"), Change("clean_readings", "validated_readings", "a", "b")],
            "rules changed",
        ),
        ([Change("clean_readings", "validated_readings", "a", "b")], "neighbouring days changed"),
        (
            [Change("marts", "mart_models", "a", "b"), Change("marts", "points", "a", "b")],
            "models changed; registry changed",
        ),
        ([Change("marts", "clean_readings", "a", "b")], "clean days changed"),
        ([Change("marts")], "not in the marts yet"),
        ([Change("clean_readings"), Change("marts")], "not estimated yet; not in the marts yet"),
        ([], "inputs changed"),
    ],
)
def test_a_reason_names_the_causes_and_what_follows_only_without_one(changes, reason):
    assert reason_of(changes) == reason


def test_days_are_told_as_a_range_with_their_number():
    march = [date(2026, 3, 1) + timedelta(n) for n in range(31)]
    assert day_tags(march, "new days") == {"metrify/days": "2026-03-01...2026-03-31 (31)", "metrify/reason": "new days"}
    assert day_tags([DAY], "new days")["metrify/days"] == "2026-03-10"


def test_a_further_attempt_says_so():
    assert attempted("new days", 1, 3) == "new days"
    assert attempted("new days", 2, 3) == "retry, attempt 2 of 3: new days"


def test_files_are_counted_and_the_first_are_named_on_one_line():
    assert [file_reason(1, 0), file_reason(3, 1), file_reason(0, 2)] == [
        "1 new file",
        "3 new files, 1 corrected file",
        "2 corrected files",
    ]
    assert names_of(["a", "b\nc", "d", "e", "f"]) == "a, b?c, d and 2 more"


def test_the_reason_of_a_dirty_day_is_what_differs_from_what_it_was_computed_from(tmp_path):
    bench = workbench(tmp_path)
    bench.register("A", "B")
    bench.land("plain", "a.csv", reads(["A"], [DAY]))

    def reason() -> str:
        digests = Digests(bench.platform)
        tables = ("validated_readings", "clean_readings")
        return reason_of(
            Change(table, *changed)
            for table in tables
            for day in digests.dirty_days(table)
            for changed in digests.changed_inputs(table, day)
        )

    assert reason() == "new days"
    bench.settle()
    bench.land("plain", "a.csv", reads(["A"], [DAY], flat(0.7)))
    assert reason() == "corrected or further readings"
    bench.settle()
    bench.register("A", {"point_id": "B", "connection_kw": 99})
    assert reason() == "registry changed"
    bench.settle()
    assert reason() == "inputs changed"
    assert Digests(bench.platform).dirty_days("clean_readings") == set()
