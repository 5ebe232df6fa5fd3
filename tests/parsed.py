"""The parsed dbt project, shared by all installations, processes and runs of the tests: parsing takes seconds.

Belongs here: one parse per digest of the project, and how an installation comes to it. Does not belong here: tests of
parsing itself (``unit/warehouse/test_dbt.py``), and projects that a test changes: they are parsed where they are.
"""

from __future__ import annotations

import pprint
import shutil
from hashlib import sha256
from pathlib import Path

import msgpack
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from metrify_assets.settings import REPOSITORY_DIR, Settings, WarehouseEngine
from metrify_assets.warehouse.dbt import DBT_TARGETS, MANIFEST, MARK, ensure_manifest
from metrify_assets.warehouse.dbt_project import project_digest

PROJECT = REPOSITORY_DIR / "metrify_dbt"
CACHE = REPOSITORY_DIR / ".pytest_cache" / "metrify_dbt"
"""Inside of the checkout: what dbt keeps of a parse names the checkout's folders. `make clean` empties it."""
PARTIAL_PARSE = "partial_parse.msgpack"


def share_parse(settings: Settings) -> None:
    """Give an installation the parsed project; the first process that asks parses it, the others wait."""
    if settings.warehouse_engine is not WarehouseEngine.DUCKDB or settings.dbt_project != PROJECT:
        ensure_manifest(settings)
        return
    shared = Settings(root=CACHE / project_digest(settings)[:16])
    ensure_manifest(shared)
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, MARK):
        shutil.copyfile(shared.dbt_target / name, settings.dbt_target / name)
    content = (shared.dbt_target / PARTIAL_PARSE).read_bytes()
    (settings.dbt_target / PARTIAL_PARSE).write_bytes(moved(content, shared, settings))


def moved(content: bytes, before: Settings, after: Settings) -> bytes:
    """Return what dbt keeps of a parse, made valid for a warehouse at another path.

    dbt parses anew when a connection changes. The name of the database is the same, so nothing that was parsed differs.
    """
    parsed = msgpack.unpackb(content, strict_map_key=False)
    profile = parsed["state_check"]["profile_hash"]
    # dbt counts the connection otherwise than we do: then nothing would be shared, and nobody would see it.
    assert profile["checksum"] == connection_checksum(before.warehouse)
    profile["checksum"] = connection_checksum(after.warehouse)
    return msgpack.packb(parsed)


def connection_checksum(warehouse: Path) -> str:
    """Return what dbt compares of the connection to a DuckDB file."""
    profiles = yaml.safe_load((PROJECT / "profiles.yml").read_text(encoding="utf-8"))
    target = profiles["metrify"]["outputs"][DBT_TARGETS[WarehouseEngine.DUCKDB]]
    fields = {name: value for name, value in target.items() if name not in ("type", "threads")}
    credentials = DuckDBCredentials.from_dict({**fields, "path": str(warehouse)})
    return sha256(pprint.pformat(sorted(credentials.connection_info())).encode()).hexdigest()
