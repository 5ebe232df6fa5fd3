"""The inputs that outputs are computed from: for each its name and the digest that it has now.

Belongs here: one line for each input of a day. Does not belong here: when an output is dirty (``digests.py``), and the
inputs of the marts (``warehouse/digests.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import DamagedFileError
from metrify_assets.reference.calendar import holiday_digest
from metrify_assets.reference.load_profiles import load_profiles
from metrify_assets.schemas.grid_and_weather import grid_ranges_digest
from metrify_assets.schemas.power_quality import power_quality_ranges_digest

if TYPE_CHECKING:
    from metrify_assets.days.digests import Digests

InputDigest = Callable[["Digests", date | None, int], str]
"""From the state of now, a day (None for inputs without days) and a shard to the digest of the input."""

DayDigest = Callable[["Digests", date, int], str]
"""The same of an input that has days."""

OPEN = "open"
"""Digest of the closing of a day that is not closed."""

DAMAGED = "damaged"
"""Digest of what cannot be read."""


def _closing(state: Digests, day: date, shard: int) -> str:
    closed = state.periods.shard(day, shard)
    return closed.digest if closed else OPEN


def _brackets(state: Digests, day: date, shard: int) -> str:
    try:
        return state.register_index(shard).digests.on(day)
    except DamagedFileError:
        return DAMAGED


def _grid_status(state: Digests, day: date, shard: int) -> str:
    # What is judged by other ranges is another input.
    return digest_of(state.view.day_digest("raw_grid_status", day), grid_ranges_digest())


def _raw_shard_of(table: str) -> DayDigest:
    """Return the input that is what was delivered for the same shard of a raw table's day."""
    return lambda state, day, shard: state.view.raw_digests(table).get(day.isoformat(), {}).get(str(shard), EMPTY)


def _power_quality(state: Digests, day: date, shard: int) -> str:
    return digest_of(_raw_shard_of("raw_power_quality")(state, day, shard), power_quality_ranges_digest())


def _shard_of(table: str) -> DayDigest:
    """Return the input that is the same shard of a table's day."""

    def digest(state: Digests, day: date, shard: int) -> str:
        if day in state.days(table).damaged:
            return DAMAGED
        manifest = state.days(table).get(day)
        part = manifest.shards.get(shard) if manifest else None
        return part.digest if part else EMPTY

    return digest


def _day_of(table: str) -> DayDigest:
    """Return the input that is a whole day of a table."""

    def digest(state: Digests, day: date, shard: int) -> str:
        if day in state.days(table).damaged:
            return DAMAGED
        manifest = state.days(table).get(day)
        return manifest.digest if manifest else EMPTY

    return digest


def _with_day(name: str, digest_on: DayDigest) -> InputDigest:
    """Return an input that has days as one among all; without a day it raises ``ValueError``."""

    def digest(state: Digests, day: date | None, shard: int) -> str:
        if day is None:
            raise ValueError(f"the input {name} has days: name one, as in {name}@2026-03-10")
        return digest_on(state, day, shard)

    return digest


_DAY_INPUTS: Mapping[str, DayDigest] = {
    # What was delivered.
    "raw_readings": _raw_shard_of("raw_readings"),
    "raw_power_quality": _power_quality,
    "raw_grid_status": _grid_status,
    "raw_weather": lambda state, day, shard: state.view.day_digest("raw_weather", day),
    # What is registered.
    "points": lambda state, day, shard: state.registry.shard_digest(day, shard),
    "power_quality_channels": lambda state, day, shard: state.registry.power_quality_digest(day, shard),
    "forecasts": lambda state, day, shard: state.registry.estimation_digest(day, shard),
    "outages": lambda state, day, shard: state.registry.outage_digest(day, shard),
    "registries": lambda state, day, shard: state.registry.day_digest(day),
    "brackets": _brackets,
    # What everybody reads.
    "rules": lambda state, day, shard: state.rules_on(day).digest,
    "holidays": lambda state, day, shard: holiday_digest(day),
    # What people decided.
    "closed": _closing,
    # What was computed.
    "validated_readings": _shard_of("validated_readings"),
    "series_days": _shard_of("series_days"),
    "clean_readings": _day_of("clean_readings"),
    "clean_grid_status": _day_of("clean_grid_status"),
    "clean_weather": _day_of("clean_weather"),
    "clean_power_quality": _day_of("clean_power_quality"),
}

INPUTS: Mapping[str, InputDigest] = {
    **{name: _with_day(name, digest) for name, digest in _DAY_INPUTS.items()},
    "profiles": lambda state, day, shard: load_profiles().digest,
}
