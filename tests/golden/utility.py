"""A small utility from inbox to published marts, described by one digest for each thing that readers can see.

Two trees of code that give the same entries compute the same. Moments of computing are left out; all else is in:
identities of drops, the digests of how they were read, names and bytes of the lake's files, and the rows of the marts.
"""

from __future__ import annotations

import json
from datetime import date
from hashlib import blake2b
from pathlib import Path

from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate
from tests.harness import Installation, installation

RECORDED = Path(__file__).with_name("utility.json")
PLAN = SimulationPlan(points=8, days=3, first_day=date(2026, 3, 28))
"""Holds the day with 23 hours; two points for each of the four vendors."""


def describe(root: Path) -> dict[str, str]:
    """Compute the utility in an empty folder and return its entries, by name."""
    simulation = simulate(PLAN)
    with installation(root) as here:
        for wave in (simulation.first, simulation.later):
            for file in wave:
                here.put(file.feed, file.content, file.name, mtime=file.received_at.timestamp())
            here.settle()
        return dict(sorted({**_drops(here), **_lake(here), **_marts(here)}.items()))


def _drops(here: Installation) -> dict[str, str]:
    """Return one entry per drop: its identity, how it was read, what came of it."""
    entries = {}
    for drop in here.platform.ledger.view().drops.values():
        parts = {day: [(part.file, part.shards, part.rows) for part in parts] for day, parts in drop.parts.items()}
        entries[f"drop {drop.feed}/{drop.name} {drop.drop_id}"] = _digest(
            drop.kind,
            drop.table,
            drop.landed,
            drop.size,
            drop.modified_at,
            drop.received_at,
            drop.parse_digest,
            parts,
            drop.counts,
            drop.quarantine,
        )
    return entries


def _lake(here: Installation) -> dict[str, str]:
    """Return one entry per Parquet file, and one per day of each table, with the inputs that it was computed from."""
    entries = {}
    for item in here.platform.store.list("lake"):
        content = here.platform.store.read(item.key)
        if item.key.endswith(".parquet"):
            entries[f"file {item.key}"] = _digest_of_bytes(content)
        elif item.key.endswith("_manifest.json"):
            record = json.loads(content)
            del record["written_at"]
            entries[f"manifest {item.key}"] = _digest(record)
    return entries


def _marts(here: Installation) -> dict[str, str]:
    """Return one entry per mart: its columns and rows, in the order of its columns.

    The schema ``metrify`` is left out: it holds paths of this installation and the mark of its last run.
    """
    entries = {}
    tables = here.query(
        "select table_schema, table_name from information_schema.tables "
        "where table_type = 'BASE TABLE' and table_schema <> 'metrify' order by all"
    )
    for schema, table in tables:
        columns = here.query(
            "select column_name, data_type from information_schema.columns "
            f"where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position"
        )
        rows = here.query(f'select * from "{schema}"."{table}" order by all')
        entries[f"mart {schema}.{table}"] = _digest(columns, [[str(value) for value in row] for row in rows])
    return entries


def _digest(*values: object) -> str:
    return _digest_of_bytes(json.dumps(values, sort_keys=True, default=str).encode())


def _digest_of_bytes(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
