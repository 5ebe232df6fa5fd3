"""The outcome of every delivery against what validation made of the same random deliveries."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import Deliveries
from metrify_assets.vee.roles import Because, DeliveryRole, Role, SeriesRoles, roles_of_series
from metrify_assets.vee.validate import validate_shard
from tests.examples import examples
from tests.unit.vee.builders import deliveries
from tests.unit.vee.random_rows import FEEDS, random_day_rules, random_rows, random_series
from tests.unit.vee.test_against_oracle import SERIES, registered


@settings(max_examples=examples(0.2), suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(st.integers(0, 2**32 - 1), st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_every_delivery_has_one_role_and_the_roles_are_those_that_validation_counts(seed, day):
    random, day = np.random.default_rng(seed), DeliveryDay(day)
    series = [random_series(random, number, day) for number in range(SERIES)]
    rules = random_day_rules(random)
    rows, table = deliveries(random_rows(random, day, series)), registered(series)
    grids, tally = validate_shard(day, table, rows, None, rules, feeds=FEEDS)
    counted: Counter[Role] = Counter()
    numbers: list[int] = []
    for grid in grids:
        for grid_row, number in enumerate(grid.series.tolist()):
            roles = roles_of_series(day, table, number, rows, rules, FEEDS)
            counted.update(outcome.role for outcome in roles.roles)
            numbers += [outcome.number for outcome in roles.roles]
            other = (grid.flags[grid_row] & np.int32(Flag.INTERVAL_SIZE)) != 0
            assert sorted(roles.other_minutes) == np.flatnonzero(other).tolist()
            assert_reasons_hold(roles, rows)
            energy: Counter[int] = Counter()
            for outcome in roles.roles:
                if outcome.role in (Role.CHOSEN, Role.PART):
                    energy[outcome.slot] += int(rows.value[outcome.number])
            made = ((grid.flags[grid_row] & np.int32(Flag.FROM_REGISTER)) == 0) & grid.has_value[grid_row]
            for slot in np.flatnonzero(made).tolist():
                assert energy[slot] == grid.delivered[grid_row, slot]
    assert sorted(numbers) == np.flatnonzero(~rows.is_register & (rows.series >= 0)).tolist()
    assert counted[Role.IDENTICAL] == tally.identical
    assert counted[Role.SUPERSEDED] + counted[Role.IMPOSSIBLE] == tally.superseded
    assert counted[Role.CHOSEN] + counted[Role.PART] == tally.measured + tally.refused
    assert counted[Role.OFF_GRID] + counted[Role.UNUSED] == tally.off_grid
    assert counted[Role.WRONG_UNIT] == tally.unassigned - np.count_nonzero(~rows.is_register & (rows.series < 0))


def assert_reasons_hold(roles: SeriesRoles, rows: Deliveries) -> None:
    """Assert of each delivery that another is preferred to what its role says of the two, value by value."""

    def value(number: int) -> int | None:
        return None if rows.is_null[number] else int(rows.value[number])

    def arrival(number: int) -> tuple[int, int]:
        return int(rows.received_at[number]), int(rows.order[number])

    def status(number: int) -> int:
        return 0 if value(number) is None else int(rows.source_status[number])

    def possible(number: int) -> bool:
        return value(number) is not None and roles.lowest <= int(rows.value[number]) <= roles.highest

    def expected(outcome: DeliveryRole, rival: int) -> tuple[Role, Because | None]:
        mine = outcome.number
        if value(mine) == value(rival):
            return Role.IDENTICAL, None
        if possible(rival) and (status(mine), *arrival(mine)) > (status(rival), *arrival(rival)):
            assert not possible(mine)
            return Role.IMPOSSIBLE, Because.REFUSED
        later = arrival(mine) > arrival(rival)
        # Of two values that cannot be the later one stays, whatever the statuses.
        assert not (later and status(mine) and not possible(mine) and not possible(rival))
        return Role.SUPERSEDED, Because.OUTRANKED if later else None

    by_number = {outcome.number: outcome for outcome in roles.roles}
    for outcome in roles.roles:
        if outcome.rival is not None:
            assert by_number[outcome.rival].role in (Role.CHOSEN, Role.PART, Role.UNUSED)
            assert by_number[outcome.rival].slot == outcome.slot
            assert (outcome.role, outcome.because) == expected(outcome, outcome.rival)
        else:
            assert outcome.role not in (Role.IDENTICAL, Role.SUPERSEDED, Role.IMPOSSIBLE)
