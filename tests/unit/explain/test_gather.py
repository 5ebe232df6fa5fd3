"""The explanation of a day against what was delivered, worked out by hand, and against the published rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.days.periods import Periods
from metrify_assets.errors import ExplainError
from metrify_assets.explain.gather import explain
from metrify_assets.explain.published_state import result_of
from metrify_assets.explain.record import Channel, Explanation
from tests.unit.explain.conftest import DAY, GAP, LATER, LIKE_DAYS, POINT, correct, edit, starts, usual
from tests.workbench import ARRIVED, IMPORT, Workbench, micros, reads

pytestmark = pytest.mark.slow


def channel(bench: Workbench, day: date = DAY, **options: object) -> Channel:
    return explain(bench.platform, POINT, day, **options).channels[0]


def rules_of(series: Channel, slot: int) -> dict[str, str]:
    return {finding.rule: finding.text for finding in series.slots[slot].findings}


def roles_of(series: Channel, slot: int) -> list[str]:
    return [delivery.role for delivery in series.slots[slot].deliveries]


def assert_equals_published(bench: Workbench, explanation: Explanation) -> None:
    rows = [row for row in bench.clean(explanation.day).to_pylist() if row["point_id"] == explanation.point_id]
    shown = [slot.result for series in explanation.channels for slot in series.slots]
    assert shown == [result_of(row) for row in rows]


def test_a_gap_is_explained_by_the_like_days_in_its_mean(busy):
    busy.settle()
    slot = channel(busy).slots[GAP[0]]
    assert slot.local == "08:00"
    assert slot.deliveries == ()
    # (0.41 + 0.39 + 0.44) / 3 = 0.413333...
    assert slot.result.value_kwh == slot.estimate.kwh == Decimal("0.413333")
    assert [(source.day, source.kwh) for source in slot.estimate.sources] == [
        (LIKE_DAYS[0], Decimal("0.41")),
        (LIKE_DAYS[1], Decimal("0.39")),
        (LIKE_DAYS[2], Decimal("0.44")),
    ]
    assert slot.estimate.text == "like days: mean of 0.41, 0.39, 0.44 kWh from 2026-03-03, 02-24, 02-17"


def test_the_result_shown_is_the_published_row(busy):
    correct(busy, 20, 5.2)
    edit(busy, 21, 0.7)
    busy.settle()
    explanation = explain(busy.platform, POINT, DAY)
    assert_equals_published(busy, explanation)
    assert explanation.channels[0].published.state == "current"


def test_a_day_that_was_never_computed_says_so_and_shows_what_a_run_would_give(busy):
    explanation = explain(busy.platform, POINT, DAY)
    assert explanation.channels[0].published.state == "absent"
    assert "not computed yet" in explanation.channels[0].published.text
    busy.settle()
    assert_equals_published(busy, explanation)


def test_a_published_day_that_is_out_of_date_says_what_would_change(busy):
    busy.settle()
    correct(busy, 3, 0.9)
    series = channel(busy)
    assert series.published.state == "would_change"
    # The slot itself, and the slots of the gap, which are estimated at the level of the day.
    assert series.published.changed_slots == 1 + len(GAP)
    assert (series.slots[3].result.value_kwh, series.slots[3].published.value_kwh) == (Decimal("0.9"), Decimal("0.501"))
    busy.settle()
    assert channel(busy).published.state == "current"


def test_a_change_on_a_like_day_shows_before_that_day_is_computed(busy):
    busy.settle()
    # The nearest like day gains another value in an hour of the gap: (0.71 + 0.39 + 0.44) / 3.
    correct(busy, GAP[0], 0.71, day=LIKE_DAYS[0])
    series = channel(busy)
    assert series.slots[GAP[0]].result.value_kwh == Decimal("0.513333")
    assert series.published.state == "would_change"
    busy.settle()
    assert_equals_published(busy, explain(busy.platform, POINT, DAY))


def test_a_change_of_another_point_leaves_this_one_waiting_without_a_change(bench):
    bench = replace(bench)
    bench.register(POINT, "B", "C", "D")
    bench.land("plain", "day.csv", reads([POINT, "B", "C", "D"], [DAY], usual))
    bench.settle()
    for point in "BCD":
        bench.land("adding", f"{point}.csv", f"point,start,kwh\n{point},{starts()[0]},0.9\n".encode(), LATER)
    assert channel(bench).published.state == "waiting"


def test_every_version_is_shown_with_its_file_row_and_role(busy):
    correct(busy, 2, 0.75)
    # A file of other bytes: the same bytes again would be no new drop.
    correct(busy, 2, "0.750", name="again.csv", arrived=LATER + timedelta(hours=1))
    explanation = explain(busy.platform, POINT, DAY)
    slot = explanation.channels[0].slots[2]
    assert [(delivery.value, delivery.role) for delivery in slot.deliveries] == [
        (Decimal("0.5"), "superseded"),
        (Decimal("0.75"), "identical"),
        (Decimal("0.75"), "chosen"),
    ]
    assert [delivery.name for delivery in slot.deliveries] == ["day.csv", "more.csv", "again.csv"]
    assert [delivery.row_number for delivery in slot.deliveries] == [3, 1, 1]
    assert [delivery.drop for delivery in slot.deliveries] == [note.label for note in explanation.drops]
    assert rules_of(explanation.channels[0], 2) == {
        "duplicate": "the same value came 2 times",
        "new_version": "2 different values were delivered",
    }


def test_values_of_a_replaced_and_of_a_withdrawn_file_are_shown_as_such(busy):
    busy.land("plain", "day.csv", reads([POINT, "B"], [DAY], lambda *_: 0.25), LATER)
    taken = correct(busy, 2, 0.9)
    busy.platform.ledger.withdraw(taken.drop, "wrong meter")
    explanation = explain(busy.platform, POINT, DAY)
    assert roles_of(explanation.channels[0], 2) == ["replaced", "chosen", "withdrawn"]
    assert [note.withdrawn_because for note in explanation.drops] == [None, None, "wrong meter"]


def test_an_edit_names_its_author_and_reason(busy):
    edit(busy, 5, 0.7)
    slot = channel(busy).slots[5]
    assert (slot.deliveries[-1].author, slot.deliveries[-1].remark) == ("M. Weber", "read on site")
    assert (slot.result.status, slot.result.method) == ("validated", "manual")
    assert slot.estimate.text == "decided on by M. Weber: read on site"


def test_a_spike_shows_the_third_maximum_and_the_excess(busy):
    correct(busy, 20, 5.2)
    # Third maximum 0.501 kWh; (5.2 - 0.501) / 0.501 = 938 %; the floor is 2 kW for an hour.
    text = rules_of(channel(busy), 20)["spike"]
    assert text == "max 5.2 kWh, third max 0.501 kWh: excess 938 % > 180 % and 4.699 kWh >= 2 kWh"


def test_a_value_beyond_the_connection_shows_its_power_and_the_limit(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: 50 if slot == 20 else 0.5))
    series = channel(bench)
    assert rules_of(series, 20)["physical_limit"] == "50 kWh = 50 kW > 33 kW (110 % of 30 kW connection)"
    assert series.slots[20].refused
    assert series.slots[20].estimate.text == "linear between 0.5 kWh at 19:00 and 0.5 kWh at 21:00, point 1 of 1"
    # What is refused is no value to the rules that compare values with each other.
    assert "spike" not in rules_of(series, 20)


def test_a_later_value_that_cannot_be_is_said_not_to_be_chosen_for_it(busy):
    correct(busy, 20, 50)
    series = channel(busy)
    assert roles_of(series, 20) == ["chosen", "impossible"]
    assert series.slots[20].result.value_kwh == Decimal("0.5")


def test_a_stuck_meter_shows_value_and_length(bench):
    bench.register(POINT)
    bench.land(
        "plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: 1.2 if 4 <= slot < 13 else slot / 100)
    )
    assert rules_of(channel(bench), 7)["stuck"] == "1.2 kWh for 9 slots (9 h) from 04:00; 4 slots are a finding"


def test_a_blank_and_a_drifting_stamp_are_explained(busy):
    correct(busy, GAP[0], "")
    late = starts()[GAP[1]].replace(":00:00", ":01:30")
    busy.land("adding", "drift.csv", f"point,start,kwh\n{POINT},{late},0.4\n".encode(), LATER)
    series = channel(busy)
    assert rules_of(series, GAP[0]) == {"blank": "delivered without a value"}
    assert rules_of(series, GAP[1]) == {"clock_drift": "the stamp is 90 s off the slot, tolerated 180 s: snapped"}


def test_a_missing_slot_says_why_no_method_applied(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], usual))
    slot = channel(bench).slots[GAP[0]]
    assert slot.result.status == "missing"
    assert slot.estimate.text == (
        "no estimate: the gap is 5 h > 2 h; 0 eligible like days of at least 2; no load profile in the registry; "
        "missing"
    )


def test_a_like_day_with_a_gap_is_named_as_not_eligible(busy):
    holed = reads([POINT], [LIKE_DAYS[0]], lambda point, day, slot: None if slot == 1 else usual(point, day, slot))
    rest = reads([POINT], LIKE_DAYS[1:], usual)
    busy.land("plain", "history.csv", holed + b"\n".join(rest.splitlines()[1:]) + b"\n", LATER)
    notes = {note.day: (note.eligible, note.text) for note in channel(busy).like_days}
    assert notes[LIKE_DAYS[0]] == (False, "not eligible: 1 of 24 slots are not measured")
    assert notes[LIKE_DAYS[1]] == (True, "eligible")


def test_a_declared_outage_is_zero_with_its_cause(busy):
    rows = f"point_id,starts_at,ends_at,cause\n{POINT},{starts()[8]},{starts()[11]},storm\n"
    busy.land("registry_outages", "storm.csv", rows.encode())
    slot = channel(busy).slots[9]
    assert rules_of(channel(busy), 9) == {"outage": "declared outage from 08:00 to 11:00 (storm)"}
    assert (slot.result.value_kwh, slot.result.method) == (0, "documented_zero")


def test_both_passes_of_the_repeated_hour_have_their_own_name(bench):
    autumn = date(2025, 10, 26)
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [autumn], usual))
    series = channel(bench, autumn)
    assert [slot.local for slot in series.slots[1:5]] == ["01:00", "02:00a", "02:00b", "03:00"]
    assert len(series.slots) == 25
    assert len(channel_of_spring(bench).slots) == 23


def channel_of_spring(bench: Workbench) -> Channel:
    spring = date(2026, 3, 29)
    bench.land("plain", "spring.csv", reads([POINT], [spring], usual))
    return channel(bench, spring)


def test_the_past_is_shown_as_it_was_known_then(busy):
    then = SYSTEM_CLOCK.now()
    correct(busy, 3, 0.9)
    busy.settle()
    past = channel(busy, known_at=then)
    assert past.slots[3].result.value_kwh == Decimal("0.501")
    assert roles_of(past, 3) == ["chosen"]
    assert past.published.text.startswith(f"today's published day differs in {1 + len(GAP)} slots")
    assert channel(busy, known_at=SYSTEM_CLOCK.now()).published.state == "current"


def test_before_anything_was_read_there_is_nothing_to_explain(busy):
    with pytest.raises(ExplainError, match="no point is registered yet"):
        explain(busy.platform, POINT, DAY, known_at=micros(ARRIVED) - 1)


def test_a_closed_day_shows_what_stands_and_what_would_change(busy):
    busy.settle()
    Periods(busy.platform).close(DAY, DAY, "billing", "March is billed", set())
    correct(busy, 3, 0.9)
    busy.settle()
    explanation = explain(busy.platform, POINT, DAY)
    assert_equals_published(busy, explanation)
    slot = explanation.channels[0].slots[3]
    assert (slot.result.value_kwh, slot.correction.value_kwh) == (Decimal("0.501"), Decimal("0.9"))
    assert explanation.channels[0].published.state == "closed"
    assert f"{1 + len(GAP)} slots would change" in explanation.channels[0].published.text


def test_a_day_whose_files_were_all_withdrawn_is_explained_as_missing(bench):
    bench.register(POINT)
    drop = bench.land("plain", "day.csv", reads([POINT], [DAY], lambda *_: 0.5)).drop
    bench.settle()
    bench.platform.ledger.withdraw(drop, "wrong meter")
    bench.settle()
    for options in ({}, {"known_at": SYSTEM_CLOCK.now()}):
        explanation = explain(bench.platform, POINT, DAY, **options)
        assert explanation.channels[0].summary.by_status == {"missing": 24}
        assert_equals_published(bench, explanation)
        assert (
            rules_of(explanation.channels[0], 3)["gap"] == "nothing that counts was delivered: withdrawn with its file"
        )
        assert [(note.state, note.withdrawn_because) for note in explanation.drops] == [("withdrawn", "wrong meter")]


def test_a_day_that_a_newer_file_of_the_same_name_no_longer_holds_is_explained_as_missing(bench):
    bench.register(POINT)
    following = DAY + timedelta(days=1)
    bench.land("plain", "day.csv", reads([POINT], [DAY, following], lambda *_: 0.5))
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda *_: 0.5), LATER)
    bench.settle()
    explanation = explain(bench.platform, POINT, following)
    assert explanation.channels[0].summary.by_status == {"missing": 24}
    assert rules_of(explanation.channels[0], 3)["gap"] == "nothing that counts was delivered: replaced with its file"
    assert_equals_published(bench, explanation)


def test_the_record_is_json_without_nan_and_holds_every_slot(busy):
    correct(busy, 2, 0.75)
    record = json.loads(json.dumps(explain(busy.platform, POINT, DAY).as_record(), allow_nan=False))
    slots = record["channels"][0]["slots"]
    assert len(slots) == 24
    assert slots[2]["result"]["value_kwh"] == "0.750000"
    assert slots[2]["deliveries"][0]["received_at"] == "2026-06-01T06:00:00Z"
    assert record["day"] == "2026-03-10"


def test_explaining_writes_nothing(busy):
    busy.settle()
    before = {item.key: item.modified_at for item in busy.platform.store.list("")}
    explain(busy.platform, POINT, DAY)
    assert {item.key: item.modified_at for item in busy.platform.store.list("")} == before


@pytest.mark.parametrize(
    ("point", "day", "obis_code", "message"),
    [
        ("AA", DAY, None, "no registry knows point 'AA': write it as the registry feed does"),
        (POINT, date(2019, 5, 1), None, "is not registered on 2019-05-01, but from 2020-01-01 with no end"),
        (POINT, DAY + timedelta(days=90), None, "nothing was delivered for 2026-06-08: see `metrify drop list`"),
        (POINT, DAY, "1-0:2.29.0", f"has no channel '1-0:2.29.0' on 2026-03-10: use {IMPORT}"),
    ],
)
def test_what_cannot_be_explained_is_one_line_that_says_what_to_do(busy, point, day, obis_code, message):
    with pytest.raises(ExplainError) as error:
        explain(busy.platform, point, day, obis_code=obis_code)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
