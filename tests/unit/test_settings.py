from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from metrify_assets.errors import SettingsError
from metrify_assets.platform import Platform
from metrify_assets.resources.snowflake.access import KEY, PASSWORD, REQUIRED
from metrify_assets.settings import PRODUCTION_VARIABLES, Profile, Settings


def test_an_empty_environment_gives_the_local_profile():
    settings = Settings.from_env({})
    assert settings.profile is Profile.LOCAL
    assert settings.timezone == "Europe/Berlin"
    assert settings.root == Path.cwd() / ".metrify"


def test_every_field_can_be_set_by_its_variable(tmp_path):
    settings = Settings.from_env(
        {
            "METRIFY_ROOT": str(tmp_path),
            "METRIFY_SHARDS": "8",
            "METRIFY_FIRST_DAY": "2026-03-01",
            "METRIFY_AUTOMATION": "false",
            "METRIFY_TIMEZONE": "Europe/London",
        }
    )
    assert (settings.root, settings.shards, settings.first_day) == (tmp_path, 8, date(2026, 3, 1))
    assert settings.automation is False
    assert settings.timezone == "Europe/London"


def test_a_blank_variable_is_as_good_as_none():
    assert Settings.from_env({"METRIFY_SHARDS": "  "}).shards == Settings().shards


def test_an_argument_wins_over_the_environment():
    assert Settings.from_env({"METRIFY_SHARDS": "8"}, shards=2).shards == 2


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("METRIFY_SHARDS", "0", "greater than or equal to 1"),
        ("METRIFY_SHARDS", "many", "integer"),
        ("METRIFY_TIMEZONE", "Berlin", "Europe/Berlin"),
        ("METRIFY_TIMEZONE", "../etc/passwd", "Europe/Berlin"),
        ("METRIFY_FIRST_DAY", "1970-01-01", "1990-01-01 or later"),
        ("METRIFY_FIRST_DAY", "yesterday", "date"),
        ("METRIFY_PROFILE", "prod", "'local' or 'production'"),
        ("METRIFY_AUTOMATION", "maybe", "boolean"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_variable(variable, value, told):
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: value})
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{variable}={value!r}")
    assert told in message


def test_the_production_profile_names_all_its_missing_variables_in_one_line():
    given = {"METRIFY_PROFILE": "production", "SNOWFLAKE_USER": "metrify", "SNOWFLAKE_ACCOUNT": " "}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(given)
    message = str(caught.value)
    assert "\n" not in message
    for name in (*PRODUCTION_VARIABLES, *REQUIRED, KEY):
        assert (name in message) == (name != "SNOWFLAKE_USER")


def test_a_complete_production_profile_is_refused_by_a_version_that_cannot_run_it():
    given = {"METRIFY_PROFILE": "production"} | dict.fromkeys((*PRODUCTION_VARIABLES, *REQUIRED, PASSWORD), "x")
    settings = Settings.from_env(given)
    with pytest.raises(SettingsError, match="local profile only"):
        Platform(settings)


def test_all_paths_lie_below_the_root(tmp_path):
    settings = Settings(root=tmp_path)
    paths = (settings.inbox, settings.landing, settings.ledger, settings.lake, settings.warehouse, settings.dbt_target)
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_tomorrow_is_the_last_day_that_is_accepted():
    assert Settings().last_day(date(2026, 2, 28)) == date(2026, 3, 1)
