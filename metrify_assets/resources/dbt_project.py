"""The files of the dbt project, and the digests that tell whether they changed.

Belongs here: what the manifest depends on, what the rows of the marts depend on, and dbt's variables. Does not belong
here: running dbt (``dbt.py``), and anything that imports it: sensors and the command line ask for these digests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from metrify_assets.lake import digest_of
from metrify_assets.schemas.mart_vars import vars_digest, vars_text
from metrify_assets.settings import Settings

NOT_OF_THE_PROJECT = frozenset({"target", "logs", "dbt_packages", ".user.yml"})
"""What dbt itself writes into a project's folder."""

_COMMENTS = re.compile(r"\{#.*?#\}|^[ \t]*--[^\n]*$", re.DOTALL | re.MULTILINE)


def vars_arguments() -> list[str]:
    """Return the arguments that tell dbt its variables.

    Every command gets the same: dbt parses the whole project anew when they differ.
    """
    return ["--vars", vars_text()]


def project_digest(settings: Settings) -> str:
    """Return the digest of everything that the manifest depends on: the project, its variables, the engine and dbt."""
    content = ((name, path.read_bytes()) for name, path in _files(settings.dbt_project))
    return digest_of(version("dbt-core"), vars_digest(), settings.warehouse_engine, *content)


def models_digest(project: Path) -> str:
    """Return the digest of the SQL of all models and macros: what the rows of the marts depend on beside their inputs.

    Comments on lines of their own, tests, descriptions and settings make no other rows, so they do not count.
    """
    sql = (
        (name, _without_comments(path.read_text(encoding="utf-8")))
        for name, path in _files(project)
        if path.suffix == ".sql" and name.split("/")[0] in ("models", "macros")
    )
    return digest_of(*sql)


def contracts_digest(project: Path) -> str:
    """Return the digest of what is said of the models beside their SQL: columns, types, constraints, keys, meanings."""
    said = ((name, path.read_bytes()) for name, path in _files(project / "models") if path.suffix == ".yml")
    return digest_of(*said)


def seeds_digest(project: Path) -> str:
    """Return the digest of the seeds' rows."""
    return digest_of(*((name, path.read_bytes()) for name, path in _files(project / "seeds") if path.suffix == ".csv"))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder with their names in it, in the order of the names."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    yield from (
        (name.as_posix(), path) for name, path in sorted(found.items()) if NOT_OF_THE_PROJECT.isdisjoint(name.parts)
    )


def _without_comments(sql: str) -> str:
    """Return SQL without comments and empty lines, as far as they stand on lines of their own."""
    lines = (line.rstrip() for line in _COMMENTS.sub("", sql).splitlines())
    return "\n".join(line for line in lines if line)
