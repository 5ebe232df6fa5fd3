"""Forecasts as assets: what a run materialises, checks and shows."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from metrify_assets.orchestration.assets.forecast import forecast_assets, forecast_weeks, score_checks
from metrify_assets.orchestration.automation.schedules import forecast_schedules
from metrify_assets.orchestration.partitions import delivery_days
from metrify_assets.settings import Settings
from tests.unit.analytics.lakes import FIRST, deliver_load, platform_at

WEEK, ISSUE_DAY = "2026-07-20", "2026-07-22"
AFTER_ISSUE = datetime(2026, 7, 22, 6, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    platform = platform_at(tmp_path_factory.mktemp("forecast"), AFTER_ISSUE)
    deliver_load(platform)
    return platform


def run(platform, *names: str, partition: str | None = None, raise_on_error: bool = True):
    settings = Settings(root=platform.settings.root, first_day=FIRST)
    assets = forecast_assets(delivery_days(settings, FIRST), forecast_weeks(FIRST, settings.timezone))
    return dg.materialize(
        assets,
        selection=list(names),
        partition_key=partition,
        resources={"platform": platform},
        raise_on_error=raise_on_error,
    )


def metadata(result, name: str) -> dict:
    [event] = result.asset_materializations_for_node(name)
    return {key: value.value for key, value in event.metadata.items()}


def checks(result) -> dict[str, bool]:
    return {event.check_name: event.passed for event in result.get_asset_check_evaluations()}


@pytest.mark.slow
def test_a_week_is_fitted_a_day_is_issued_and_each_shows_its_numbers(platform):
    fitted = run(platform, "forecast_model", partition=WEEK)
    assert checks(fitted) == dict.fromkeys(
        ("structure", "plausibility", "not_worse_than_the_model_before", "beats_the_week_before"), True
    )
    numbers = metadata(fitted, "forecast_model")
    assert 0.01 < numbers["wape/TransnetBW/1"] < 0.05
    assert numbers["training_days/TransnetBW/1"] > 100

    features = run(platform, "forecast_features", partition=ISSUE_DAY)
    assert checks(features)["corrupted_future"]

    issued = run(platform, "forecast", partition=ISSUE_DAY)
    assert checks(issued)["no_forecast_missing"]
    shown = metadata(issued, "forecast")
    assert shown["method/model"] == 24
    picture = base64.b64decode(re.search(r"base64,([^)]+)\)", shown["fan"]).group(1)).decode()
    assert picture.startswith("<svg")
    assert "TransnetBW, 2026-07-23, issued 2026-07-22 08:00 (1 day ahead)" in picture
    assert picture.count("polyline") == 2
    assert len(picture) < 5_000


@pytest.mark.slow
def test_the_backtest_is_scored_and_checked(platform):
    result = run(platform, "forecast_backtest", "forecast_scores")
    assert checks(result)["too_good_to_be_true"]
    shown = metadata(result, "forecast_scores")
    assert 0.3 < shown["mase/TransnetBW/1"] < 1


def test_what_cannot_be_forecast_fails_in_one_line_and_is_not_tried_again(platform):
    result = run(platform, "forecast", partition="2026-07-23", raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "forecasts of 2026-07-23 are issued at 08:00 local time" in failure.step_failure_data.error.message
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def score_row(**changes) -> dict:
    row = {"control_area": "DE", "lead_days": 1, "month": "all", "wape": 0.02, "mase": 0.5, "coverage": 0.8}
    return {**row, **changes}


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        (score_row(), set()),
        (score_row(wape=0.009), {"too_good_to_be_true"}),
        (score_row(wape=0.009, lead_days=7), set()),
        (score_row(mase=1.0), {"beats_the_week_before"}),
        (score_row(mase=1.2, month="2026-01"), set()),
        (score_row(coverage=0.74), {"coverage"}),
        (score_row(coverage=0.69, month="2026-01"), {"coverage"}),
        (score_row(coverage=0.95, month="2026-01"), set()),
        (score_row(coverage=None, mase=None, wape=None), set()),
    ],
)
def test_scores_that_are_out_of_order_are_warned_of(row, failed):
    results = score_checks([row])
    assert {result.check_name for result in results if not result.passed} == failed
    assert all(result.severity is dg.AssetCheckSeverity.WARN for result in results)


def test_weeks_are_named_by_their_monday_and_the_running_one_is_among_them():
    weeks = forecast_weeks(date(2026, 3, 4), "Europe/Berlin")
    keys = weeks.get_partition_keys(current_time=datetime(2026, 3, 18, 12, tzinfo=UTC))
    assert keys == ["2026-03-09", "2026-03-16"]


def test_schedules_ask_for_today_and_skip_where_no_grid_status_arrives(platform, tmp_path):
    at = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 7, 20, 6, 2, tzinfo=UTC))
    stopped = dg.DefaultScheduleStatus.STOPPED
    for of_platform, partitions in ((platform, [WEEK, WEEK, None]), (platform_at(tmp_path, AFTER_ISSUE), None)):
        asked = [schedule(at) for schedule in forecast_schedules(of_platform.settings, of_platform, stopped)]
        if partitions is None:
            assert all("nothing to forecast from" in skipped.skip_message for skipped in asked)
        else:
            assert [request.partition_key for request in asked] == partitions
