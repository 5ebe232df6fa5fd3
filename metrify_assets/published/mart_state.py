"""What the marts hold, as their records say, and what they lack.

Belongs here: reading the records. Does not belong here: writing them (``warehouse/marts.py``), and what of it is
published (``catalog.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from metrify_assets.digest import EMPTY
from metrify_assets.platform import Platform
from metrify_assets.published.catalog import FOLDER, state_of
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.storage.lake import Lake
from metrify_assets.warehouse.dbt_project import contracts_digest
from metrify_assets.warehouse.digests import MARTS


@dataclass(frozen=True)
class MartState:
    """What the marts hold.

    Attributes
    ----------
    days : mapping of date to str
        The days that were built and found good, each with the digest of its inputs.
    dimensions : str
        Digest of what the dimensions are made from.
    """

    days: dict[date, str]
    dimensions: str

    def state(self, platform: Platform) -> str:
        """Return the digest of all that a publication of it follows from."""
        contracts = contracts_digest(*platform.settings.dbt_projects)
        return state_of(self.days, self.dimensions, contracts, platform.store.uri(FOLDER))

    def missing(self, platform: Platform) -> set[date]:
        """Return the days with readings that are not held: not built yet, or built and not found good.

        A day whose readings were all taken back counts as well: its rows may still be in the warehouse.
        """
        first = platform.first_day
        return {day for day in platform.lake.days(CLEAN_READINGS.name).every_day if day >= first} - self.days.keys()

    def __bool__(self) -> bool:
        return bool(self.days) or self.dimensions != EMPTY


def read_mart_state(lake: Lake) -> MartState:
    """Return what the marts hold, as their records say."""
    days = {day: manifest.digest for day, manifest in lake.days(MARTS).items()}
    dimensions = lake.replaceable(MARTS, None)
    return MartState(days, dimensions.digest if dimensions else EMPTY)
