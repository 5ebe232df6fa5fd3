"""The asset: what a run shows, and what it refuses."""

from __future__ import annotations

import base64
from functools import partial
from xml.etree import ElementTree

import dagster as dg
import pytest

from metrify_assets.analytics.weather.results import compute_weather_dependence
from metrify_assets.orchestration.assets import weather_dependence as module
from metrify_assets.orchestration.assets.weather_dependence import EXTREME_SHARE, REFUSED_SHARE
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from tests.unit.analytics.weather.lake import SPRING


def materialize(platform: Platform, **config: str) -> dg.ExecuteInProcessResult:
    asset = module.weather_dependence_asset()
    run_config = {"ops": {"weather_dependence": {"config": config}}}
    return dg.materialize([asset], resources={"platform": platform}, run_config=run_config, raise_on_error=False)


def verdicts(done: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in done.get_asset_check_evaluations()}


def reason(done: dg.ExecuteInProcessResult) -> str:
    failed = next(event for event in done.all_events if event.is_step_failure)
    return failed.step_failure_data.user_failure_data.description


def test_a_run_shows_points_by_model_and_refusal_and_the_temperature_response(platform, monkeypatch):
    monkeypatch.setattr(module, "compute_weather_dependence", partial(compute_weather_dependence, rules=SPRING))
    done = materialize(platform)
    assert done.success
    shown = {
        name: entry.value
        for name, entry in done.asset_materializations_for_node("weather_dependence")[0].metadata.items()
    }
    assert shown["baseline"] == "2025-03-01 to 2025-05-31"
    assert (shown["heating"], shown["base_load"], shown["refused"]) == (1, 1, 3)
    assert (shown["refused: point_moved"], shown["refused: short_history"], shown["refused: no_station"]) == (1, 1, 1)
    picture = shown["temperature_response"]
    image = base64.b64decode(picture.split("base64,")[1].split(")")[0])
    assert len(image) < 8_000
    drawn = ElementTree.fromstring(image)
    circles = drawn.findall("{http://www.w3.org/2000/svg}circle")
    rows = [line for line in picture.splitlines() if line.startswith("| ")][1:]
    assert len(circles) == len(rows) > 5
    assert sum(int(row.split("|")[4]) for row in rows) == 2 * 92
    # Three of five points are refused: the check warns, and the run goes on.
    assert verdicts(done) == {"structure": True, "plausibility": True, REFUSED_SHARE: False, EXTREME_SHARE: True}


def test_a_spring_is_too_short_for_the_rules_of_the_field_and_every_point_is_refused(platform):
    done = materialize(platform, through="2025-05-31")
    assert done.success
    shown = done.asset_materializations_for_node("weather_dependence")[0].metadata
    assert shown["refused"].value == 5
    assert "temperature_response" not in shown


def test_an_installation_without_readings_is_refused_in_one_line(tmp_path):
    done = materialize(Platform(Settings(root=tmp_path)))
    assert not done.success
    assert reason(done).startswith("no month has ended with clean readings")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"through": "May"}, "through='May' is no day: write it as 2026-10-31"),
        ({"default_station": "north"}, "'north' is no station of the registry on 2025-05-31: name another, or none"),
    ],
)
def test_what_a_person_asks_for_in_vain_is_one_clear_line(platform, config, message):
    done = materialize(platform, **config)
    assert not done.success
    assert reason(done) == message
