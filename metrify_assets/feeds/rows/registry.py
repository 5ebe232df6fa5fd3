"""Registries: from a chunk of text to typed rows with validity intervals.

Belongs here: types, required values, hard ranges and duplicate keys of a registry file. Does not belong here: the
choice among versions of a row (the registry assets).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, encode
from metrify_assets.feeds.formats.text_source import PROVENANCE
from metrify_assets.feeds.model import RegistryFeed
from metrify_assets.feeds.rows.batch import Batch, Provenance, QuarantineRows
from metrify_assets.feeds.values.numbers import MICRO, OK, NumberReader
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Column

Value = Any
"""A cell: str, int, float, date, datetime or None, as the type of its column says."""


class RegistryReader:
    """Turns chunks of one registry file into batches; the first row of a key stands, further ones are refused."""

    def __init__(self, feed: RegistryFeed, provenance: Provenance, zone: str) -> None:
        self._feed = feed
        self._zone = ZoneInfo(zone)
        self._provenance = provenance
        self._table = REGISTRIES[feed.registry]
        self._columns = [
            column for column in self._table.columns if column.name not in PROVENANCE and not column.derived
        ]
        self._theirs = {ours: theirs for theirs, ours in feed.rename.items()}
        self._blank = {"", *feed.sentinels}
        self._numbers = NumberReader(feed.decimal, feed.thousands)
        self._seen: set[tuple[Value, ...]] = set()

    def read(self, chunk: Chunk) -> Batch:
        """Return the rows of a chunk in file order, and the quarantine rows of what was refused."""
        problems: dict[int, str] = {}
        values = {column.name: self._read_column(column, chunk, problems) for column in self._columns}
        if "starts_at" in values:
            self._add_validity(values, problems)
        self._check_validity(values, problems)
        duplicates = self._duplicates(values, len(chunk.row_numbers), problems)
        good = np.array(
            [i for i in range(len(chunk.row_numbers)) if i not in problems and i not in duplicates], dtype=np.int64
        )
        arrays = {
            column.name: pa.array([values[column.name][i] for i in good.tolist()], _plain(column.type)).cast(
                column.type
            )
            for column in self._table.columns
            if column.name not in PROVENANCE
        }
        arrays |= self._provenance.columns(chunk.row_numbers[good])
        schema = self._table.arrow
        rows = pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)
        return Batch(rows, self._quarantine(chunk, problems, duplicates))

    def _read_column(self, column: Column, chunk: Chunk, problems: dict[int, str]) -> list[Value]:
        """Return typed values; add the first problem of a row to ``problems``."""
        name = self._theirs.get(column.name, column.name)
        if name not in chunk.columns:
            return [None] * len(chunk.row_numbers)
        codes, texts = encode(chunk.columns[name])
        typed: list[Value] = []
        wrong: dict[int, str] = {}
        for code, text in enumerate(texts.cast(pa.string()).to_pylist()):
            try:
                typed.append(self._typed(column, "" if text is None else text.strip()))
            except ValueError as error:
                typed.append(None)
                wrong[code] = f"{name}: {error}, found {text!r}"
        if wrong:
            for row in np.flatnonzero(np.isin(codes, list(wrong))).tolist():
                problems.setdefault(row, wrong[int(codes[row])])
        return [typed[code] for code in codes.tolist()]

    def _typed(self, column: Column, text: str) -> Value:
        """Return the value of one cell; raise ``ValueError`` with what was expected."""
        if text in self._blank:
            if not column.nullable:
                raise ValueError("expected a value")
            return None
        value = self._parser(column.type)(text)
        if column.allowed is not None and value not in column.allowed:
            raise ValueError(f"expected one of {', '.join(column.allowed)}")
        if column.hard_minimum is not None and value < column.hard_minimum:
            raise ValueError(f"expected at least {column.hard_minimum:g}")
        if column.hard_maximum is not None and value > column.hard_maximum:
            raise ValueError(f"expected at most {column.hard_maximum:g}")
        return value

    def _parser(self, kind: pa.DataType) -> Callable[[str], Value]:
        if pa.types.is_integer(kind):
            return self._integer
        if pa.types.is_floating(kind):
            return self._number
        if pa.types.is_timestamp(kind):
            return _instant
        return _date if pa.types.is_date(kind) else str

    def _number(self, text: str) -> float:
        read = self._numbers.read(pa.array([text]))
        if read.state[0] != OK:
            raise ValueError(f"expected a number with decimal sign {self._feed.decimal!r}")
        value: float = int(read.micro[0]) / MICRO
        return value

    def _integer(self, text: str) -> int:
        value = self._number(text)
        if not value.is_integer() or abs(value) > np.iinfo(np.int16).max:
            raise ValueError("expected a whole number")
        return int(value)

    def _add_validity(self, values: dict[str, list[Value]], problems: dict[int, str]) -> None:
        """Work out the delivery days that rows with instants touch."""
        pairs = list(zip(values["starts_at"], values["ends_at"], strict=True))
        for row, (start, end) in enumerate(pairs):
            if start is not None and end is not None and end <= start:
                problems.setdefault(row, f"ends_at: expected an instant after starts_at {start}, found {end}")
        values["valid_from"] = [None if start is None else start.astimezone(self._zone).date() for start, _ in pairs]
        values["valid_to"] = [
            None
            if start is None or end is None or end <= start
            else (end - timedelta(microseconds=1)).astimezone(self._zone).date() + timedelta(days=1)
            for start, end in pairs
        ]

    def _check_validity(self, values: dict[str, list[Value]], problems: dict[int, str]) -> None:
        for row, (start, end) in enumerate(zip(values["valid_from"], values["valid_to"], strict=True)):
            if start is not None and end is not None and end <= start:
                problems.setdefault(row, f"valid_to: expected a day after valid_from {start}, found {end}")

    def _duplicates(self, values: dict[str, list[Value]], rows: int, problems: dict[int, str]) -> set[int]:
        """Return the rows whose key an earlier readable row of the file has."""
        duplicates = set()
        for row in range(rows):
            if row in problems:
                continue
            key = tuple(values[name][row] for name in self._table.key)
            if key in self._seen:
                duplicates.add(row)
            self._seen.add(key)
        return duplicates

    def _quarantine(self, chunk: Chunk, problems: dict[int, str], duplicates: set[int]) -> pa.Table:
        rows = QuarantineRows()
        for reject in chunk.rejects:
            rows.add(reject, reject.rows)
        refused = sorted({*problems, *duplicates})
        key = ", ".join(self._table.key)
        for row, payload in zip(refused, chunk.payloads(chunk.row_numbers[refused]) if refused else [], strict=True):
            number = int(chunk.row_numbers[row])
            if row in problems:
                rows.add(Reject(number, RejectReason.BAD_REGISTRY_VALUE, problems[row], payload), 1)
            else:
                detail = f"expected every {key} once; an earlier row of the file has this one"
                rows.add(Reject(number, RejectReason.DUPLICATE_KEY, detail, payload), 1)
        return rows.table(self._provenance)


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("expected an instant such as 2026-03-01T10:00:00+01:00") from error
    if moment.tzinfo is None:
        raise ValueError("expected an instant with its offset, such as 2026-03-01T10:00:00+01:00")
    if not MINYEAR < moment.year < MAXYEAR:
        # Its day, in UTC or where the meters are, may be beyond the calendar.
        raise ValueError(f"expected an instant between the years {MINYEAR + 1} and {MAXYEAR - 1}")
    return moment.astimezone(UTC)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("expected a date such as 2026-03-01") from error


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
