"""The peer of benchmark ``warehouse``: the SQL that dbt compiles, run in order in one DuckDB connection.

Belongs here: what a person would type who has the statements at hand: a view as a view, a table as a table, days that
leave and come in as one transaction, each test as a count of its rows. Does not belong here: dbt, but for compiling the
statements before anything is measured.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb

SETTINGS = "set timezone = 'UTC'; set preserve_insertion_order = false"
"""Those of ``metrify_dbt/profiles.yml``; threads and memory are DuckDB's own, as there."""
PARSED = "partial_parse.msgpack"
SLOTS_AT_ONCE = 25_000_000
"""Slots whose days come in with one statement: that of macro ``days_at_once``, written a second time."""


def compile_statements(
    folder: str, days: Sequence[str], models: Sequence[str], tests: Sequence[str], target: str
) -> dict[str, int]:
    """Let dbt compile what our side has just built; write the statements to ``target``/statements.json.

    Returns
    -------
    dict
        How many statements of each kind there are.
    """
    from metrify_assets.platform import Platform
    from metrify_assets.settings import Settings
    from metrify_assets.warehouse.dbt import run_dbt, vars_arguments

    settings = Settings(root=Path(folder) / "metrify")
    Path(target).mkdir(exist_ok=True)
    shutil.copyfile(settings.dbt_target / PARSED, Path(target) / PARSED)
    # Our warehouse says which files and days are meant; the statements name the same tables in the peer's.
    arguments = ["--quiet", "compile", "--target-path", target, *vars_arguments(settings.dbt_project)]
    run_dbt(settings, arguments, "dbt cannot compile the models")
    nodes = json.loads((Path(target) / "manifest.json").read_text())["nodes"]
    lake = Platform(settings).lake
    slots = sum(part.rows for day in days if (part := lake.manifest("clean_readings", date.fromisoformat(day))))
    found = statements(nodes, days, {*models, *tests}, max(1, SLOTS_AT_ONCE * len(days) // max(slots, 1)))
    (Path(target) / "statements.json").write_text(json.dumps(found))
    return {kind: sum(one["kind"] == kind for one in found) for kind in ("view", "table", "days", "test")}


def statements(
    nodes: Mapping[str, Any], days: Sequence[str], names: set[str], days_at_once: int
) -> list[dict[str, str]]:
    """Return the statements of some models and tests of a manifest in the order of what they read.

    A seed is not among them: it lies in the warehouse already, and for the peer it stays as it is.
    """
    order = TopologicalSorter({name: node["depends_on"].get("nodes", ()) for name, node in nodes.items()})
    wanted = [nodes[name] for name in order.static_order() if name in nodes and nodes[name]["name"] in names]
    return [_statement(node, days, days_at_once) for node in wanted if node["resource_type"] in ("model", "test")]


def _statement(node: Mapping[str, Any], days: Sequence[str], days_at_once: int) -> dict[str, str]:
    sql, name = node["compiled_code"], f"{node['schema']}.{node['alias']}"
    if node["resource_type"] == "test":
        return {"name": node["name"], "kind": "test", "sql": f"select count(*) from ({sql}\n)"}
    if node["config"]["materialized"] == "incremental":
        replaced = replaced_rows(node["config"]["meta"], days)
        inserts = [f"insert into {name} by name {sql}\n"]
        if node["config"]["meta"].get("reads_slots"):
            parts = [days[first : first + days_at_once] for first in range(0, len(days), days_at_once)]
            inserts = [f"insert into {name} by name select * from ({sql}\n) where {_in('day', part)}" for part in parts]
        both = "; ".join([f"delete from {name} where {replaced}", *inserts])
        return {"name": name, "kind": "days", "where": replaced, "sql": both}
    kind = "view" if node["config"]["materialized"] == "view" else "table"
    return {"name": name, "kind": kind, "sql": f"create or replace {kind} {name} as {sql}"}


def replaced_rows(meta: Mapping[str, Any], days: Sequence[str]) -> str:
    """Return the condition on the rows that a model builds anew: macro ``replaced_rows``, written a second time."""
    if meta.get("replaces") == "month":
        return _in("month", {f"{day[:7]}-01" for day in days})
    after = range(meta.get("days_after", 0) + 1)
    return _in("day", {str(date.fromisoformat(day) + timedelta(days=step)) for day in days for step in after})


def _in(column: str, days: Iterable[str]) -> str:
    listed = ", ".join(f"cast('{day}' as date)" for day in sorted(days))
    return f"{column} in ({listed})"


def run(warehouse: str, target: str) -> dict[str, float]:
    """Run the compiled statements; return ``seconds``, and of them ``test_seconds``."""
    found = json.loads((Path(target) / "statements.json").read_text())
    tests = 0.0
    started = time.perf_counter()
    with duckdb.connect(warehouse) as connection:
        connection.execute(SETTINGS)
        for statement in found:
            before = time.perf_counter()
            connection.execute("begin")
            connection.execute(statement["sql"]).fetchall()
            connection.execute("commit")
            if statement["kind"] == "test":
                tests += time.perf_counter() - before
    return {"seconds": time.perf_counter() - started, "test_seconds": tests}


def contents(warehouse: str, target: str) -> dict[str, list[Any]]:
    """Return the rows that the statements replaced, by table: how many, and a hash of what they hold."""
    found = json.loads((Path(target) / "statements.json").read_text())
    with duckdb.connect(warehouse, read_only=True) as connection:
        return {
            one["name"]: list(
                connection.execute(
                    f"select count(*), cast(bit_xor(hash(t)) as varchar) from {one['name']} as t"
                    f" where {one.get('where', 'true')}"
                ).fetchall()[0]
            )
            for one in found
            if one["kind"] in ("days", "table")
        }
