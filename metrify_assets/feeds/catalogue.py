"""The feeds that are known: those that ship with Metrify and those of the installation.

Belongs here: finding and loading the YAML files, and errors that name file, field and remedy. Does not belong here:
what a feed may say (``model.py``).
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import Feed
from metrify_assets.settings import Settings

BUILT_IN = Path(__file__).resolve().parent / "definitions"


def load_feeds(settings: Settings) -> dict[str, Feed]:
    """Return the built-in feeds and those of ``settings.feeds_dir`` by name, sorted.

    Raises
    ------
    FeedError
        In one line: which file, which field, what to do.
    """
    folders = [BUILT_IN]
    if settings.feeds_dir is not None:
        if not settings.feeds_dir.is_dir():
            raise FeedError(f"{settings.feeds_dir} is no folder: set METRIFY_FEEDS_DIR to where feed definitions are")
        folders.append(settings.feeds_dir)
    feeds: dict[str, Feed] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        feed = load_feed(path)
        if feed.name in feeds:
            raise FeedError(f"{path}: a feed {feed.name!r} exists already: choose another name")
        feeds[feed.name] = feed
    return dict(sorted(feeds.items()))


def load_feed(path: Path) -> Feed:
    """Read one definition; raise ``FeedError`` in one line if it is wrong."""
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise FeedError(f"{path}: not UTF-8: save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise FeedError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(declared, dict):
        raise FeedError(f"{path}: must hold fields such as name: and kind:, see {BUILT_IN}")
    try:
        feed = Feed.model_validate(declared, context={"folder": path.parent})
    except ValidationError as error:
        raise FeedError(f"{path}: {_first_problem(error)}") from error
    if feed.name != path.stem:
        raise FeedError(f"{path}: name is {feed.name!r}: call the file {feed.name}.yaml")
    return feed


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such field: remove it or correct its name"
    elif first["type"] == "missing":
        message = "is missing: add it"
    elif not isinstance(first.get("input"), dict | Feed):
        message = f"{message} (found {first.get('input')!r})"
    return f"{field}: {message}" if field else message


def get_feed(feeds: dict[str, Feed], name: str) -> Feed:
    """Return the feed of that name; raise ``FeedError`` that lists the known ones."""
    if name not in feeds:
        raise FeedError(f"unknown feed {name!r}: use one of {', '.join(sorted(feeds))}")
    return feeds[name]
