"""Running dbt, and its manifest.

Belongs here: where dbt runs, with which environment, and when the project is parsed. Does not belong here: which
models are built for which days (``orchestration/assets/marts.py``), and whether the project changed
(``dbt_project.py``).
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from metrify_assets.errors import WarehouseError
from metrify_assets.settings import METRIFY_DBT, Profile, Settings, WarehouseEngine
from metrify_assets.warehouse.dbt_project import PACKAGES_FILE, project_digest, vars_arguments

DBT_TARGETS = {WarehouseEngine.DUCKDB: "local", WarehouseEngine.SNOWFLAKE: "snowflake"}
"""Targets of ``metrify_dbt/profiles.yml``."""

PACKAGE_VARIABLE = "METRIFY_DBT_PACKAGE"
"""Where a dbt project of an installation's own finds Metrify's: its ``packages.yml`` names this variable."""

MANIFEST = "manifest.json"
MARK = "project.digest"
"""File beside the manifest that holds the digest of the project which it was parsed from."""
KEPT_RUNS = 20
"""Folders that stay of runs that failed or died, to be read."""


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that dbt needs."""
    return {
        "METRIFY_DBT_TARGET": DBT_TARGETS[settings.warehouse_engine],
        "METRIFY_WAREHOUSE": str(settings.warehouse),
        # Named from the first parse on: dbt parses anew when a variable of its profile appears.
        "METRIFY_SNOWFLAKE_COMPUTE": os.environ.get("SNOWFLAKE_WAREHOUSE", ""),
        "METRIFY_TIMEZONE": settings.timezone,
        "DBT_PROFILES_DIR": str(settings.dbt_profiles),
        "DBT_TARGET_PATH": str(settings.dbt_target),
        "DBT_LOG_PATH": str(settings.dbt_target),
        "DO_NOT_TRACK": "1",
        PACKAGE_VARIABLE: str(METRIFY_DBT),
    }


def _hand_defaults(project: Path) -> dict[str, str]:
    """Return what dbt run by hand in a project's folder takes for a variable that is not set."""
    return {
        "METRIFY_DBT_TARGET": DBT_TARGETS[WarehouseEngine.DUCKDB],
        "METRIFY_WAREHOUSE": str(project.parent / ".metrify" / "warehouse.duckdb"),
        "METRIFY_TIMEZONE": "Europe/Berlin",
        "DBT_PROFILES_DIR": str(project),
    }


def command_by_hand(settings: Settings, arguments: Sequence[str]) -> str:
    """Return the line for a shell that runs dbt as the platform does, on the warehouse as its last run left it."""
    environment = dbt_environment(settings)
    defaults = _hand_defaults(settings.dbt_project)
    names = [name for name, default in defaults.items() if environment[name] != default]
    assigned = [f"{name}={shlex.quote(environment[name])}" for name in names]
    command = shlex.join([dbt_executable(), *arguments])
    return f"cd {shlex.quote(str(settings.dbt_project))} && {' '.join([*assigned, command])}"


def dbt_executable() -> str:
    """Return the dbt of this environment."""
    beside = Path(sys.executable).parent / "dbt"
    path = str(beside) if beside.exists() else shutil.which("dbt")
    if not path:
        raise WarehouseError("dbt is not installed in this environment: run `make setup`")
    return path


def ready_manifest(settings: Settings) -> Path:
    """Return the path of the dbt manifest for loading the code location.

    In production it was prepared when the installation was deployed: loading definitions never runs dbt there. On a
    person's own machine it is prepared if that was not done since the project changed.

    Raises
    ------
    WarehouseError
        In production, if the manifest is missing or older than the project.
    """
    if settings.profile is not Profile.PRODUCTION:
        return ensure_manifest(settings)
    if not _is_prepared(settings, project_digest(settings)):
        raise WarehouseError(
            f"the dbt manifest in {settings.dbt_target} is missing or not that of this dbt project: "
            "run `metrify dbt prepare` when deploying"
        )
    return settings.dbt_target / MANIFEST


def _is_prepared(settings: Settings, wanted: str) -> bool:
    try:
        return (settings.dbt_target / MANIFEST).exists() and (settings.dbt_target / MARK).read_text() == wanted
    except FileNotFoundError:
        return False


def ensure_manifest(settings: Settings) -> Path:
    """Return the path of the dbt manifest, parsing the project first if it changed since.

    Raises
    ------
    WarehouseError
        If dbt cannot parse the project; the message holds dbt's last lines.
    """
    manifest = settings.dbt_target / MANIFEST
    wanted = project_digest(settings)
    if _is_prepared(settings, wanted):
        return manifest
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    # Several processes load the code location at once: one parses, the others wait and find it done.
    with open(settings.dbt_target / "parse.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_prepared(settings, wanted):
            return manifest
        # Killed in the middle, dbt leaves a manifest that no mark speaks of.
        (settings.dbt_target / MARK).unlink(missing_ok=True)
        if (settings.dbt_project / PACKAGES_FILE).exists():
            # The lock file holds the path of an installation that may have moved.
            problem = f"dbt cannot take the packages of {settings.dbt_project}"
            run_dbt(settings, ["--quiet", "deps", "--upgrade"], problem)
        run_dbt(
            settings,
            ["--quiet", "parse", *vars_arguments(*settings.dbt_projects)],
            f"dbt cannot parse {settings.dbt_project}",
        )
        (settings.dbt_target / MARK).write_text(wanted)
    return manifest


def run_folder(settings: Settings, name: str) -> Path:
    """Return the folder that dbt writes into in a run that holds the warehouse; the oldest of failed runs go."""
    runs = settings.dbt_target / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    left = sorted(runs.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in left[:-KEPT_RUNS]:
        shutil.rmtree(folder)
    return runs / name


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
    from metrify_assets.warehouse.warehouses import warehouse_of

    folder.mkdir(parents=True, exist_ok=True)
    ensure_manifest(settings)
    warehouse = warehouse_of(settings)
    arguments = ["--quiet", "docs", "generate", "--static", "--no-compile", *vars_arguments(*settings.dbt_projects)]
    with warehouse.exclusive():
        # A file that dbt would make here would look like a warehouse without any day.
        elsewhere = {} if warehouse.exists else {"METRIFY_WAREHOUSE": ":memory:"}
        run_dbt(settings, arguments, "dbt cannot write its documentation", **elsewhere)
    page = folder / "index.html"
    shutil.copyfile(settings.dbt_target / "static_index.html", page)
    return page
