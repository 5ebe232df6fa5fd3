"""dbt as a Dagster resource, and its manifest.

Belongs here: where dbt runs, with which environment, and when the project is parsed. Does not belong here: which
models are built for which days (``assets/marts.py``).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from dagster_dbt import DbtCliResource
from packaging import version

from metrify_assets.errors import WarehouseError
from metrify_assets.lake import digest_of
from metrify_assets.schemas.mart_vars import vars_digest, vars_text
from metrify_assets.settings import Settings, WarehouseEngine

DBT_TARGETS = {WarehouseEngine.DUCKDB: "local", WarehouseEngine.SNOWFLAKE: "snowflake"}
"""Targets of ``metrify_dbt/profiles.yml``."""


class MetrifyDbt(DbtCliResource):
    """dbt without its two slow starts: asking for its own version, and an adapter that we do not use."""

    @cached_property
    def _cli_version(self) -> version.Version:
        # `dbt --version` asks the package index for news, which takes seconds or hangs without internet. The
        # executable is the one of this environment, so the installed package tells the same.
        from importlib.metadata import version as installed

        return version.parse(installed("dbt-core"))

    def _initialize_dbt_core_adapter(self, args):  # type: ignore[override]
        # Only `fetch_row_counts` and the like use it, and it would hold the warehouse file open.
        return None


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that dbt needs."""
    return {
        "METRIFY_DBT_TARGET": DBT_TARGETS[settings.warehouse_engine],
        "METRIFY_WAREHOUSE": str(settings.warehouse),
        # Named from the first parse on: dbt parses anew when a variable of its profile appears.
        "METRIFY_SNOWFLAKE_COMPUTE": os.environ.get("SNOWFLAKE_WAREHOUSE", ""),
        "METRIFY_TIMEZONE": settings.timezone,
        "DBT_PROFILES_DIR": str(settings.dbt_project),
        "DBT_TARGET_PATH": str(settings.dbt_target),
        "DBT_LOG_PATH": str(settings.dbt_target),
        "DO_NOT_TRACK": "1",
    }


def dbt_executable() -> str:
    """Return the dbt of this environment."""
    beside = Path(sys.executable).parent / "dbt"
    found = str(beside) if beside.exists() else shutil.which("dbt")
    if not found:
        raise WarehouseError("dbt is not installed in this environment: run `make setup`")
    return found


def dbt_resource(settings: Settings) -> MetrifyDbt:
    """Return the dbt resource of an installation."""
    os.environ.update(dbt_environment(settings))
    return MetrifyDbt(
        project_dir=os.fspath(settings.dbt_project),
        profiles_dir=os.fspath(settings.dbt_project),
        dbt_executable=dbt_executable(),
    )


def vars_arguments() -> list[str]:
    """Return the arguments that tell dbt its variables.

    Every command gets the same: dbt parses the whole project anew when they differ.
    """
    return ["--vars", vars_text()]


def project_digest(settings: Settings) -> str:
    """Return the digest of everything that the manifest depends on: the project, its variables and the engine."""
    ignored = {"target", "logs", "dbt_packages", ".user.yml"}
    files = sorted(
        path
        for path in settings.dbt_project.rglob("*")
        if path.is_file() and not ignored & set(path.relative_to(settings.dbt_project).parts)
    )
    content = ((str(path.relative_to(settings.dbt_project)), path.read_bytes()) for path in files)
    return digest_of(vars_digest(), settings.warehouse_engine, *content)


def ensure_manifest(settings: Settings) -> Path:
    """Return the path of the dbt manifest, parsing the project first if it changed since.

    Raises
    ------
    WarehouseError
        If dbt cannot parse the project; the message holds dbt's last lines.
    """
    manifest = settings.dbt_target / "manifest.json"
    mark = settings.dbt_target / "project.digest"
    wanted = project_digest(settings)
    if manifest.exists() and mark.exists() and mark.read_text() == wanted:
        return manifest
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    # Several processes load the code location at once: one parses, the others wait and find it done.
    with open(settings.dbt_target / "parse.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if manifest.exists() and mark.exists() and mark.read_text() == wanted:
            return manifest
        run_dbt(settings, ["--quiet", "parse", *vars_arguments()], f"dbt cannot parse {settings.dbt_project}")
        mark.write_text(wanted)
    return manifest


def run_dbt(settings: Settings, arguments: list[str], problem: str, **environment: str) -> None:
    """Run dbt to its end.

    Raises
    ------
    WarehouseError
        If it fails: ``problem`` and dbt's last lines.
    """
    done = subprocess.run(
        [dbt_executable(), *arguments, "--project-dir", str(settings.dbt_project)],
        env={**os.environ, **dbt_environment(settings), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise WarehouseError(f"{problem}: {' '.join(lines)}")


def write_docs(settings: Settings, folder: Path) -> Path:
    """Write dbt's documentation as one page without a server; return the page.

    The types and sizes of the tables are those of the warehouse, if there is one. Models are shown as they are written,
    not compiled: compiled they name every file of the lake.
    """
    from metrify_assets.resources.warehouses import warehouse_of

    folder.mkdir(parents=True, exist_ok=True)
    ensure_manifest(settings)
    warehouse = warehouse_of(settings)
    arguments = ["--quiet", "docs", "generate", "--static", "--no-compile", *vars_arguments()]
    with warehouse.exclusive():
        # A file that dbt would make here would look like a warehouse without any day.
        elsewhere = {} if warehouse.exists else {"METRIFY_WAREHOUSE": ":memory:"}
        run_dbt(settings, arguments, "dbt cannot write its documentation", **elsewhere)
    page = folder / "index.html"
    shutil.copyfile(settings.dbt_target / "static_index.html", page)
    return page
