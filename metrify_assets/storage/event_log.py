"""Append-only records: one immutable JSON object each, in the order in which they were written.

Belongs here: how records are named, written and read, whatever the clocks of their writers say. A record's name begins
with a moment that is never earlier than that of the records before it, so new records are at the end of the listing.
No reader asks a clock. Does not belong here: what a record means (``drops/``, ``days/periods.py``,
``reference/rule_books.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from metrify_assets.clock import EPOCH, SYSTEM_CLOCK, Clock, instant, microseconds
from metrify_assets.errors import LakeError
from metrify_assets.storage.object_store import ObjectStore, StoredObject

SUFFIX = ".json"
OVERLAP = timedelta(minutes=5)
"""How far before the latest record a new one may appear, by the moments in their names, and be found at once."""
STEP = timedelta(seconds=1)
"""What a record's moment is later than one far ahead of the clock: the last ``OVERLAP`` never holds many records."""


Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class MomentFormat:
    """How a moment (UTC microseconds) is written at the beginning of a record's name, in an order of text.

    Attributes
    ----------
    text : callable
        From a moment to its text.
    length : int
        Characters of the text.
    parse : callable
        From such a text to the moment; raises ``ValueError`` for another text.
    """

    text: Callable[[int], str]
    length: int
    parse: Callable[[str], int]


_DATED = "%Y-%m-%d/%H/%M%S%f"
BY_HOUR = MomentFormat(
    text=lambda moment: f"{instant(moment):{_DATED}}",
    length=len("2026-01-01/00/0000000000"),
    parse=lambda text: microseconds(datetime.strptime(text, _DATED).replace(tzinfo=EPOCH.tzinfo)),
)
"""In a folder for each hour: for many records."""
BY_NUMBER = MomentFormat(text=lambda moment: f"{moment:020d}", length=20, parse=int)
"""In one folder: for records that people make."""


class EventLog:
    """The records below one folder.

    Parameters
    ----------
    store : ObjectStore
    folder : str
    moments : MomentFormat
    remedy : callable
        From the key of a damaged record to what a person does about it.
    clock : Clock
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        moments: MomentFormat,
        remedy: Callable[[str], str],
        clock: Clock = SYSTEM_CLOCK,
    ):
        self._store, self._folder, self._moments, self._remedy = store, folder, moments, remedy
        self.clock = clock

    def key_at(self, moment: int) -> str:
        """Return how the keys of records begin that are written at a moment."""
        return f"{self._folder}/{self._moments.text(moment)}"

    def written_at(self, key: str) -> int | None:
        """Return when a record was written, by its name; None if the name does not say."""
        text = key.removeprefix(f"{self._folder}/")
        try:
            return self._moments.parse(text[: self._moments.length])
        except ValueError:
            return None

    def own_name(self, key: str) -> str:
        """Return the name that a record was written under."""
        beginning = len(self._folder) + 1 + self._moments.length + 1
        return (key if self.written_at(key) is None else key[beginning:]).removesuffix(SUFFIX)

    def list(self, after: str = "") -> list[StoredObject]:
        """Return the records that are there, in order; only those whose key comes after a key, if one is given."""
        return sorted(
            (item for item in self._store.list(self._folder, after) if item.key.endswith(SUFFIX)),
            key=lambda item: item.key,
        )

    def read(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return records by key; those that are gone are left out.

        Raises
        ------
        LakeError
            If one is damaged: what it is, and what to do.
        """
        keys = list(keys)
        records = {}
        for key, content in zip(keys, self._store.read_all(keys), strict=True):
            if content is None:
                continue
            try:
                records[key] = json.loads(content)
            except ValueError as error:
                raise self._damaged(key, error) from error
        return records

    def parsed(self, records: Mapping[str, Any], parse: Callable[[str, Any], Parsed]) -> dict[str, Parsed]:
        """Return what records say; raise ``LakeError`` for one of another shape: what it is, and what to do."""
        meanings = {}
        for key, record in records.items():
            try:
                meanings[key] = parse(key, record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                problem = f"it has another shape, {type(error).__name__}: {error}"
                raise self._damaged(key, problem) from error
        return meanings

    def _damaged(self, key: str, problem: object) -> LakeError:
        return LakeError(f"{key} is damaged ({problem}): {self._remedy(key)}")

    def next_moment(self, latest: int = 0) -> int:
        """Return the moment for a new record: now, or just after the latest record if that is ahead of this clock.

        ``latest`` is the moment of the latest record that the caller has seen.
        """
        moment = self.clock.now()
        ahead = self.list(self.key_at(max(moment, latest)))
        latest = max([*filter(None, (self.written_at(item.key) for item in ahead)), latest])
        if latest < moment:
            return moment
        is_far_ahead = latest - moment > OVERLAP // timedelta(microseconds=1)
        return latest + (STEP // timedelta(microseconds=1) if is_far_ahead else 1)

    def append(self, moment: int, name: str, record: Mapping[str, Any]) -> str:
        """Write a record of a moment that ``next_moment`` gave; return its key."""
        key = self.key_at(moment) + (f"-{name}" if name else "") + SUFFIX
        self._store.write(key, json.dumps(record, separators=(",", ":")).encode())
        return key
