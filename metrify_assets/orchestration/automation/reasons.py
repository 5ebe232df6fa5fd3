"""Why a run was asked for, in words: the tags that a person reads in the list of runs.

Belongs here: pure functions from what changed to text. What changed follows from the digests that an output was
computed from against those of now, so a reason is never a guess. Does not belong here: finding that out
(``days/digests.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from metrify_assets.digest import EMPTY

DAYS_TAG = "metrify/days"
REASON_TAG = "metrify/reason"
FILES_TAG = "metrify/files"
NAMES_SHOWN = 3

_OWN = {
    "raw_readings": "corrected or further readings",
    "raw_grid_status": "corrected or further grid status",
    "raw_weather": "corrected or further weather",
    "raw_power_quality": "corrected or further power quality",
    "power_quality_channels": "registry changed",
    "points": "registry changed",
    "registries": "registry changed",
    "forecasts": "registry changed",
    "outages": "outages changed",
    "rules": "rules changed",
    "closed": "a period was closed or reopened",
    "brackets": "register reads changed",
    "profiles": "load profiles changed",
    "holidays": "holidays changed",
    "mart_models": "models changed",
    "mart_seeds": "seeds changed",
    "mart_vars": "thresholds changed",
}
"""Causes, by the kind of the input that changed."""
_FOLLOWING = {
    "validated_readings": "neighbouring days changed",
    "series_days": "neighbouring days changed",
    "clean_readings": "clean days changed",
    "clean_grid_status": "clean days changed",
    "clean_weather": "clean days changed",
    "clean_power_quality": "clean days changed",
}
"""What follows from a cause: named only where a run before this one had the cause."""
_RAW = ("raw_readings", "raw_grid_status", "raw_weather", "raw_power_quality")


class Change(NamedTuple):
    """An input of an output that differs; without a name the output does not exist yet.

    Attributes
    ----------
    table : str
        The output.
    kind : str
        Kind of the input, such as ``raw_readings`` or ``rules``.
    before, now : str
        Digests.
    """

    table: str
    kind: str = ""
    before: str = EMPTY
    now: str = EMPTY


def reason_of(changes: Iterable[Change]) -> str:
    """Return why days are computed, causes before what follows from them."""
    changes = list(changes)
    causes = dict.fromkeys(filter(None, map(_cause, changes)))
    return "; ".join(causes or dict.fromkeys(filter(None, map(_consequence, changes)))) or "inputs changed"


def _cause(change: Change) -> str:
    if not change.kind:
        return "new days" if change.table not in ("clean_readings", "marts") else ""
    if change.kind in _RAW and EMPTY in (change.before, change.now):
        return "readings of new points" if change.now != EMPTY and change.kind == _RAW[0] else _OWN[change.kind]
    return _OWN.get(change.kind, "")


def _consequence(change: Change) -> str:
    if not change.kind:
        return {"marts": "not in the marts yet", "clean_readings": "not estimated yet"}.get(change.table, "")
    return _FOLLOWING.get(change.kind, "")


def attempted(reason: str, attempt: int, most: int) -> str:
    """Return a reason that says which attempt this is, unless it is the first."""
    return reason if attempt == 1 else f"retry, attempt {attempt} of {most}: {reason}"


def day_tags(days: Sequence[date], reason: str) -> dict[str, str]:
    """Return the tags of a run that computes contiguous days."""
    span = str(days[0]) if len(days) == 1 else f"{days[0]}...{days[-1]} ({len(days)})"
    return {DAYS_TAG: span, REASON_TAG: reason}


def file_reason(new: int, corrected: int) -> str:
    """Return why files are read: how many names are new, how many came before with other content."""
    parts = [
        f"{count} {kind} {'file' if count == 1 else 'files'}"
        for count, kind in ((new, "new"), (corrected, "corrected"))
        if count
    ]
    return ", ".join(parts)


def names_of(names: Sequence[str]) -> str:
    """Return the first of some names, on one line, and how many there are besides."""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in name) for name in names[:NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
