"""Every rule and every estimator names its source, or says that it is our own."""

from __future__ import annotations

import inspect
from types import FunctionType, ModuleType

import pytest

from metrify_assets.vee import (
    aggregation,
    bridge,
    constraints,
    counters,
    daily_use,
    interpolate,
    like_days,
    placement,
    profiles,
    registers,
    rules,
    similar_days,
    versions,
)

FUNCTIONS = [
    rules.negative,
    rules.physical_limit,
    rules.spike,
    rules.robust_outlier,
    rules.stuck,
    rules.zero_run,
    rules.collapsed_dst,
    rules.outage,
    daily_use.high_low,
    daily_use.prolonged_estimation,
    constraints.judge,
    constraints.constrain,
    counters.rolls_over,
    counters.fitting_states,
    registers.register_intervals,
    placement.place,
    versions.choose_versions,
    aggregation.add_up,
    interpolate.interpolate_short_gaps,
    similar_days.similar_day_estimate,
    like_days.like_day_estimate,
    like_days.day_level,
    profiles.LoadProfiles.estimate,
    profiles.day_kind,
    profiles.dynamisation_factor,
]


def references(documented: FunctionType | ModuleType) -> str:
    _, heading, text = inspect.getdoc(documented).partition("References\n----------\n")
    assert heading, f"{documented.__name__} names no source"
    return text


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_every_rule_and_estimator_names_its_source(function):
    assert references(function).strip()


def test_the_bridge_names_its_source():
    assert "Kalman" in references(bridge)


def test_no_rule_on_the_values_of_a_day_is_left_out():
    masks = {
        function
        for name, function in vars(rules).items()
        if inspect.isfunction(function) and function.__module__ == rules.__name__ and not name.startswith("_")
    }
    helpers = {rules.most_energy, rules.most_in_slot, rules.connection_kw}
    assert masks - helpers <= set(FUNCTIONS)
