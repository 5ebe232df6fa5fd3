"""The first delivery day of an installation, as it is kept beside its data.

Belongs here: the record of it, and that of new installations. Does not belong here: when it is chosen and moved
(``landing/setup.py``), and the partitions that follow from it (``orchestration/partitions.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date

from metrify_assets.errors import LakeError
from metrify_assets.storage.object_store import ObjectStore

FIRST_DAY_KEY = "lake/_first_day.json"
COMMAND = "metrify first-day"


@dataclass(frozen=True)
class FirstDay:
    """What an installation keeps.

    Attributes
    ----------
    day : date
    former : tuple of date
        Those that held before, which drops may have been read under.
    """

    day: date
    former: tuple[date, ...] = ()

    def moved(self, day: date) -> FirstDay:
        """Return the record after a move to another day."""
        return FirstDay(day, tuple(sorted({*self.former, self.day} - {day})))


def read_first_day(store: ObjectStore) -> FirstDay | None:
    """Return what an installation keeps; None if it keeps none. Raises ``LakeError`` if the record is damaged."""
    try:
        record = json.loads(store.read(FIRST_DAY_KEY))
        return FirstDay(date.fromisoformat(record["day"]), tuple(date.fromisoformat(text) for text in record["former"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(
            f"{store.uri(FIRST_DAY_KEY)} is damaged: delete it, and say `{COMMAND} DAY` with the day that it held"
        ) from error


def of_new_installation(today: date) -> date:
    """Return the first day of an installation that is set up today: 1 January of the year before.

    That is what bills, forecasts and comparisons look back to. It is not taken from the first file: a meter whose clock
    was reset delivers days of long ago, and the partitions would begin there.
    """
    return date(today.year - 1, 1, 1)


def packed(kept: FirstDay) -> bytes:
    """Return a record as it is kept."""
    return json.dumps(asdict(kept), default=str).encode()
