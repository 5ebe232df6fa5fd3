"""The simulated power quality: its channels, its faults, and that it leaves everything else as it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from metrify_assets.schemas.power_quality import RANGES
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.power_quality import (
    UNITS,
    PowerQualityFault,
    power_quality_labels,
    power_quality_points,
    power_quality_values,
)
from metrify_assets.simulator.registry_tables import registry_table
from metrify_assets.simulator.utility import simulate
from metrify_assets.vee.channels import ChannelKind, channel_of, kind_of
from metrify_assets.vee.delivery_day import DeliveryDay

WITHOUT = SimulationPlan(points=8, days=5, first_day=date(2026, 3, 27))
PLAN = replace(WITHOUT, power_quality_points=5, power_quality_fault_rate=0.8)


def test_every_label_is_a_value_beyond_a_range_and_all_other_values_are_normal():
    labelled = {
        (label.point_id, label.obis_code, label.interval_start): label.kind for label in power_quality_labels(PLAN)
    }
    assert set(labelled.values()) == set(PowerQualityFault)
    for day in PLAN.delivery_days:
        starts = day.slot_starts(15).tolist()
        for number, point in power_quality_points(PLAN):
            for code, values in power_quality_values(PLAN, number, day).items():
                limits = RANGES[channel_of(code).quantity]
                for start, value in zip(starts, values.tolist(), strict=True):
                    kind = labelled.get((point, code, start))
                    assert (limits.normal[0] <= value <= limits.normal[1]) == (kind is None)
                    is_valid = limits.valid[0] <= value <= limits.valid[1]
                    assert is_valid == (kind in (None, PowerQualityFault.LOW_POWER_FACTOR))


def test_the_day_with_23_hours_has_92_values_of_every_channel():
    values = power_quality_values(PLAN, 0, DeliveryDay(date(2026, 3, 29)))
    assert {code: len(series) for code, series in values.items()} == dict.fromkeys(UNITS, 92)


def test_the_registry_names_every_channel_that_is_delivered():
    rows = registry_table(PLAN, "points").to_pylist()
    own = {
        (row["point_id"], row["obis_code"]) for row in rows if kind_of(row["obis_code"]) is ChannelKind.INSTANTANEOUS
    }
    assert own == {(point, code) for _, point in power_quality_points(PLAN) for code in UNITS}
    assert [row for row in rows if kind_of(row["obis_code"]) is ChannelKind.ENERGY] == registry_table(
        WITHOUT, "points"
    ).to_pylist()


def test_all_other_files_are_what_they_are_without_it():
    def files(plan: SimulationPlan) -> dict[tuple[str, str], bytes]:
        return {(file.feed, file.name): file.content for file in simulate(plan).first}

    others = {
        key: content for key, content in files(PLAN).items() if key[0] not in ("power_quality", "registry_points")
    }
    without = {key: content for key, content in files(WITHOUT).items() if key[0] != "registry_points"}
    assert others == without


def test_more_points_leave_the_others_as_they_are():
    day = DeliveryDay(PLAN.first_day)
    more = replace(PLAN, points=40, power_quality_points=9)
    for number in range(5):
        ours, theirs = power_quality_values(PLAN, number, day), power_quality_values(more, number, day)
        assert all(np.array_equal(ours[code], theirs[code]) for code in UNITS)
