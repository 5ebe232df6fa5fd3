"""Events in few bytes: Dagster's JSON, packed with a dictionary of typical events.

Belongs here: the column type that packs and unpacks. An event is 1.8 kB of JSON of which hardly anything is new; with
the dictionary it takes about 110 bytes. Rows that were written before are text and are read as they are. Does not
belong here: which events are stored (``dagster_storage.py``).

A packed event is the number of its dictionary, one byte, and raw deflate data. A dictionary is never changed: another
one gets the next number.
"""

from __future__ import annotations

import zlib
from functools import cache, lru_cache
from pathlib import Path

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

CURRENT = 1
_LEVEL, _WINDOW_BITS, _MEMORY = 6, -15, 9


@cache
def _dictionary(number: int) -> bytes:
    return Path(__file__).with_name(f"event_dictionary_{number}.txt").read_bytes()


@cache
def _packer() -> zlib._Compress:
    # Made once and copied: taking in the dictionary costs more than packing an event.
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _dictionary(CURRENT))


@lru_cache(maxsize=4)
def pack(text: str) -> bytes:
    """Return an event's JSON in few bytes. Each event is stored two or three times, so the last ones are remembered."""
    packer = _packer().copy()
    return bytes([CURRENT]) + packer.compress(text.encode()) + packer.flush()


def unpack(content: bytes) -> str:
    """Return the JSON of a packed event."""
    unpacker = zlib.decompressobj(_WINDOW_BITS, _dictionary(content[0]))
    return (unpacker.decompress(content[1:]) + unpacker.flush()).decode()


class PackedText(TypeDecorator[str]):
    """A text column that reads values packed or as text, and writes them in one of both ways.

    Parameters
    ----------
    packs : bool
        Whether what is written is packed.
    """

    impl = Text
    cache_ok = True

    def __init__(self, packs: bool):
        super().__init__()
        self.packs = packs

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        """Return what is stored."""
        return pack(value) if self.packs and value is not None else value

    def process_result_value(self, value: str | bytes | None, dialect: Dialect) -> str | None:
        """Return what Dagster reads."""
        return unpack(value) if isinstance(value, bytes) else value
