"""dbt as a Dagster resource.

Belongs here: the resource and the project, as dagster-dbt describes them. Does not belong here: where dbt runs and with
which environment (``warehouse/dbt.py``).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import cached_property

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject
from packaging import version
from pydantic import PrivateAttr

from metrify_assets.settings import Settings
from metrify_assets.warehouse.dbt import dbt_environment
from metrify_assets.warehouse.ready_dbt import ReadyDbt, dbt_command

_LOG = logging.getLogger(__name__)


class MetrifyDbt(DbtCliResource):
    """dbt without its slow starts: asking for its own version, an adapter that we do not use, importing itself twice.

    Attributes
    ----------
    imported_adapter : str
        Adapter that a process imports, with dbt, from the beginning of a run on; empty: each command imports both.
    """

    imported_adapter: str = ""
    _ready: ReadyDbt | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Begin to import dbt: the run computes its days meanwhile."""
        super().setup_for_execution(context)
        if self.imported_adapter:
            try:
                self._ready = ReadyDbt(self.imported_adapter)
            except OSError as error:
                # Such as a temporary folder whose path is too long for a socket.
                _LOG.warning("dbt is not made ready (%s): each of its commands imports it", error)
                return
            os.environ.update(self._ready.environment)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the process that has imported dbt."""
        if self._ready is not None:
            self._ready.close()
            for name in self._ready.environment:
                os.environ.pop(name, None)

    @cached_property
    def _cli_version(self) -> version.Version:
        # `dbt --version` asks the package index for news, which takes seconds or hangs without internet. The
        # executable is the one of this environment, so it is of the version of the installed package.
        from importlib.metadata import version as installed

        return version.parse(installed("dbt-core"))

    # Its only caller keeps what it gets as the adapter, and None is that of a command without one.
    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        # Only `fetch_row_counts` and the like use it, and it would hold the warehouse file open.
        return None


def dbt_resource(settings: Settings, command: Sequence[str] | None = None) -> MetrifyDbt:
    """Return the dbt resource of an installation; ``command`` is what starts dbt, if it is not the usual one."""
    os.environ.update(dbt_environment(settings))
    executable, *flags = command or dbt_command()
    return MetrifyDbt(
        project_dir=os.fspath(settings.dbt_project),
        profiles_dir=os.fspath(settings.dbt_profiles),
        dbt_executable=executable,
        global_config_flags=flags,
        # Processes of macOS do not survive a fork of what has used its network or Objective-C libraries.
        imported_adapter="" if command or sys.platform == "darwin" else settings.warehouse_engine.value,
    )


def project_of(settings: Settings) -> DbtProject:
    """Return the project as dagster-dbt describes one: what code references are made from."""
    return DbtProject(settings.dbt_project, target_path=settings.dbt_target, profiles_dir=settings.dbt_profiles)
