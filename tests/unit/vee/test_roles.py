"""The outcome of every delivery against what validation made of the same random deliveries."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.roles import Role, roles_of_series
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
