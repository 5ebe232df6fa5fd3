"""The first delivery day of an installation: chosen when it is set up, kept beside its data, moved by one command.

Belongs here: the record of it, and the rules by which it is chosen and moved. Does not belong here: what is read again
after a move (``ingest.py``), and the partitions that follow from it (``partitions.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.settings import EARLIEST_DAY

if TYPE_CHECKING:
    from metrify_assets.platform import Platform
    from metrify_assets.storage.object_store import ObjectStore

FIRST_DAY_KEY = "lake/_first_day.json"
VARIABLE = "METRIFY_FIRST_DAY"
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
    was reset tells days of long ago, and the partitions would begin there.
    """
    return date(today.year - 1, 1, 1)


def planned(platform: Platform) -> date:
    """Return the first day that values are read under: also of an installation that is not set up yet."""
    return of_new_installation(platform.settings.today()) if _is_new(platform) else platform.first_day


def set_up(platform: Platform, day: date | None = None) -> None:
    """Let a new installation keep a first day of its own: ``day``, or that of new installations.

    An installation that has data and keeps none was set up before there was such a record: it goes on as it did.
    """
    if _is_new(platform):
        kept = FirstDay(day or of_new_installation(platform.settings.today()))
        # Of two that set up the same installation at once, one decides.
        platform.store.create(FIRST_DAY_KEY, _packed(kept))
        platform.reload_first_day()


def move(platform: Platform, day: date) -> None:
    """Move the first day.

    Raises
    ------
    SettingsError
        If the environment says the first day, or the day lies too far back or ahead.
    LakeError
        If values were read of days before the new one.
    """
    if platform.settings.says_first_day:
        raise SettingsError(f"{VARIABLE}={platform.first_day} rules here: set it to {day}, then `metrify drop reread`")
    today = platform.settings.today()
    if not EARLIEST_DAY <= day <= today:
        raise SettingsError(f"{day} cannot be the first day: give one from {EARLIEST_DAY} to {today}")
    held = min((drop.days[0] for drop in platform.ledger.view().drops.values() if drop.days), default=day)
    if held < day:
        raise LakeError(f"values of {held} were read already: give that day, or an earlier one")
    kept = read_first_day(platform.store) or FirstDay(platform.first_day)
    platform.store.write(FIRST_DAY_KEY, _packed(kept.moved(day)))
    platform.reload_first_day()


def _is_new(platform: Platform) -> bool:
    return not (platform.settings.says_first_day or platform.has_format or platform.store.exists(FIRST_DAY_KEY))


def _packed(kept: FirstDay) -> bytes:
    return json.dumps(asdict(kept), default=str).encode()
