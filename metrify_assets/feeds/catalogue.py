"""The feeds that are known: those that ship with Metrify and those of the installation.

Belongs here: finding and loading the YAML files, and errors that name file, field and remedy. Does not belong here:
what a feed may say (``model/``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import Feed, parse_feed
from metrify_assets.settings import Settings

BUILT_IN = Path(__file__).resolve().parent / "definitions"
_FAST_LOADER: type[Any] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Feeds(Mapping[str, Feed]):
    """Feeds by name, and the definitions that cannot be read: those stop nothing but their own feed.

    Parameters
    ----------
    feeds : mapping of str to Feed
    broken : mapping of str to str
        By the name that the file gives the feed: what is wrong with it, in one line that names the file.
    """

    def __init__(self, feeds: Mapping[str, Feed], broken: Mapping[str, str]) -> None:
        self._feeds = dict(sorted(feeds.items()))
        self.broken = dict(sorted(broken.items()))

    def __getitem__(self, name: str) -> Feed:
        return self._feeds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._feeds)

    def __len__(self) -> int:
        return len(self._feeds)


def load_feeds(settings: Settings) -> Feeds:
    """Return the built-in feeds and those of ``settings.feeds_dir`` by name, sorted.

    A definition that is wrong is among ``Feeds.broken``. One that takes the name of a built-in feed is as well; the
    built-in feed stays.

    Raises
    ------
    FeedError
        If the folder is absent.
    """
    feeds: dict[str, Feed] = {}
    broken: dict[str, str] = {}
    for path in _definitions(settings):
        try:
            feed = _built_in(path) if path.parent == BUILT_IN else load_feed(path)
            if feed.name in feeds:
                raise FeedError(f"{path}: a feed {feed.name!r} exists already: choose another name")
        except FeedError as error:
            broken[path.stem] = str(error)
        else:
            feeds[feed.name] = feed
    return Feeds(feeds, broken)


def definitions_state(settings: Settings) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a definition is added, removed or written: paths, sizes and times."""
    states = []
    for path in _definitions(settings):
        try:
            stat = path.stat()
        except OSError:
            # It was removed since, or is a link to nowhere: reading it says so.
            states.append((str(path), -1, -1))
        else:
            states.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(states)


def _definitions(settings: Settings) -> list[Path]:
    folders = [BUILT_IN]
    if settings.feeds_dir is not None:
        if not settings.feeds_dir.is_dir():
            raise FeedError(f"{settings.feeds_dir} is no folder: set METRIFY_FEEDS_DIR to where feed definitions are")
        folders.append(settings.feeds_dir)
    return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]


@cache
def _built_in(path: Path) -> Feed:
    """Return a definition of the package, whose files do not change while it runs."""
    return load_feed(path)


def load_feed(path: Path) -> Feed:
    """Read one definition; raise ``FeedError`` in one line if it is wrong."""
    # The parser in C takes a tenth of the time. What others write can be nested so deep that it takes the process down.
    loader = _FAST_LOADER if path.parent == BUILT_IN else yaml.SafeLoader
    try:
        declared = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except UnicodeDecodeError as error:
        raise FeedError(f"{path}: not UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}: make it a file that the user who runs Metrify may read") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that no calendar has is a ValueError of YAML's constructors, thousands of brackets a RecursionError.
        raise FeedError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(declared, dict):
        raise FeedError(f"{path}: must hold fields such as name: and kind:, see {BUILT_IN}")
    try:
        feed = parse_feed(declared, path.parent)
    except FeedError as error:
        raise FeedError(f"{path}: {error}") from error
    if feed.name != path.stem:
        raise FeedError(f"{path}: name is {feed.name!r}: call the file {feed.name}.yaml")
    return feed


def broken_feeds(feeds: Mapping[str, Feed]) -> Mapping[str, str]:
    """Return what is wrong with the definitions that cannot be read, by the name of the feed that is not there."""
    broken = feeds.broken if isinstance(feeds, Feeds) else {}
    return {name: problem for name, problem in broken.items() if name not in feeds}


def get_feed(feeds: Mapping[str, Feed], name: str) -> Feed:
    """Return the feed of that name; raise ``FeedError`` that lists the known ones, or says what is wrong with it."""
    if name in feeds:
        return feeds[name]
    if name in broken_feeds(feeds):
        raise FeedError(broken_feeds(feeds)[name])
    raise FeedError(f"unknown feed {name!r}: use one of {', '.join(sorted(feeds))}")
