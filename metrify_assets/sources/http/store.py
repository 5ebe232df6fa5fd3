"""Where pulled bytes go: the landing zone, and from there into tables; what servers said to recognise them by.

Belongs here: keeping bytes once, under names that follow from what they hold, so that doing it again changes nothing.
They pass by the inbox, which is for senders: a file there would be a second copy, and its copy in landing a third. Does
not belong here: fetching (``client.py``) and reading (``feeds/``, ``ingest.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath

from metrify_assets.drops.ledger import Drop, Source, arrival
from metrify_assets.errors import PullError
from metrify_assets.feeds.model import Feed
from metrify_assets.landing.ingest import drop_digest, read_new, recognise
from metrify_assets.platform import Platform
from metrify_assets.sources.http.client import HttpClient, Key, Validators
from metrify_assets.storage.object_store import ObjectStore


@dataclass(frozen=True)
class Fetched:
    """What became of a series: its file's name below the feed, the drop if it is news, and what is still to come."""

    name: str
    drop: Drop | None
    unfinished: str = ""


def take_in(platform: Platform, feed: Feed, name: str, landed: str) -> Drop | None:
    """Take landed bytes in, as a drop of a feed; return None if they repeat what came before.

    The ledger's record, written last, is what makes them a drop: after a crash before it they lie in landing, where the
    next pull finds them, and are read again under the same names.
    """
    if not feed.accepts(name):
        raise PullError(f"feed {feed.name} expects names like {feed.files!r}, not {name!r}: correct its `files`")
    content = platform.store.read(landed)
    digest = _digest(content)
    view = platform.ledger.view()
    before = max(view.named(feed.name, name), key=arrival, default=None)
    # What a person withdrew stays withdrawn: a source repeats what it has until it has something else.
    if before is not None and drop_digest(before) == digest:
        return None
    repeated = recognise(view, feed, name, digest)
    if repeated is not None:
        platform.ledger.record_redelivery(feed.name, repeated.drop_id, Source(name, len(content), 0, digest))
        return None
    return read_new(platform, feed, landed, digest, Source(name, len(content), platform.clock.now()))


def land(store: ObjectStore, feed: Feed, name: str, content: bytes) -> str:
    """Keep bytes as they came in the landing zone, named by their content; return their key.

    What lies there already stays if it is whole.
    """
    key = f"landing/{feed.name}/{_digest(content)}-{name}"
    if not _holds(store, key, content):
        store.write(key, content)
    return key


def _holds(store: ObjectStore, key: str, content: bytes) -> bool:
    try:
        return store.read(key) == content
    except FileNotFoundError:
        return False


def fetch_landed(
    store: ObjectStore, client: HttpClient, feed: Feed, name: str, url: str, types: tuple[str, ...], key: Key | None
) -> str:
    """Return the key of the landed bytes of an address: fetched now, or those of before if they still hold.

    The bytes are landed first and the validators remembered after them: after a crash in between they are fetched
    again, never taken for landed.
    """
    memory = f"landing/{feed.name}/validators/{_digest(url.encode())}.json"
    landed, validators = _remembered(store, memory) or ("", None)
    answer = client.get(url, types=types, key=key, validators=validators)
    if answer.content is None:
        return landed
    landed = land(store, feed, name, answer.content)
    if answer.validators != Validators():
        record = {
            "url": url,
            "landed": landed,
            "etag": answer.validators.etag,
            "last_modified": answer.validators.last_modified,
        }
        store.write(memory, json.dumps(record).encode())
    return landed


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _remembered(store: ObjectStore, memory: str) -> tuple[str, Validators] | None:
    """Return where the bytes of an address lie and their validators; None if they are gone or not as they came."""
    try:
        record = json.loads(store.read(memory))
        content = store.read(record["landed"])
    except FileNotFoundError:
        return None
    if not PurePosixPath(record["landed"]).name.startswith(f"{_digest(content)}-"):
        return None
    return record["landed"], Validators(record["etag"], record["last_modified"])
