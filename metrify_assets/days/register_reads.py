"""Brackets between register reads, of all days: what the intervals of a series must add up to.

Belongs here: reads of many days put in order, and the digest that says on which days a bracket changed. Does not belong
here: finding brackets (``vee/brackets.py``) and what they do (``vee/constraints.py``).

A late read changes the brackets that it lies in or ends; only their days get another digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa

from metrify_assets.registry.points import Key, Registry
from metrify_assets.registry.validity import ValidityDigests, chained, row_digests
from metrify_assets.storage.arrow import decimal_integers
from metrify_assets.vee.brackets import Brackets, CounterTable, find_brackets
from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.constraints import DayBrackets
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_numbers, to_local
from metrify_assets.vee.grid import MULTIPLIER_ONE, UNKNOWN_STATE
from metrify_assets.vee.rulebook import RuleBook

_LOAD_PROFILE = re.compile(r"(1-\d+:)?([12])\.29\.0")
_BRACKET = tuple(Brackets.__dataclass_fields__)
_REGISTER = re.compile(r"(1-\d+:)?[12]\.8\.\d+")


def register_of(obis_code: str) -> str | None:
    """Return the register that counts what a channel delivers in intervals, None if there is none.

    The load profile 1-0:1.29.0 is counted by the total register 1-0:1.8.0; a register is its own. Tariff registers are
    never added to it: each counts apart.
    """
    profile = _LOAD_PROFILE.fullmatch(obis_code)
    if profile:
        return f"{profile.group(1) or ''}{profile.group(2)}.8.0"
    return obis_code if _REGISTER.fullmatch(obis_code) else None


@dataclass(frozen=True, eq=False)
class PairedBrackets:
    """The brackets of a day for the rows of a grid; arrays of shape (B,).

    Attributes
    ----------
    pair : int64 array
        Identity of bracket and series, the same on each day of the bracket.
    start, end : int64 arrays
        Instants of the two reads.
    day : DayBrackets
    """

    pair: np.ndarray
    start: np.ndarray
    end: np.ndarray
    day: DayBrackets


class RegisterIndex:
    """The brackets of a shard.

    Parameters
    ----------
    reads : iterable of pyarrow.Table
        Rows of ``register_reads`` of the shard, any days in any order.
    registry : Registry
    shard : int
    rules : RuleBook
        Of the days on which reads were taken.
    """

    def __init__(self, reads: Iterable[pa.Table], registry: Registry, shard: int, rules: RuleBook):
        self.zone = registry.zone
        self.resolutions = sorted(set(registry.tables["points"]["interval_minutes"].to_pylist()))
        self._joined: dict[int, tuple[Brackets, np.ndarray]] = {}
        tables = [table for table in reads if table.num_rows]
        self.keys: list[Key] = []
        if not tables:
            self.brackets = _no_brackets()
            return
        rows = pa.concat_tables(tables).unify_dictionaries()
        statuses = rows["source_status"].cast(pa.string()).to_pylist()
        # What a sender estimated or calls provisional constrains nothing.
        rank = np.array([SourceStatus[status.upper()] for status in statuses], dtype=np.int64)
        # The better status, then the later reception, comes first: it counts where two days hold one instant.
        best = np.lexsort((-rows["received_at"].cast(pa.int64()).to_numpy(), -rank))
        rows = rows.take(pa.array(best[rank[best] >= SourceStatus.MEASURED]))
        keys = list(zip(rows["point_id"].to_pylist(), rows["obis_code"].to_pylist(), strict=True))
        self.keys = sorted(set(keys))
        number_of = {key: number for number, key in enumerate(self.keys)}
        self.brackets = find_brackets(
            np.array([number_of[key] for key in keys], dtype=np.int64),
            rows["read_at"].cast(pa.int64()).to_numpy(),
            decimal_integers(rows["state_kwh"]),
            _with_unregistered(registry.counters(shard, number_of), len(self.keys)),
            partial(_rollover_percent, rules, registry.zone),
        )

    @cached_property
    def _number_of(self) -> dict[Key, int]:
        return {key: number for number, key in enumerate(self.keys)}

    @cached_property
    def digests(self) -> ValidityDigests:
        """Digest of the brackets that overlap each day."""
        pieces = [self.brackets, *(self._changed_by_joining(minutes) for minutes in self.resolutions)]
        brackets = Brackets(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in _BRACKET))
        texts = pa.table({"point": [key[0] for key in self.keys], "obis": [key[1] for key in self.keys]})
        digest = row_digests(texts)[brackets.register] if self.keys else np.empty(0, dtype=np.uint64)
        for column in (brackets.start, brackets.end, brackets.energy, brackets.unit, brackets.flags):
            digest = chained(digest, column.astype(np.int64).view(np.uint64))
        first = day_numbers(brackets.start, self.zone).astype(np.int64)
        last = day_numbers(brackets.end - 1, self.zone).astype(np.int64)
        return ValidityDigests(first, last + 1, digest)

    def _of_grid(self, interval_minutes: int) -> tuple[Brackets, np.ndarray]:
        """Return the brackets between reads on boundaries of slots, and the identity of each.

        A read within a slot is left out: what was counted cannot be told apart there. The brackets on both sides of it
        are one, so that such a read never undoes what the others say.
        """
        if interval_minutes not in self._joined:
            step = interval_minutes * MICROSECONDS_PER_MINUTE
            # Slots are counted from local midnight.
            within = to_local(self.brackets.end, self.zone) % step != 0
            joined, first, last = self.brackets.joined(within)
            self._joined[interval_minutes] = joined, first * (len(self.brackets) + 1) + last
        return self._joined[interval_minutes]

    def _changed_by_joining(self, interval_minutes: int) -> Brackets:
        joined, identity = self._of_grid(interval_minutes)
        first, last = np.divmod(identity, len(self.brackets) + 1)
        return joined.take(first != last)

    def on(self, day: DeliveryDay, keys: list[Key], interval_minutes: int) -> PairedBrackets:
        """Return the brackets that overlap a day, for the rows of a grid.

        Those of a single slot of the register's own series are left out: they say nothing that the slot does not.
        """
        row, register, own = self._rows(keys)
        joined, identity = self._of_grid(interval_minutes)
        step = interval_minutes * MICROSECONDS_PER_MINUTE
        # Slots of other days start on the same boundaries: a day is a whole number of slots.
        aligned = ((joined.start - day.start) % step == 0) & ((joined.end - day.start) % step == 0)
        touching = np.flatnonzero((joined.start < day.end) & (joined.end > day.start) & aligned)
        joined, identity = joined.take(touching), identity[touching]
        low = np.searchsorted(joined.register, register, side="left")
        high = np.searchsorted(joined.register, register, side="right")
        count = high - low
        entry = np.repeat(np.arange(len(row)), count)
        bracket = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[entry]
        usable = ~(own[entry] & (joined.end[bracket] - joined.start[bracket] <= step))
        entry, bracket = entry[usable], bracket[usable]
        start, end = joined.start[bracket], joined.end[bracket]
        return PairedBrackets(
            pair=2 * identity[bracket] + own[entry],
            start=start,
            end=end,
            day=DayBrackets(
                row=row[entry],
                first=(np.maximum(start, day.start) - day.start) // step,
                end=(np.minimum(end, day.end) - day.start) // step,
                energy=joined.energy[bracket],
                unit=joined.unit[bracket],
                flags=joined.flags[bracket],
            ),
        )

    def _rows(self, keys: list[Key]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the grid rows that have a register, the registers' numbers, and whether the series is its own."""
        numbers = []
        register_codes = {code: register_of(code) for code in {code for _, code in keys}}
        for row, (point, code) in enumerate(keys):
            register = register_codes[code]
            number = self._number_of.get((point, register)) if register is not None else None
            if number is not None:
                numbers.append((row, number, register == code))
        columns = np.array(numbers, dtype=np.int64).reshape(-1, 3)
        return columns[:, 0], columns[:, 1], columns[:, 2].astype(bool)


def _rollover_percent(rules: RuleBook, zone: str, read_at: np.ndarray) -> np.ndarray:
    """Return ``register_rollover_percent`` of the day that each read closes; shape (N,)."""
    starts = np.array([start for start, _ in rules.rollover_percents], dtype="datetime64[D]").astype(np.int64)
    values = np.array([percent for _, percent in rules.rollover_percents], dtype=np.int64)
    edition = np.searchsorted(starts, day_numbers(read_at - 1, zone), side="right") - 1
    # The first edition holds for every day before, too.
    return values[np.maximum(edition, 0)]


def _no_brackets() -> Brackets:
    nothing = np.empty(0, dtype=np.int64)
    return Brackets(nothing, nothing, nothing, nothing, nothing, np.empty(0, dtype=np.int32))


def _with_unregistered(counters: CounterTable, registers: int) -> CounterTable:
    """Return counters with one that serves for ever for each register that the registry of registers does not know.

    Its reads were taken in because the points know the series: one counter without any known limit is assumed.
    """
    missing = np.setdiff1d(np.arange(registers), counters.register)
    if len(missing) == 0:
        return counters

    def joined(values: np.ndarray, filler: int) -> np.ndarray:
        return np.concatenate([values, np.full(len(missing), filler, dtype=np.int64)])

    limits = np.iinfo(np.int64)
    table = CounterTable(
        register=np.concatenate([counters.register, missing]),
        start=joined(counters.start, limits.min),
        end=joined(counters.end, limits.max),
        modulus=joined(counters.modulus, 0),
        multiplier=joined(counters.multiplier, MULTIPLIER_ONE),
        resolution=joined(counters.resolution, 0),
        initial=joined(counters.initial, UNKNOWN_STATE),
        final=joined(counters.final, UNKNOWN_STATE),
    )
    order = np.lexsort((table.start, table.register))
    return CounterTable(*(getattr(table, name)[order] for name in table.__dataclass_fields__))
