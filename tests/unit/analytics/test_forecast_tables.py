"""Forecasts from a lake: what is issued follows from what had arrived, and stays."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from metrify_assets.analytics.forecast.champion import METHODS, REASON_CODES
from metrify_assets.analytics.forecast.series import instant_of
from metrify_assets.analytics.forecast_tables import (
    _read_models,
    compute_backtest,
    compute_features,
    compute_forecast,
    compute_model,
    compute_scores,
)
from metrify_assets.errors import ForecastError
from metrify_assets.schemas.forecast import (
    FORECAST,
    FORECAST_BACKTEST,
    FORECAST_FEATURES,
    FORECAST_METHODS,
    FORECAST_MODEL,
    FORECAST_REASONS,
    FORECAST_SCORES,
)
from tests.unit.analytics.lakes import deliver_load, platform_at
from tests.unit.analytics.loads import ZONE

WEEK, ISSUE_DAY = date(2026, 7, 20), date(2026, 7, 22)
AFTER_ISSUE = datetime(2026, 7, 22, 6, 5, tzinfo=UTC)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """A lake whose load arrived hour by hour, with the models of the week."""
    folder = tmp_path_factory.mktemp("delivered")
    platform = platform_at(folder, AFTER_ISSUE)
    deliver_load(platform)
    compute_model(platform, WEEK)
    return folder


@pytest.fixture
def platform(delivered, tmp_path):
    """A copy of it."""
    shutil.copytree(delivered, tmp_path / "copy")
    return platform_at(tmp_path / "copy", AFTER_ISSUE)


def rows(platform, table, manifest):
    return platform.lake.read(manifest, table.arrow).to_pandas()


def test_the_tables_know_the_methods_and_reasons_of_the_forecast():
    assert FORECAST_METHODS == METHODS
    assert FORECAST_REASONS == REASON_CODES


def test_a_forecast_is_issued_from_the_model_of_its_week_and_never_overwritten(platform):
    model = platform.lake.manifest(FORECAST_MODEL.name, WEEK)
    manifest, is_new = compute_forecast(platform, ISSUE_DAY)
    issued = rows(platform, FORECAST, manifest)
    assert is_new
    assert len(issued) == 48
    chosen = issued.groupby("lead_days")[["method", "reason"]].agg(set)
    assert chosen.loc[1].tolist() == [{"model"}, {""}]
    # With so short a history the model of a week ahead does worse than similar days: it gives way.
    assert chosen.loc[7].tolist() == [{"similar_day"}, {"behind_similar_day"}]
    assert issued[["p10", "p50", "p90"]].notna().all(axis=None)
    assert (issued["p10"] <= issued["p50"]).all()
    assert (issued["p50"] <= issued["p90"]).all()
    assert set(issued["issued_at"]) == {datetime(2026, 7, 22, 6, tzinfo=UTC)}
    starts = issued.groupby("lead_days")["interval_start"].min()
    assert starts.to_dict() == {
        1: datetime(2026, 7, 22, 22, tzinfo=UTC),
        7: datetime(2026, 7, 28, 22, tzinfo=UTC),
    }
    assert manifest.shards[0].inputs[f"forecast_model@{WEEK}"] == model.digest
    # A correction of the past changes what is known now, not what was issued.
    deliver_load(platform, scramble_after=instant_of(date(2026, 7, 10), 0, ZONE))
    again, is_new = compute_forecast(platform, ISSUE_DAY)
    assert not is_new
    assert again.digest == manifest.digest


def test_what_comes_after_the_issue_changes_no_file(tmp_path):
    digests = []
    for name, scramble_after in (("whole", None), ("cut", instant_of(WEEK, 480, ZONE))):
        platform = platform_at(tmp_path / name, AFTER_ISSUE)
        deliver_load(platform, scramble_after=scramble_after)
        features, _ = compute_features(platform, WEEK)
        digests.append(
            (features.digest, compute_model(platform, WEEK).digest, compute_forecast(platform, WEEK)[0].digest)
        )
    assert digests[0] == digests[1]


def test_a_value_that_arrived_after_the_issue_is_not_looked_at(tmp_path):
    platform = platform_at(tmp_path, AFTER_ISSUE)
    deliver_load(platform, received_after=timedelta(hours=12))
    manifest, _ = compute_features(platform, ISSUE_DAY)
    features = rows(platform, FORECAST_FEATURES, manifest)
    morning = features[features["feature"] == "morning_from_similar"]
    assert morning["value"].isna().all()
    issued = rows(platform, FORECAST, compute_forecast(platform, ISSUE_DAY)[0])
    assert set(issued["method"]) == {"similar_day"}
    assert set(issued["reason"]) == {"no_model"}


def test_history_that_arrived_in_one_piece_has_a_backtest_and_no_issued_forecast(tmp_path):
    platform = platform_at(tmp_path, datetime(2027, 2, 1, tzinfo=UTC))
    deliver_load(platform, received_after=None)
    with pytest.raises(ForecastError, match="nothing had arrived by 08:00 of 2026-07-22"):
        compute_forecast(platform, ISSUE_DAY)
    with pytest.raises(ForecastError, match="0 days of load had arrived by its Monday 08:00, 40 days"):
        compute_model(platform, WEEK)
    assert platform.lake.manifest(FORECAST.name, ISSUE_DAY) is None
    backtest = rows(platform, FORECAST_BACKTEST, compute_backtest(platform, days=125))
    # The clocks go forward on 2026-03-29.
    assert len(backtest) == 2 * (125 * 24 - 1)
    assert (backtest["target_day"] == date(2026, 3, 29)).sum() == 2 * 23
    assert (backtest["issued_at"] < backtest["interval_start"]).all()
    scores = rows(platform, FORECAST_SCORES, compute_scores(platform)).set_index(["lead_days", "month"])
    whole = backtest[(backtest["lead_days"] == 1)]
    by_hand = (whole["actual"] - whole["p50"]).abs().sum() / whole["actual"].sum()
    assert scores.loc[(1, "all"), "wape"] == pytest.approx(by_hand)
    assert scores.loc[(1, "all"), "mase"] < 1
    assert scores.loc[(1, "all"), "operator_wape"] == pytest.approx(100 / whole["actual"].mean())
    assert np.isnan(scores.loc[(7, "all"), "operator_wape"])
    assert set(scores.loc[1].index) == {"all", *(f"2026-{month:02d}" for month in (3, 4, 5, 6, 7))}


def test_what_is_issued_is_what_the_backtest_of_that_day_says(platform):
    issued = rows(platform, FORECAST, compute_forecast(platform, ISSUE_DAY)[0])
    backtest = rows(platform, FORECAST_BACKTEST, compute_backtest(platform, days=60))
    for lead in (1, 7):
        ours = issued[issued["lead_days"] == lead].sort_values("interval_start")
        same = backtest[(backtest["lead_days"] == lead) & backtest["interval_start"].isin(ours["interval_start"])]
        theirs = same.sort_values("interval_start")
        np.testing.assert_allclose(ours["p50"], theirs["p50"], rtol=1e-9)


def test_it_is_too_early_before_eight(tmp_path):
    platform = platform_at(tmp_path, datetime(2026, 7, 22, 5, 59, tzinfo=UTC))
    with pytest.raises(ForecastError, match="issued at 08:00"):
        compute_forecast(platform, ISSUE_DAY)


def test_without_any_load_it_says_what_to_deliver(tmp_path):
    platform = platform_at(tmp_path, AFTER_ISSUE)
    for compute in (compute_backtest, lambda platform: compute_model(platform, WEEK)):
        with pytest.raises(ForecastError, match="deliver grid status"):
            compute(platform)
    with pytest.raises(ForecastError, match="materialise forecast_backtest first"):
        compute_scores(platform)


def test_a_model_is_kept_as_rows_that_give_it_back(platform):
    manifest = platform.lake.manifest(FORECAST_MODEL.name, WEEK)
    model = rows(platform, FORECAST_MODEL, manifest)
    assert set(model["last_day"]) == {date(2026, 7, 19)}
    read_back = _read_models(platform, manifest)
    kept = model.groupby("lead_days")["model_digest"].agg(set)
    assert {lead: {read.digest} for (_, lead), read in read_back.items()} == kept.to_dict()
    trials = manifest.shards[0].numbers["models"]["TransnetBW/1"]
    assert trials["mase"] < 1
    assert trials["wape_of_model_before"] == pytest.approx(trials["raw_wape"], rel=0.1)
