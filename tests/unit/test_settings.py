from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from metrify_assets.errors import SettingsError
from metrify_assets.settings import KEY, PASSWORD, PRODUCTION_VARIABLES, REQUIRED, Profile, Settings, StoreKind


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


def test_a_list_is_written_with_commas():
    settings = Settings.from_env({"METRIFY_DWD_STATIONS": "161, 1766,"})
    assert settings.dwd_stations == ("161", "1766")
    assert settings.dwd_products == ("tu",)
    assert Settings.from_env({}).dwd_stations == ()


def test_a_blank_variable_is_as_good_as_none():
    assert Settings.from_env({"METRIFY_SHARDS": "  "}).shards == Settings().shards


def test_an_argument_wins_over_the_environment():
    assert Settings.from_env({"METRIFY_SHARDS": "8"}, shards=2).shards == 2


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("METRIFY_SHARDS", "0", "greater than or equal to 1"),
        ("METRIFY_SHARDS", "many", "integer"),
        ("METRIFY_TIMEZONE", "Berlin", "Europe/Berlin"),
        ("METRIFY_TIMEZONE", "../etc/passwd", "Europe/Berlin"),
        ("METRIFY_FIRST_DAY", "1970-01-01", "1990-01-01 or later"),
        ("METRIFY_FIRST_DAY", "yesterday", "date"),
        ("METRIFY_PROFILE", "prod", "'local' or 'production'"),
        ("METRIFY_AUTOMATION", "maybe", "boolean"),
        ("METRIFY_STORE", "gcs", "'local' or 's3'"),
        ("METRIFY_S3_PREFIX", "a//b", "must be a folder"),
        ("METRIFY_S3_PREFIX", "../b", "must be a folder"),
        ("METRIFY_S3_ENDPOINT", "s3.example.org", "must be a URL"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_variable(variable, value, problem):
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: value})
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{variable}={value!r}")
    assert problem in message


def test_the_production_profile_names_all_its_missing_variables_in_one_line():
    given = {"METRIFY_PROFILE": "production", "SNOWFLAKE_USER": "metrify", "SNOWFLAKE_ACCOUNT": " "}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(given)
    message = str(caught.value)
    assert "\n" not in message
    for name in (*PRODUCTION_VARIABLES, *REQUIRED, KEY):
        assert (name in message) == (name != "SNOWFLAKE_USER")


def test_the_store_is_local_unless_it_is_said_or_the_profile_is_production():
    production = {"METRIFY_PROFILE": "production"} | dict.fromkeys((*PRODUCTION_VARIABLES, *REQUIRED, PASSWORD), "x")
    assert Settings.from_env({}).store is StoreKind.LOCAL
    assert Settings.from_env({"METRIFY_STORE": "s3", "METRIFY_S3_BUCKET": "meters"}).store is StoreKind.S3
    assert Settings.from_env(production).store is StoreKind.S3
    assert Settings.from_env(production | {"METRIFY_STORE": "local"}).store is StoreKind.LOCAL


def test_a_store_on_s3_without_a_bucket_is_told():
    with pytest.raises(SettingsError, match="METRIFY_STORE=s3 needs METRIFY_S3_BUCKET"):
        Settings.from_env({"METRIFY_STORE": "s3"})


def test_the_prefix_is_a_folder_without_slashes_at_its_ends():
    assert Settings(s3_prefix="/metrify/prod/").s3_prefix == "metrify/prod"
    assert Settings(s3_prefix="/").s3_prefix == ""


def test_all_paths_lie_below_the_root(tmp_path):
    settings = Settings(root=tmp_path)
    paths = (settings.inbox, settings.landing, settings.ledger, settings.lake, settings.warehouse, settings.dbt_target)
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_tomorrow_is_the_last_day_that_is_accepted():
    assert Settings().last_day(date(2026, 2, 28)) == date(2026, 3, 1)
