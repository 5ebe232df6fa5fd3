"""Rows of days that the marts do not hold are not published: what draws on them stays as it is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrify_assets.published.catalog import waiting_parts, wanted_parts
from metrify_assets.published.publish import ForceExport, publish, stale_publication
from metrify_assets.warehouse import marts
from tests.small_marts import DAILY, DIMENSION, MODELS, MONTHLY, SCORE, SmallMarts, small_marts
from tests.unit.published.conftest import DAYS

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = DAYS
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


def energies(plant: SmallMarts, model: str, period: str) -> dict[date, Decimal]:
    """Return the energy of each day or month as a consumer sees it."""
    with plant.reader() as connection:
        return dict(connection.execute(f"select {period}, sum(energy_kwh) from {model} group by {period}").fetchall())


def daily(plant: SmallMarts) -> dict[date, Decimal]:
    return energies(plant, "metrics.daily", "day")


def monthly(plant: SmallMarts) -> dict[date, Decimal]:
    return energies(plant, "metrics.monthly", "month")


def build_and_find_bad(plant: SmallMarts, day: date, points: dict[str, str | None]) -> None:
    """Leave rows of a day in the warehouse that failed their tests."""
    plant.build({day: points})
    plant.unrecord(day)


@pytest.mark.parametrize("asked", [ForceExport(), ForceExport(days=(FIRST, SECOND)), ForceExport(everything=True)])
def test_rows_of_a_day_that_failed_its_tests_reach_neither_its_day_nor_its_month(plant, asked):
    plant.publish()
    build_and_find_bad(plant, FIRST, {"A": "900", "B": "900"})
    # Another day of the month is built and found good: the month in the warehouse adds both up.
    plant.build({SECOND: {"A": "0.5", "B": "0.25"}})
    done = plant.publish(asked)
    assert daily(plant) == {FIRST: Decimal("3.75"), SECOND: Decimal("0.75"), THIRD: 3}
    assert monthly(plant) == {MARCH: Decimal("3.750001"), APRIL: 3}
    assert stale_publication(plant.platform) is None
    # The score of the second day looks back at the first one.
    assert done.waiting == 2
    plant.build({FIRST: {"A": "2", "B": "1"}})
    assert stale_publication(plant.platform)
    assert plant.publish().waiting == 0
    assert monthly(plant) == {MARCH: Decimal("3.75"), APRIL: 3}
    assert plant.seen() == plant.expected()
    assert stale_publication(plant.platform) is None


def test_a_run_says_in_one_line_which_part_waits_for_which_days(plant):
    plant.unrecord(FIRST)
    lines: list[str] = []
    publish(plant.platform, plant.warehouse, MODELS, ForceExport(), lines.append)
    assert lines[0] == (
        "2 parts stay as they are, the marts hold some of their days only: metrics.score 2026-03-31 waits for "
        "2026-03-30; metrics.monthly 2026-03-01 waits for 2026-03-30"
    )
    assert not [line for line in lines[1:] if "wait" in line]


def test_of_many_days_that_a_month_waits_for_the_first_are_told(plant):
    for number in range(1, 8):
        plant.deliver(date(2026, 4, 1 + number))
    lines: list[str] = []
    publish(plant.platform, plant.warehouse, MODELS, ForceExport(), lines.append)
    assert lines[0].endswith("metrics.monthly 2026-04-01 waits for 2026-04-02, 2026-04-03, 2026-04-04, 4 more")


@pytest.mark.parametrize("asked", [ForceExport(), ForceExport(everything=True)])
def test_after_a_lost_warehouse_a_month_stays_until_all_its_days_are_built_again(plant, asked):
    plant.publish()
    seen = plant.seen()
    plant.warehouse.path.unlink()
    marts.invalidate_all(plant.platform.store)
    again = SmallMarts(plant.platform, plant.warehouse)
    for day in (FIRST, THIRD):
        again.build({day: plant.readings[day]})
        again.publish(asked)
        assert plant.seen() == seen
    again.build({SECOND: {"A": "1", "B": "1"}})
    again.publish(asked)
    assert monthly(plant) == {MARCH: Decimal("5.75"), APRIL: 3}
    assert plant.seen() == again.expected()


@pytest.mark.parametrize("asked", [ForceExport(), ForceExport(dimensions=True), ForceExport(everything=True)])
def test_rows_of_a_warehouse_that_was_restored_from_a_copy_are_not_published(plant, asked):
    plant.publish()
    seen = plant.seen()
    with plant.warehouse.connect() as connection:
        connection.execute("update metrics.daily set energy_kwh = 0")
        connection.execute("update marts.dim_points set since = null")
    # The last run left a mark, which this copy from before it does not carry.
    plant.note_mark("of the last run")
    assert plant.publish(asked).exported == 0
    assert plant.seen() == seen


def test_a_month_is_not_published_before_its_last_day_is_built(tmp_path):
    plant = small_marts(tmp_path)
    for day in (FIRST, SECOND):
        plant.deliver(day)
    plant.build({FIRST: {"A": "1"}})
    assert plant.publish().waiting == 1
    assert (daily(plant), monthly(plant)) == ({FIRST: 1}, {})
    assert stale_publication(plant.platform) is None
    plant.build({SECOND: {"A": "2"}})
    assert plant.publish().waiting == 0
    assert (daily(plant), monthly(plant)) == ({FIRST: 1, SECOND: 2}, {MARCH: 3})


def test_asked_for_everything_days_that_neither_the_marts_nor_the_lake_hold_are_no_longer_published(plant):
    plant.publish()
    plant.unrecord(THIRD)
    plant.publish(ForceExport(everything=True))
    assert daily(plant).keys() == {FIRST, SECOND, THIRD}
    plant.platform.store.delete(f"lake/clean_readings/day={THIRD}/_manifest.json")
    plant.publish(ForceExport(everything=True))
    assert daily(plant).keys() == {FIRST, SECOND}
    assert monthly(plant).keys() == {MARCH}


@pytest.mark.parametrize("asked", [ForceExport(), ForceExport(dimensions=True), ForceExport(everything=True)])
def test_dimensions_that_were_not_found_good_are_not_published(plant, asked):
    plant.publish()
    seen = plant.seen()
    with plant.warehouse.connect() as connection:
        connection.execute("insert into marts.dim_points values ('bad', null)")
    plant.platform.store.delete("lake/marts/_manifest.json")
    plant.publish(asked)
    assert plant.seen() == seen
    assert stale_publication(plant.platform) is None
    plant.build({FIRST: {"A": "1.5", "C": "2.25"}}, registry="other")
    plant.publish()
    assert plant.seen() == plant.expected() != seen


def test_days_before_the_first_delivery_day_are_not_waited_for(tmp_path):
    plant = small_marts(tmp_path, first_day=FIRST)
    plant.deliver(date(2026, 3, 29))
    plant.build({FIRST: {"A": "1"}})
    assert plant.publish().waiting == 0
    assert monthly(plant) == {MARCH: 1}


def test_a_missing_day_holds_up_what_draws_on_it_and_nothing_else():
    days = {FIRST: "a", THIRD: "c"}

    def wanted(model):
        return set(wanted_parts(model, days, "registry", {SECOND}))

    assert wanted(DIMENSION) == {""}
    assert wanted(DAILY) == {"2026-03-30", "2026-04-01"}
    assert wanted(SCORE) == {"2026-03-30"}
    assert wanted(MONTHLY) == {"2026-04-01"}
    assert waiting_parts(DIMENSION, {SECOND}) == {}
    assert waiting_parts(SCORE, {SECOND}) == {"2026-03-31": [SECOND], "2026-04-01": [SECOND]}
    assert waiting_parts(MONTHLY, {THIRD, FIRST, SECOND}) == {"2026-03-01": [FIRST, SECOND], "2026-04-01": [THIRD]}
