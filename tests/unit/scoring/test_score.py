"""A small utility with many faults goes through the platform and is scored: known numbers, one run for all tests."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from rich.console import Console

from metrify_assets.cli.score import score
from metrify_assets.errors import MetrifyError
from metrify_assets.scoring.drift import energy_drift
from metrify_assets.scoring.planes import Axes, plane_of
from metrify_assets.scoring.report import Report, scored_plan, show
from metrify_assets.scoring.rules import RULES, score_rules
from metrify_assets.scoring.run import Evidence, run_simulation
from metrify_assets.simulator.delivery import FaultKind
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate

pytestmark = pytest.mark.slow

PLAN = replace(
    SimulationPlan(points=24, days=4, first_day=date(2025, 10, 24)),
    short_gap_rate=0.15,
    long_gap_rate=0.05,
    blank_rate=0.05,
    negative_rate=0.05,
    duplicate_rate=0.05,
    malformed_row_rate=0.05,
    future_stamp_rate=0.05,
    clock_drift_rate=0.05,
    interval_size_rate=0.05,
    outage_rate=0.5,
    unit_mismatch_rate=1.0,
    collapsed_dst_rate=0.5,
    unknown_point_rate=0.3,
    register_share=0.8,
    redelivered_day=0,
    corrected_day=1,
    late_day=3,
    late_register_day=2,
    power_quality_points=8,
    power_quality_fault_rate=0.9,
)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> Evidence:
    return run_simulation(simulate(PLAN), tmp_path_factory.mktemp("score"), lambda _: None)


@pytest.fixture(scope="module")
def scores(evidence):
    return {score.rule: score for score in score_rules(evidence)}


def test_truth_lies_on_the_planes_slot_by_slot(evidence):
    truth = evidence.simulation.truth
    assert evidence.axes.shape == (len(evidence.axes.keys), 96 + 96 + 100 + 96)
    assert int(evidence.truth.sum()) == sum(int(value.as_py() * 10**6) for value in truth["value_kwh"])
    row = truth.slice(1_000, 1).to_pylist()[0]
    slot = (row["interval_start"] - datetime.fromisoformat("2025-10-23T22:00:00+00:00")) // timedelta(minutes=15)
    channel = evidence.axes.row[row["point_id"], row["obis_code"]]
    assert evidence.truth[channel, slot] == int(row["value_kwh"] * 10**6)


def test_what_only_bookkeeping_decides_is_found_without_a_mistake(scores):
    for rule in (
        *("gap", "blank", "duplicate", "negative", "interval_size", "clock_drift", "collapsed_dst", "outage"),
        *("unit_mismatch", "future_stamp", "malformed_row", "unknown_meter", "corrected", "late_file"),
        *("redelivered_file", "late_register", "undervoltage", "phase_loss", "low_power_factor"),
    ):
        assert scores[rule].injected > 0, rule
        assert (scores[rule].precision, scores[rule].recall) == (1.0, 1.0), rule


def test_every_fault_kind_belongs_to_a_rule_that_is_scored():
    names = {rule.rule for rule in RULES} | {"unknown_point"}
    assert {str(kind) for kind in FaultKind} <= names


def test_a_finding_without_a_label_and_a_label_without_a_finding_count(evidence):
    rule = next(rule for rule in RULES if rule.rule == "negative")
    before = rule.score(evidence)
    row, slot = np.argwhere(evidence.labels.plane("negative"))[0]
    flags = evidence.final.observed.flags.copy()
    flags[row, slot] = 0
    row, slot = np.argwhere(~evidence.labels.plane("negative"))[0]
    flags[row, slot] |= 1 << 4
    observed = replace(evidence.final.observed, flags=flags)
    after = rule.score(replace(evidence, final=replace(evidence.final, observed=observed)))
    assert (after.injected, after.found) == (before.injected, before.found)
    assert after.true_positives == before.true_positives - 1
    assert sum(after.false_in.values()) == sum(after.missed_in.values()) == 1


def test_scaled_estimates_add_up_to_the_register_and_a_change_of_one_is_seen(evidence):
    drift = energy_drift(evidence)
    assert drift.scaled > 0
    assert drift.drifting == 0
    observed = evidence.final.observed
    row, slot = np.argwhere(observed.method == "register_scaled")[0]
    value = observed.value.copy()
    value[row, slot] += 1
    changed = replace(evidence, final=replace(evidence.final, observed=replace(observed, value=value)))
    assert energy_drift(changed).drifting == 1
    assert energy_drift(changed).largest_micro_kwh == 1


def test_whole_days_are_those_of_the_channel_and_the_local_day(evidence):
    plane = np.zeros(evidence.axes.shape, dtype=bool)
    plane[1, 200] = True
    whole = evidence.axes.whole_days(plane)
    assert np.flatnonzero(whole.any(axis=1)).tolist() == [1]
    assert np.flatnonzero(whole[1]).tolist() == list(range(192, 292))


def test_rows_of_other_channels_and_instants_are_on_no_plane():
    axes = Axes((("A", "1-0:1.29.0"),), 0, 2, "UTC")
    table = pa.table(
        {
            "point_id": ["A", "B", "A"],
            "obis_code": ["1-0:1.29.0"] * 3,
            "interval_start": pa.array([900_000_000, 0, 60_000_000], pa.timestamp("us", "UTC")),
            "kwh": pa.array([1, 2, 3], pa.decimal64(18, 6)),
        }
    )
    assert plane_of(axes, table, "kwh").tolist() == [[0, 1_000_000]]


def test_a_period_that_lies_in_the_future_is_refused(tmp_path):
    plan = SimulationPlan(points=4, days=1, first_day=date.today())
    with pytest.raises(MetrifyError, match="lies in the past"):
        run_simulation(simulate(plan), tmp_path, lambda _: None)


def test_the_command_prints_a_record_and_exits_one_only_if_goals_are_required():
    arguments = ["--points", "4", "--days", "1", "--first-day", "2025-10-26", "--json"]
    done = CliRunner().invoke(score, arguments)
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert {rule_score["rule"] for rule_score in record["rules"]} == {rule.rule for rule in RULES}
    assert record["plan"]["points"] == 4
    assert record["goals_met"] in (True, False)


def test_the_tables_can_be_shown(scores, evidence):
    drift = energy_drift(evidence)
    text = io.StringIO()
    show(Report(PLAN, list(scores.values()), [], 0, drift, []), Console(file=text, width=200))
    assert "collapsed_dst" in text.getvalue()


def test_the_scored_plan_is_the_simulators_with_rare_faults_more_often():
    plan, usual = scored_plan(40, 10, 1, date(2025, 10, 1)), SimulationPlan()
    assert plan.short_gap_rate == usual.short_gap_rate
    assert plan.negative_rate == 2 * usual.negative_rate
