"""A warehouse of which only the name, the existence, the mark and the dropped tables matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class Database:
    """Stands for the warehouse in a folder: whoever opens it finds the mark that was left there."""

    def __init__(self, folder: Path, identity: str = "duckdb"):
        folder.mkdir(parents=True, exist_ok=True)
        self.identity = identity
        self.exists = True
        self.dropped: list[str] = []
        self._mark = folder / "mark"

    def mark(self) -> str | None:
        """Return what the last run left."""
        return self._mark.read_text() if self._mark.exists() else None

    def leave(self, mark: str | None) -> None:
        """Put another mark in its place, or none."""
        self._mark.unlink() if mark is None else self._mark.write_text(mark)

    def prepare_build(self, parts: object, days: object, local_copies: object, mark: str) -> None:
        """Take note of the mark alone; from then on it is there."""
        self.exists = True
        self._mark.write_text(mark)

    def drop(self, tables: Sequence[str]) -> None:
        """Take note of the tables."""
        self.dropped.extend(tables)
