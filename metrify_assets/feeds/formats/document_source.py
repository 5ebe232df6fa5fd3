"""JSON documents: one document per file, whose records lie at declared paths, to a chunk of text columns.

Belongs here: finding records and their fields. Does not belong here: JSON lines (``json_source.py``) and the meaning of
a field. Paths are names joined by dots; ``hourly[]`` is every element of the array ``hourly``, an empty path the
document itself. In a field's path a number is the position in an array. A field that a record lacks is a missing value,
as such services leave out what they do not know; a record without its stamp or a label is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.model import JsonDocumentFeed

MAX_DOCUMENT_BYTES = 64 << 20
"""Largest document: it is held in memory as a whole, several times its size."""


class JsonDocumentSource:
    """A file with one JSON document; see ``chunk.Source``."""

    def __init__(self, feed: JsonDocumentFeed, path: Path) -> None:
        self._feed = feed
        self._path = path
        optional = feed.dispensable_columns.union(name for value in feed.values for name in value.columns)
        self._required = tuple(name for name in feed.used_columns if name not in optional)

    def chunks(self) -> Iterator[Chunk]:
        """Yield all records at once; raise ``UnreadableFile`` if the file is no such document."""
        records = self._records(self._document())
        rejects = []
        good: list[int] = []
        for number, record in enumerate(records, start=1):
            problem = self._problem(record)
            if problem is None:
                good.append(number)
            else:
                rejects.append(Reject(number, *problem, _text(record) or ""))
        columns = {
            name: pa.array([_text(_field(records[number - 1], name)) for number in good], pa.string())
            for name in self._feed.used_columns
        }

        def payloads(row_numbers: np.ndarray) -> list[str]:
            return [_text(records[number - 1]) or "" for number in row_numbers.tolist()]

        yield Chunk(np.array(good, dtype=np.int64), columns, payloads, len(records), rejects)

    def _document(self) -> Any:
        size = self._path.stat().st_size
        if not size:
            raise UnreadableFile(RejectReason.EMPTY_FILE, "expected a JSON document, found an empty file")
        if size > MAX_DOCUMENT_BYTES:
            detail = f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes, found {size}"
            raise UnreadableFile(RejectReason.TOO_LARGE, detail, beginning(self._path))
        try:
            text = self._path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            detail = f"expected utf-8, found byte 0x{error.object[error.start]:02x} at {error.start}"
            raise UnreadableFile(RejectReason.BAD_ENCODING, detail, beginning(self._path)) from error
        try:
            return json.loads(text, parse_float=_decimal, parse_constant=str)
        except (ValueError, RecursionError) as error:
            detail = f"expected one JSON document, found: {error}"
            raise UnreadableFile(RejectReason.BAD_JSON, detail, text) from error

    def _records(self, document: Any) -> list[Any]:
        parts = [list(records) for path in self._feed.records if (records := _at(document, path)) is not None]
        records = [record for part in parts for record in part]
        if not records:
            expected = " or ".join(path or "an object" for path in self._feed.records)
            reason = RejectReason.EMPTY_FILE if parts else RejectReason.MISSING_FIELD
            raise UnreadableFile(reason, f"expected records at {expected}, found none", _text(document) or "")
        return records

    def _problem(self, record: Any) -> tuple[RejectReason, str] | None:
        if not isinstance(record, dict | list):
            return RejectReason.BAD_JSON, "expected an object or an array as a record"
        missing = [name for name in self._required if _field(record, name) is None]
        return (RejectReason.MISSING_FIELD, f"expected the field {missing[0]!r}") if missing else None


def _at(document: Any, path: str) -> list[Any] | None:
    """Return the records at a path; None if the document has no such place."""
    if not path:
        return [document] if isinstance(document, dict) else None
    name = path.removesuffix("[]")
    value = _field(document, name) if name else document
    if path.endswith("[]"):
        return value if isinstance(value, list) else None
    return None if value is None else [value]


def _field(record: Any, path: str) -> Any:
    """Return what lies at a path; None where it is absent or null."""
    for part in path.split("."):
        if isinstance(record, dict):
            record = record.get(part)
        elif isinstance(record, list) and part.isdecimal() and int(part) < len(record):
            record = record[int(part)]
        else:
            return None
    return record


def _decimal(text: str) -> Decimal | str:
    """Return a number with its digits; as text, what no computer holds (1e99999999999999999999)."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _text(value: Any) -> str | None:
    """Return a value as the sender wrote it; numbers keep their digits, halves of characters their escapes."""
    if value is None:
        return None
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, default=float, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()
