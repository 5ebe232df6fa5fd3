"""Where pulled bytes go: the landing zone and the inbox, and the memory of what servers said to recognise them by.

Belongs here: writing whole files under names that follow from what they hold, so that doing it again changes nothing.
Does not belong here: fetching (``client.py``) and reading (``feeds/``).
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b

from metrify_assets.feeds.model import Feed
from metrify_assets.inbox import inbox_path
from metrify_assets.platform import Platform
from metrify_assets.pull.client import HttpClient, Key, Validators


def deliver(platform: Platform, feed: Feed, name: str, content: bytes) -> bool:
    """Put a whole file into a feed's inbox; return whether it holds anything else than before."""
    path = inbox_path(platform.settings.inbox, feed.name, name)
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    # The drops sensor takes a file that ends so for one that is still being written.
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return True


def land(platform: Platform, feed: Feed, name: str, content: bytes) -> str:
    """Keep bytes as they came in the landing zone, named by their content; return their key."""
    digest = blake2b(content, digest_size=8).hexdigest()
    key = f"landing/{feed.name}/{digest}-{name}"
    if not platform.store.exists(key):
        platform.store.write(key, content)
    return key


def fetch_landed(
    platform: Platform, client: HttpClient, feed: Feed, name: str, url: str, types: tuple[str, ...], key: Key | None
) -> str:
    """Return the key of the landed bytes of an address: fetched now, or those of before if they still hold.

    The bytes are landed first and the validators remembered after them: after a crash in between they are fetched
    again, never taken for landed.
    """
    memory = f"landing/{feed.name}/validators/{blake2b(url.encode(), digest_size=8).hexdigest()}.json"
    known = _remembered(platform, memory)
    landed, validators = known or ("", None)
    answer = client.get(url, types=types, key=key, known=validators)
    if answer.content is None:
        return landed
    landed = land(platform, feed, name, answer.content)
    if answer.validators != Validators():
        record = {
            "url": url,
            "landed": landed,
            "etag": answer.validators.etag,
            "last_modified": answer.validators.last_modified,
        }
        platform.store.write(memory, json.dumps(record).encode())
    return landed


def _remembered(platform: Platform, memory: str) -> tuple[str, Validators] | None:
    """Return where the bytes of an address lie and their validators; None if they do not lie there any more."""
    try:
        record = json.loads(platform.store.read(memory))
    except FileNotFoundError:
        return None
    if not platform.store.exists(record["landed"]):
        return None
    return record["landed"], Validators(record["etag"], record["last_modified"])
