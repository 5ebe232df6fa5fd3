"""What goes into the wheel beside the package: the dbt project and Dagster's files, which lie beside it in a checkout.

Belongs here: where they lie in the wheel; ``settings.SHIPPED_DIR`` finds them there. An editable install takes nothing
along: it reads the checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ("dagster.yaml", "workspace.yaml")
DBT_PROJECT = "metrify_dbt"
WRITTEN_BY_DBT = frozenset({"target", "logs", "dbt_packages", ".user.yml"})


class WheelFiles(BuildHookInterface):
    """Places the files in the folder of the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel that is no editable one."""
        if version == "editable":
            return
        root = Path(self.root)
        project = (path.relative_to(root) for path in sorted((root / DBT_PROJECT).rglob("*")) if path.is_file())
        names = [*FILES, *(path.as_posix() for path in project if WRITTEN_BY_DBT.isdisjoint(path.parts))]
        build_data["force_include"].update({str(root / name): f"metrify_assets/{name}" for name in names})
