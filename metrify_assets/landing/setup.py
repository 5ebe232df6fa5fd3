"""Setting up an installation: the first delivery day that it begins with, and moving that day later.

Belongs here: the rules by which the first day is chosen and moved. Does not belong here: the record of it
(``drops/first_day.py``), and what is read again after a move (``ingest.py``).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from metrify_assets.drops.first_day import FIRST_DAY_KEY, FirstDay, of_new_installation, packed, read_first_day
from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.platform import Platform
from metrify_assets.settings import EARLIEST_DAY

VARIABLE = "METRIFY_FIRST_DAY"


class Origin(StrEnum):
    """Where the first day comes from."""

    ENVIRONMENT = f"set by {VARIABLE}"
    RECORD = "kept by the installation"
    DEFAULT = "as the installation keeps none"
    NEW = "nothing is set up yet"


def origin(platform: Platform) -> Origin:
    """Return where the day comes from that ``planned`` returns."""
    if platform.settings.says_first_day:
        return Origin.ENVIRONMENT
    if _is_new(platform):
        return Origin.NEW
    return Origin.DEFAULT if read_first_day(platform.store) is None else Origin.RECORD


def planned(platform: Platform) -> date:
    """Return the first day that values are read under: also of an installation that is not set up yet."""
    return of_new_installation(platform.today) if _is_new(platform) else platform.first_day


def set_up(platform: Platform, day: date | None = None) -> None:
    """Let a new installation keep a first day of its own: ``day``, or that of new installations.

    An installation that has data and keeps none was set up before there was such a record: it goes on as it did.
    """
    if _is_new(platform):
        kept = FirstDay(day or of_new_installation(platform.today))
        # Of two that set up the same installation at once, one decides.
        platform.store.create(FIRST_DAY_KEY, packed(kept))
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
    today = platform.today
    if not EARLIEST_DAY <= day <= today:
        raise SettingsError(f"{day} cannot be the first day: give one from {EARLIEST_DAY} to {today}")
    held = min((drop.days[0] for drop in platform.ledger.view().drops.values() if drop.days), default=day)
    if held < day:
        raise LakeError(f"values of {held} were read already: give that day, or an earlier one")
    kept = read_first_day(platform.store) or FirstDay(platform.first_day)
    platform.store.write(FIRST_DAY_KEY, packed(kept.moved(day)))
    platform.reload_first_day()


def _is_new(platform: Platform) -> bool:
    return not (platform.settings.says_first_day or platform.has_format or platform.store.exists(FIRST_DAY_KEY))
