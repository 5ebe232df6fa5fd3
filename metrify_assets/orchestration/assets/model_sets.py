"""What the parsed dbt project says of its models, and dbt's arguments to build them: pure functions.

Belongs here: the two sets of models, the arguments that build one or a part of it, where the rows of a model lie, which
columns it declares, and the version of its code. Does not belong here: running dbt (``marts.py``), and how models look
in Dagster (``translator.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrify_assets.digest import digest_of
from metrify_assets.warehouse.mart_vars import vars_digest
from metrify_assets.warehouse.warehouse import Relation

DAILY = "daily"
"""dbt tag of the models that a run of delivery days builds (``dbt_project.yml``)."""
BY_DAY = "incremental"
"""dbt materialization of the models that keep their rows of other days."""

Node = Mapping[str, Any]
"""A model, seed or test as the manifest describes it."""


@dataclass(frozen=True)
class ModelSet:
    """Models that are built together: those of one partitioning.

    Attributes
    ----------
    name : str
        Name of the step.
    select, exclude : str
        Which nodes of the project these are, as dbt selects.
    """

    name: str
    select: str
    exclude: str = ""


DIMENSIONS = ModelSet("dbt_dimensions", select="fqn:*", exclude=f"tag:{DAILY}")
"""Seeds, staging of the registries, dimensions: without days."""
DAILY_MODELS = ModelSet("dbt_daily_models", select=f"tag:{DAILY}")
"""Staging of the days, facts and metrics: by delivery day, a range in one invocation."""


def build_arguments(models: ModelSet, part: Collection[str] | None = None, variables: Sequence[str] = ()) -> list[str]:
    """Return dbt's arguments that build a set, or a part of it.

    The days are no argument: they stand in the table of requested days. As variables they would make dbt parse the
    whole project anew for each run.

    Parameters
    ----------
    models : ModelSet
    part : collection of str, optional
        Names of the models, seeds and tests to build; without it all of the set, each with its tests.
    variables : sequence of str
        Arguments for variables that differ from the project's own (``dbt_project.vars_arguments``).
    """
    # dbt's unit tests say nothing about the data: they belong to the project's own tests.
    command = ["build", "--exclude-resource-type", "unit_test", *variables]
    if part is not None:
        chosen = " ".join(f"fqn:{name}" for name in sorted(part))
        return [*command, "--select", chosen, "--indirect-selection", "empty"]
    excluded = ["--exclude", models.exclude] if models.exclude else []
    return [*command, "--select", models.select, *excluded]


def is_daily(node: Node) -> bool:
    """Return whether a node is built by delivery day."""
    return DAILY in node.get("tags", ())


def with_whole_paths(manifest: Mapping[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """Return a manifest whose nodes name their files by whole paths, those of packages whose folders are given."""
    nodes = {
        name: {**node, "original_file_path": f"{folders[node['package_name']]}/{node['original_file_path']}"}
        if node["package_name"] in folders
        else node
        for name, node in manifest["nodes"].items()
    }
    return {**manifest, "nodes": nodes}


def stored_nodes(manifest: Mapping[str, Any]) -> Iterator[Node]:
    """Yield the models and seeds that the warehouse knows by name."""
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed") and node["config"]["materialized"] != "ephemeral":
            yield node


def relations(manifest: Mapping[str, Any], names: Iterable[str]) -> dict[str, Relation]:
    """Return where the rows of some models lie, by the models' names."""
    wanted = set(names)
    return {node["name"]: _relation(node) for node in stored_nodes(manifest) if node["name"] in wanted}


def _relation(node: Node) -> Relation:
    period = None
    # A table is built whole in every run of days; only what keeps its rows, or shows those of the lake, has days.
    if is_daily(node) and node["config"]["materialized"] != "table":
        period = "month" if node["config"]["meta"].get("replaces") == "month" else "day"
    # A view of the days is over all of them: to count it whole would read the lake.
    whole = period is None or node["config"]["materialized"] != "view"
    return Relation(f"{node['schema']}.{node['alias']}", period, whole)


def rows_by_day(manifest: Mapping[str, Any]) -> set[str]:
    """Return the names of the models that store rows by delivery day."""
    daily = (node for node in stored_nodes(manifest) if node["config"]["materialized"] == BY_DAY)
    return {node["name"] for node in daily if node["config"]["meta"].get("replaces") != "month"}


def declared_columns(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of the columns that each model which keeps its rows declares, by qualified name."""
    return {
        _relation(node).qualified: digest_of(
            *((column["name"], (column["data_type"] or "").lower()) for column in node["columns"].values())
        )
        for node in stored_nodes(manifest)
        if node["config"]["materialized"] == BY_DAY
    }


def code_versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the version of the code of each model and seed, by unique id.

    It changes with the model's SQL, the project's macros and the ephemeral models that go into it, and the thresholds.
    """
    return {
        node["unique_id"]: digest_of(vars_digest(), *sorted(_code(manifest, node).items()))
        for node in stored_nodes(manifest)
    }


def _code(manifest: Mapping[str, Any], node: Node) -> dict[str, str]:
    """Return the pieces of code that a node's rows depend on, by unique id."""
    if node["resource_type"] == "seed":
        return {node["unique_id"]: node["checksum"]["checksum"]}
    packages = {other["package_name"] for other in manifest["nodes"].values()}
    pieces = {node["unique_id"]: node["raw_code"]}
    waiting = list(node["depends_on"]["macros"])
    while waiting:
        macro = manifest["macros"].get(waiting.pop())
        # Macros of dbt and its adapters come with the installation.
        if macro is None or macro["package_name"] not in packages or macro["unique_id"] in pieces:
            continue
        pieces[macro["unique_id"]] = macro["macro_sql"]
        waiting.extend(macro["depends_on"]["macros"])
    for name in node["depends_on"]["nodes"]:
        upstream = manifest["nodes"].get(name)
        if upstream is not None and upstream["config"]["materialized"] == "ephemeral":
            pieces.update(_code(manifest, upstream))
    return pieces
