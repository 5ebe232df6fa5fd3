"""A gap that similar days filled, as it is explained."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest

from metrify_assets.explain import words
from metrify_assets.explain.gather import explain
from metrify_assets.explain.plot import draw
from metrify_assets.explain.text import console, show
from tests.clock import noon_of
from tests.unit.explain.conftest import DAY, GAP, POINT
from tests.workbench import Workbench, reads, workbench

AFTERWARDS = datetime(2026, 12, 3, tzinfo=UTC)
PAST = [DAY - timedelta(days=back) for back in range(1, 15)]


def value(point: str, day, slot: int) -> float | None:
    """Return a curve of its own for every day: the older, the higher; the gap is open on the day itself."""
    back = (DAY - day).days
    return None if back == 0 and slot in GAP else round(0.4 + 0.02 * back + 0.01 * (slot % 5), 3)


@pytest.fixture
def filled(tmp_path) -> Workbench:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions: [{version: similar, valid_from: 1990-01-01, estimation: {similar_days: 10, intervals: true}}]"
    )
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(POINT)
    bench.land("plain", "history.csv", reads([POINT], PAST, value))
    bench.land("plain", "day.csv", reads([POINT], [DAY], value))
    bench.settle()
    return bench


def test_each_slot_names_the_days_in_its_mean_and_what_the_edges_added(filled):
    [channel] = explain(filled.platform, POINT, DAY).channels
    rows = filled.clean(DAY).to_pylist()
    for number in GAP:
        slot = channel.slots[number]
        assert (slot.result.method, rows[number]["method"]) == ("similar_day", "similar_day")
        assert slot.estimate.kwh == rows[number]["value_kwh"] == slot.result.value_kwh
        assert len(slot.estimate.sources) == 10
        assert slot.estimate.text.startswith("similar days: weighted mean of 10 days, x ")
        assert "from the edges of the gap" in slot.estimate.text
        assert {source.kwh for source in slot.estimate.sources} <= {
            Decimal(str(value(POINT, day, number))) for day in PAST
        }
    # The nearer in time, the nearer in value: yesterday counts most.
    assert channel.similar_days[0].day == PAST[0]
    shares = [float(note.text.split()[-5]) for note in channel.similar_days]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=1)
    assert channel.like_days == ()


def test_each_estimate_has_its_interval_and_the_day_that_of_its_sum(filled, tmp_path):
    explanation = explain(filled.platform, POINT, DAY)
    [channel] = explanation.channels
    rows = filled.clean(DAY).to_pylist()
    for slot, row in zip(channel.slots, rows, strict=True):
        assert (slot.result.low_kwh, slot.result.high_kwh) == (row["value_low_kwh"], row["value_high_kwh"])
        assert (row["value_low_kwh"] is not None) == (slot.number in GAP)
    deviation = math.sqrt(sum(row["variance_kwh2"] for row in rows if row["variance_kwh2"] is not None))
    energy, off = channel.summary.energy_kwh, 1.2815515655446 * deviation
    assert float(channel.summary.high_kwh) == pytest.approx(float(energy) + off, abs=1e-6)
    assert float(channel.summary.low_kwh) == pytest.approx(float(energy) - off, abs=1e-6)
    page = StringIO()
    show(explanation, console(page))
    first = channel.slots[GAP[0]].result
    assert f"{words.number(first.low_kwh, 3)} to {words.number(first.high_kwh, 3)}" in page.getvalue()
    assert "kWh, in 80 of 100 such days" in " ".join(page.getvalue().split())
    draw(explanation, tmp_path / "day.svg")
    assert "<!-- 10 to 90 % -->" in (tmp_path / "day.svg").read_text(encoding="utf-8")
    assert explanation.as_record()["channels"][0]["slots"][GAP[0]]["result"]["low_kwh"] == str(first.low_kwh)


def test_the_page_lists_the_days_with_their_distance_and_share(filled):
    page = StringIO()
    show(explain(filled.platform, POINT, DAY), console(page))
    text = " ".join(page.getvalue().split())
    assert "Similar days in the mean" in text
    assert f"{PAST[0]} Mon distance " in text


@pytest.mark.parametrize(("over", "open_hours"), [("true", range(19, 24)), ("false", range(19, 24)), ("true", GAP)])
def test_a_gap_that_reaches_midnight_names_its_edge_on_the_day_beside(tmp_path, over, open_hours):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions: [{version: over, valid_from: 1990-01-01, "
        f"estimation: {{similar_days: 10, similar_day_over_midnight: {over}}}}}]"
    )
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(POINT)
    after = DAY + timedelta(days=1)

    # The last hours of the day and the first of the next are open; days differ as a whole, by their number.
    def curve(point, day, slot):
        absent = (day == DAY and slot in open_hours) or (day == after and slot == 0)
        return None if absent else 3 if day == after else round(0.4 + 0.1 * (day.toordinal() % 3), 3)

    bench.land("plain", "all.csv", reads([POINT], [*PAST, DAY, after], curve))
    bench.settle()
    [channel] = explain(bench.platform, POINT, DAY).channels
    rows = bench.clean(DAY).to_pylist()
    for number in open_hours:
        slot = channel.slots[number]
        assert slot.estimate.kwh == rows[number]["value_kwh"]
        named = "; over midnight 3 kWh measured at 2026-03-11 01:00, 0." in slot.estimate.text
        assert named == (over == "true" and open_hours is not GAP)
    # A later correction of the day after makes the day another.
    if over == "true" and open_hours is not GAP:
        bench.land("plain", "more.csv", reads([POINT], [after], lambda p, d, s: 1), AFTERWARDS)
        bench.settle()
        assert [row["value_kwh"] for row in bench.clean(DAY).to_pylist()][23] < rows[23]["value_kwh"]


def test_days_of_before_the_edition_with_similar_days_keep_their_estimates(bench_of_built_in_rules):
    bench, first = bench_of_built_in_rules
    methods = {day: {row["method"] for row in bench.clean(day).to_pylist()} - {None} for day in first}
    assert methods == {date(2026, 11, 30): {"like_day"}, date(2026, 12, 1): {"similar_day"}}


@pytest.fixture
def bench_of_built_in_rules(tmp_path, monkeypatch):
    noon_of(monkeypatch, AFTERWARDS.date())
    bench = workbench(tmp_path)
    bench.register(POINT, arrived=AFTERWARDS)
    days = [date(2026, 11, 30), date(2026, 12, 1)]
    past = [days[0] - timedelta(days=back) for back in range(1, 30)]

    def curve(point, day, slot):
        return None if day in days and slot in GAP else round(0.4 + 0.01 * (slot % 5) + 0.001 * day.day, 3)

    bench.land("plain", "all.csv", reads([POINT], [*past, *days], curve), AFTERWARDS)
    bench.settle()
    return bench, days
