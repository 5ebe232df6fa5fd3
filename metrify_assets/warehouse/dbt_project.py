"""The files of the dbt project, the digests that show whether they changed, and the variables that it holds.

Belongs here: what the manifest depends on, what the rows of the marts depend on, and dbt's variables. Does not belong
here: running dbt (``dbt.py``), and anything that imports it: sensors and the command line ask for these digests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from metrify_assets.digest import digest_of
from metrify_assets.errors import WarehouseError
from metrify_assets.settings import METRIFY_DBT, Settings
from metrify_assets.warehouse.mart_vars import mart_vars, vars_digest

NOT_OF_THE_PROJECT = frozenset({"target", "logs", "dbt_packages", "package-lock.yml", ".user.yml"})
"""What dbt itself writes into a project's folder."""

PROJECT_FILE = "dbt_project.yml"
PACKAGES_FILE = "packages.yml"
_VARS_BLOCK = re.compile(r"^vars:[^\n]*\n(?:[ \t]+[^\n]*\n|\n(?=[ \t]))*", re.MULTILINE)
"""The key ``vars`` of the project file with all that is indented below it."""
_COMMENTS = re.compile(r"\{#.*?#\}|^[ \t]*--[^\n]*$", re.DOTALL | re.MULTILINE)


def _typed_vars() -> dict[str, Any]:
    """Return the variables of the typed configuration as YAML and JSON hold them: lists, no tuples."""
    variables: dict[str, Any] = json.loads(json.dumps(mart_vars()))
    return variables


def vars_block() -> str:
    """Return the typed variables as the project file holds them: its key ``vars``, as YAML."""
    declared = {"vars": {"metrify": _typed_vars()}}
    block: str = yaml.safe_dump(declared, sort_keys=False, default_flow_style=None, width=116)
    return block


def write_vars(project: Path) -> bool:
    """Write the typed variables into the project file, all else in it as it was; return whether they changed.

    Raises
    ------
    WarehouseError
        If the file has no key ``vars`` to be replaced, or more than one.
    """
    file = project / PROJECT_FILE
    before = file.read_text(encoding="utf-8")
    after, blocks = _VARS_BLOCK.subn(lambda _: vars_block(), before)
    if blocks != 1:
        raise WarehouseError(f"{file} has {blocks} keys `vars:`, must have one: give it one without content")
    if after != before:
        file.write_text(after, encoding="utf-8")
    return after != before


def changed_vars(*projects: Path) -> dict[str, Any]:
    """Return the typed variables whose values the project files do not hold, by name; later ones rule earlier ones.

    Raises
    ------
    WarehouseError
        If the file is no YAML.
    """
    declared: dict[str, Any] = {}
    for project in projects:
        file = project / PROJECT_FILE
        try:
            declared |= (yaml.safe_load(file.read_text(encoding="utf-8")).get("vars") or {}).get("metrify") or {}
        except yaml.YAMLError as error:
            raise WarehouseError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    return {name: value for name, value in _typed_vars().items() if declared.get(name) != value}


def vars_arguments(*projects: Path) -> list[str]:
    """Return the arguments that give dbt the variables that differ from the projects' own; usually there are none.

    Every command gets the same: dbt parses the whole project anew when they differ.
    """
    changed = changed_vars(*projects)
    return ["--vars", json.dumps(changed, sort_keys=True)] if changed else []


def project_digest(settings: Settings) -> str:
    """Return the digest of everything that the manifest depends on: the project, its variables, the engine and dbt."""
    content = [(name, path.read_bytes()) for name, path in _files(*settings.dbt_projects)]
    # A project of the installation's own has a link to Metrify's, which may move with its environment.
    links = [str(METRIFY_DBT)] if settings.dbt_project_dir is not None else []
    return digest_of(version("dbt-core"), vars_digest(), settings.warehouse_engine, *content, *links)


def models_digest(*projects: Path) -> str:
    """Return the digest of the SQL of all models and macros: what the rows of the marts depend on beside their inputs.

    Comments on lines of their own, tests, descriptions and settings make no other rows, so they do not count.
    """
    sql = (
        (name, _without_comments(path.read_text(encoding="utf-8")))
        for name, path in _files(*projects)
        if path.suffix == ".sql" and name.split("/")[0] in ("models", "macros")
    )
    return digest_of(*sql)


def contracts_digest(*projects: Path) -> str:
    """Return the digest of what is said of the models beside their SQL: columns, types, constraints, keys, meanings."""
    texts = _files(*(project / "models" for project in projects))
    return digest_of(*((name, path.read_bytes()) for name, path in texts if path.suffix == ".yml"))


def seeds_digest(*projects: Path) -> str:
    """Return the digest of the seeds' rows."""
    rows = _files(*(project / "seeds" for project in projects))
    return digest_of(*((name, path.read_bytes()) for name, path in rows if path.suffix == ".csv"))


def _files(*folders: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of each folder with their names in it, in the order of the names."""
    for folder in folders:
        paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        yield from (
            (name.as_posix(), path) for name, path in sorted(paths.items()) if NOT_OF_THE_PROJECT.isdisjoint(name.parts)
        )


def _without_comments(sql: str) -> str:
    """Return SQL without comments and empty lines, as far as they stand on lines of their own."""
    lines = (line.rstrip() for line in _COMMENTS.sub("", sql).splitlines())
    return "\n".join(line for line in lines if line)
