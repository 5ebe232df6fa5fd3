"""Which days of the marts are dirty: the inputs that dbt adds to those of the lake.

Belongs here: the digests of models, seeds and variables. Does not belong here: what was built (``marts.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property

from metrify_assets.days.digests import CLEAN_TABLES, Digests
from metrify_assets.days.inputs import INPUTS, InputDigest
from metrify_assets.warehouse.dbt_project import models_digest, seeds_digest
from metrify_assets.warehouse.mart_vars import vars_digest

MARTS = "marts"


class MartDigests(Digests):
    """The state of everything at one moment, what the marts are built from included."""

    @cached_property
    def inputs(self) -> Mapping[str, InputDigest]:
        """The digest of every input, those of dbt included."""
        return {
            **INPUTS,
            "mart_models": lambda state, day, shard: self.models,
            "mart_seeds": lambda state, day, shard: self.seeds,
            "mart_vars": lambda state, day, shard: vars_digest(),
        }

    @cached_property
    def models(self) -> str:
        """The digest of the code of the dbt models."""
        return models_digest(*self.platform.settings.dbt_projects)

    @cached_property
    def seeds(self) -> str:
        """The digest of the rows of the dbt seeds."""
        return seeds_digest(*self.platform.settings.dbt_projects)

    def _find_wanted_days(self, table: str) -> set[date]:
        if table == MARTS:
            return {day for clean in CLEAN_TABLES for day in self.days(clean).every_day}
        return super()._find_wanted_days(table)
