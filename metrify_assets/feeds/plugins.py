"""Readers of formats that other packages bring along: entry points of the group ``metrify.readers``.

Belongs here: finding them, and what they must be. Does not belong here: choosing among Metrify's own formats
(``reader.py``).

An entry point names a callable that takes the feed and the path of a plain file and returns a ``chunk.Source``; see
docs/extending.md.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.errors import FeedError
from metrify_assets.plugins import load_entry

if TYPE_CHECKING:
    from metrify_assets.feeds.formats.chunk import Source
    from metrify_assets.feeds.model import Feed

READERS = "metrify.readers"


def reader_entry(name: str) -> EntryPoint:
    """Return the entry point of a reader; raise ``ValueError`` if not exactly one installed package has it."""
    entries = entry_points(group=READERS)
    chosen = [entry for entry in entries if entry.name == name]
    if not chosen:
        others = ", ".join(sorted(entries.names)) or "none is installed"
        raise ValueError(f"no installed package has the reader {name!r} ({others}): install the one that has")
    if len(chosen) > 1:
        packages = ", ".join(sorted(entry.dist.name for entry in chosen if entry.dist))
        raise ValueError(f"several packages have the reader {name!r} ({packages}): uninstall all but one")
    return chosen[0]


def reader_version(name: str) -> str:
    """Return package and version that a reader comes from: with another one, files may be read otherwise."""
    package = reader_entry(name).dist
    return f"{package.name} {package.version}" if package else ""


def load_reader(name: str) -> Callable[[Feed, Path], Source]:
    """Return a reader.

    Raises
    ------
    FeedError
        If its package is not installed or cannot be imported, or what it names cannot be called.
    """
    try:
        entry = reader_entry(name)
        reader: Callable[[Feed, Path], Source] = load_entry(entry, "reader")
    except ValueError as error:
        raise FeedError(str(error)) from error
    if not callable(reader):
        raise FeedError(f"reader {name} ({entry.value}) is {type(reader).__name__}, expected a class or a function")
    return reader
