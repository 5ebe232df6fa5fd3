from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from metrify_assets.errors import SettingsError, WarehouseError
from metrify_assets.settings import Settings, WarehouseEngine
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from metrify_assets.warehouse.warehouses import warehouse_of

GIVEN = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "metrify",
    "SNOWFLAKE_DATABASE": "metrify",
    "SNOWFLAKE_WAREHOUSE": "metrify_daily",
    "SNOWFLAKE_PASSWORD": "secret",
}


def test_all_missing_variables_are_named_in_one_line():
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(
            {"METRIFY_WAREHOUSE_ENGINE": "snowflake", "SNOWFLAKE_USER": "metrify", "SNOWFLAKE_ACCOUNT": " "}
        )
    assert str(caught.value) == (
        "METRIFY_WAREHOUSE_ENGINE=snowflake needs SNOWFLAKE_ACCOUNT, SNOWFLAKE_DATABASE, SNOWFLAKE_WAREHOUSE, "
        "SNOWFLAKE_PRIVATE_KEY_PATH (or SNOWFLAKE_PASSWORD): set them, or use METRIFY_WAREHOUSE_ENGINE=duckdb"
    )
    with pytest.raises(SettingsError, match="Snowflake needs SNOWFLAKE_ACCOUNT"):
        SnowflakeAccess.from_env({})


def test_the_engine_is_chosen_by_itself():
    assert Settings.from_env({}).warehouse_engine is WarehouseEngine.DUCKDB
    chosen = Settings.from_env({"METRIFY_WAREHOUSE_ENGINE": "snowflake", **GIVEN})
    assert chosen.warehouse_engine is WarehouseEngine.SNOWFLAKE
    production = {"METRIFY_PROFILE": "production", "METRIFY_S3_BUCKET": "b", **GIVEN}
    assert Settings.from_env(production).warehouse_engine is WarehouseEngine.SNOWFLAKE


def test_a_key_wins_over_a_password(tmp_path):
    key = tmp_path / "key.p8"
    key.write_text("-")
    access = SnowflakeAccess.from_env(
        {**GIVEN, "SNOWFLAKE_PRIVATE_KEY_PATH": str(key), "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "words"}
    )
    assert (access.private_key_path, access.private_key_passphrase, access.password) == (str(key), "words", None)
    assert SnowflakeAccess.from_env(GIVEN).password == "secret"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("SNOWFLAKE_PRIVATE_KEY_PATH", "/nowhere/key.p8", "there is no such file"),
        ("SNOWFLAKE_PORT", "https", "must be a whole number"),
        ("SNOWFLAKE_STATEMENT_TIMEOUT_SECONDS", "-1", "must be a whole number"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_variable(variable, value, problem):
    with pytest.raises(SettingsError) as caught:
        SnowflakeAccess.from_env({**GIVEN, variable: value})
    assert str(caught.value) == f"{variable}={value!r}: {problem}"


def test_secrets_are_not_shown(tmp_path):
    key = tmp_path / "key.p8"
    key.write_text("-")
    with_key = {"SNOWFLAKE_PRIVATE_KEY_PATH": str(key), "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "words"}
    for given, secret in ((GIVEN, "secret"), ({**GIVEN, **with_key}, "words")):
        access = SnowflakeAccess.from_env(given)
        assert secret in (access.password, access.private_key_passphrase)
        assert secret not in repr(access)


def test_a_backfill_uses_the_larger_compute():
    access = SnowflakeAccess.from_env({**GIVEN, "SNOWFLAKE_BACKFILL_WAREHOUSE": "metrify_backfill"})
    assert [access.warehouse_for(days) for days in (0, 1, 7, 8)] == [*["metrify_daily"] * 3, "metrify_backfill"]
    assert SnowflakeAccess.from_env(GIVEN).warehouse_for(60) == "metrify_daily"


def test_a_key_that_cannot_be_read_is_told_in_one_line(tmp_path):
    from metrify_assets.warehouse.snowflake.session import check_key

    key = tmp_path / "key.p8"
    key.write_text("no key at all")
    with pytest.raises(WarehouseError, match="cannot be used as private key") as caught:
        check_key(SnowflakeAccess.from_env({**GIVEN, "SNOWFLAKE_PRIVATE_KEY_PATH": str(key)}))
    assert "\n" not in str(caught.value)
    assert "check SNOWFLAKE_PRIVATE_KEY_PATH and SNOWFLAKE_PRIVATE_KEY_PASSPHRASE" in str(caught.value)


def test_a_key_is_opened_by_its_passphrase_alone(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from metrify_assets.warehouse.snowflake.session import check_key

    key = tmp_path / "key.p8"
    key.write_bytes(
        rsa.generate_private_key(public_exponent=65_537, key_size=2_048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"words"),
        )
    )
    given = {**GIVEN, "SNOWFLAKE_PRIVATE_KEY_PATH": str(key)}
    check_key(SnowflakeAccess.from_env({**given, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "words"}))
    for passphrase in ({}, {"SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "other"}):
        with pytest.raises(WarehouseError, match="SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"):
            check_key(SnowflakeAccess.from_env({**given, **passphrase}))


def test_the_statements_of_a_run_carry_its_name_and_its_days():
    from metrify_assets.warehouse.snowflake.session import session_parameters
    from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse, query_tag

    days = [date(2026, 3, 1), date(2026, 3, 9)]
    tag = query_tag("0a1b", days)
    assert tag == '{"app":"metrify","run":"0a1b","first_day":"2026-03-01","last_day":"2026-03-09","days":2}'
    access = SnowflakeAccess.from_env({**GIVEN, "SNOWFLAKE_BACKFILL_WAREHOUSE": "big"})
    assert session_parameters(access, tag) == {
        "QUERY_TAG": tag,
        "TIMEZONE": "UTC",
        "STATEMENT_TIMEOUT_IN_SECONDS": 3_600,
        "LOCK_TIMEOUT": 300,
    }
    many = [date(2026, 3, day) for day in range(1, 11)]
    named = SnowflakeWarehouse(access, {}).label("0a1b", many)
    assert named == {"METRIFY_QUERY_TAG": query_tag("0a1b", many), "METRIFY_SNOWFLAKE_COMPUTE": "big"}


def test_the_local_default_does_not_import_snowflake():
    code = (
        "import sys; from metrify_assets.warehouse.warehouses import warehouse_of; "
        "from metrify_assets.settings import Settings; warehouse_of(Settings()); "
        "print([name for name in sys.modules if name.startswith(('snowflake.', 'dagster'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_local_default_is_a_duckdb_file(tmp_path):
    assert isinstance(warehouse_of(Settings(root=tmp_path)), DuckDBWarehouse)
