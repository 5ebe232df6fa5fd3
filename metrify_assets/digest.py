"""Digests: what says whether something is what it was, and in which shard a point lies.

Belongs here: the functions whose results are stored for ever. They must not change.
"""

from __future__ import annotations

from hashlib import blake2b
from zlib import crc32

EMPTY = "empty"
"""Digest of a shard without rows, and of a day that is not there."""


def digest_of(*parts: object) -> str:
    """Return a stable 16-digit digest of values with a stable text form (text, numbers, dates, sorted tuples)."""
    hasher = blake2b(digest_size=8)
    for part in parts:
        hasher.update(repr(part).encode())
        hasher.update(b"\x1f")
    return hasher.hexdigest()


def shard_of(point_id: str, shards: int) -> int:
    """Return the shard of a point: CRC-32 of its UTF-8 bytes, modulo the number of shards; the same for ever."""
    return crc32(point_id.encode()) % shards
