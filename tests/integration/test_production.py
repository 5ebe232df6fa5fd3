"""Production's two choices together: files on S3 and marts in Snowflake, from a file that a sender puts to the marts.

Both are servers on loopback (moto, fakesnow); what that proves, and what it does not, is in docs/snowflake.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from metrify_assets.settings import Profile, WarehouseEngine
from metrify_assets.warehouse.snowflake import statements
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import open_session
from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from metrify_assets.warehouse.warehouse import RowCounts
from tests.harness import Installation, installation
from tests.integration.snowflake_server import environment
from tests.s3_server import Sender, s3_settings
from tests.workbench import IMPORT, points_file, reads, write_feeds

pytestmark = [pytest.mark.servers, pytest.mark.dbt]

pytest_plugins = ["tests.s3_fixtures"]
DAYS = [date(2026, 3, 28), date(2026, 3, 29)]
PASSPHRASE = "only for this test"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, encrypted."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    path = tmp_path / "key.p8"
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    made = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    path.write_bytes(made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return path


@pytest.fixture
def access(snowflake_port: int, key: Path, monkeypatch: pytest.MonkeyPatch) -> SnowflakeAccess:
    """Snowflake, to which the platform and dbt log in with the key."""
    variables = environment(snowflake_port, "production")
    del variables["SNOWFLAKE_PASSWORD"]
    variables |= {"SNOWFLAKE_PRIVATE_KEY_PATH": str(key), "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": PASSPHRASE}
    monkeypatch.delenv("SNOWFLAKE_PASSWORD", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return SnowflakeAccess.from_env(variables)


@pytest.fixture
def plant(access: SnowflakeAccess, sender: Sender, tmp_path: Path) -> Iterator[Installation]:
    chosen = {"feeds_dir": write_feeds(tmp_path / "feeds"), "shards": 2, "profile": Profile.PRODUCTION}
    with installation(tmp_path, warehouse_engine=WarehouseEngine.SNOWFLAKE, **chosen, **s3_settings(sender)) as plant:
        yield plant


def query(access: SnowflakeAccess, sql: str) -> list[tuple]:
    with open_session(access, role="r", warehouse="w", tag="test") as session:
        return session.run(sql)


def test_a_file_on_s3_becomes_marts_in_snowflake_though_the_lease_is_lost_once(plant, access, sender, monkeypatch):
    sender.put("registry_points", "points.csv", points_file([{"point_id": "A"}, {"point_id": "B"}]))
    values = {"A": 0.25, "B": 1.000001}
    # B's third hour of Saturday is not delivered.

    def delivered(point: str, day: date, slot: int) -> float | None:
        return None if (point, day, slot) == ("B", DAYS[0], 2) else values[point]

    sender.put("plain", "a.csv", reads("AB", DAYS, delivered))
    counted = SnowflakeWarehouse.count_rows
    thefts: list[str] = []

    def robbed(self: SnowflakeWarehouse, *arguments: object, **named: object) -> dict[str, RowCounts]:
        """Before the first run can record what it built, another one takes the lease, which has run out."""
        if not thefts:
            thefts.append("once")
            taken = "holder = 'other', expires_at = dateadd(second, 1, sysdate())"
            query(access, f"update {statements.LEASE} set {taken}")
        return counted(self, *arguments, **named)

    monkeypatch.setattr(SnowflakeWarehouse, "count_rows", robbed)
    assert plant.settle() == ["ingest", "delivery_days"]
    assert thefts
    daily = query(
        access,
        "select point_id, obis_code, day, energy_kwh, expected_slots, measured_slots, status "
        "from metrics.daily_consumption_metrics order by 1, 3",
    )
    # Hours of 0.25 and 1.000001 kWh, 24 of them and 23; the missing one lies between equals.
    assert daily == [
        ("A", IMPORT, DAYS[0], Decimal("6.000000"), 24, 24, "measured"),
        ("A", IMPORT, DAYS[1], Decimal("5.750000"), 23, 23, "measured"),
        ("B", IMPORT, DAYS[0], Decimal("24.000024"), 24, 23, "estimated"),
        ("B", IMPORT, DAYS[1], Decimal("23.000023"), 23, 23, "measured"),
    ]
    # The second try built both days again: what was not known to stay was not recorded.
    assert query(access, "select day from raw.requested_days order by 1") == [(day,) for day in DAYS]
    loaded = "select day, row_count from raw.loads where table_name = 'clean_readings' order by 1"
    assert query(access, loaded) == [(DAYS[0], 48), (DAYS[1], 46)]
    assert query(access, f"list @{statements.STAGE}") == []
    assert query(access, f"select holder from {statements.LEASE}") == [(None,)]
    assert plant.settle() == []
    # Nothing of the lake lies in a local folder but copies.
    assert not (plant.settings.root / "lake").exists()
    assert any(key.startswith("lake/clean_readings/") for key in sender.all_keys())
