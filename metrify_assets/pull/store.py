"""Where pulled bytes go: the landing zone and the inbox, and the memory of what servers said to recognise them by.

Belongs here: writing whole files under names that follow from what they hold, so that doing it again changes nothing.
Does not belong here: fetching (``client.py``) and reading (``feeds/``).
"""

from __future__ import annotations

import json
import tempfile
from hashlib import blake2b
from pathlib import Path

from metrify_assets.feeds.model import Feed
from metrify_assets.platform import Platform
from metrify_assets.pull.client import HttpClient, Key, Validators


def deliver(platform: Platform, feed: Feed, name: str, content: bytes) -> bool:
    """Put a whole file into a feed's inbox; return whether it holds anything else than what was put there before."""
    digest = _digest(content)
    memory = f"landing/{feed.name}/delivered/{_digest(name.encode())}"
    if platform.store.exists(memory) and platform.store.read(memory) == digest.encode():
        return False
    with tempfile.NamedTemporaryFile(prefix="metrify-") as whole:
        whole.write(content)
        whole.flush()
        platform.inbox.put(feed, Path(whole.name), name)
    # After a crash in between the same bytes are put there again, which is a redelivery.
    platform.store.write(memory, digest.encode())
    return True


def land(platform: Platform, feed: Feed, name: str, content: bytes) -> str:
    """Keep bytes as they came in the landing zone, named by their content; return their key.

    What lies there already is replaced: it may be damaged.
    """
    key = f"landing/{feed.name}/{_digest(content)}-{name}"
    platform.store.write(key, content)
    return key


def fetch_landed(
    platform: Platform, client: HttpClient, feed: Feed, name: str, url: str, types: tuple[str, ...], key: Key | None
) -> str:
    """Return the key of the landed bytes of an address: fetched now, or those of before if they still hold.

    The bytes are landed first and the validators remembered after them: after a crash in between they are fetched
    again, never taken for landed.
    """
    memory = f"landing/{feed.name}/validators/{_digest(url.encode())}.json"
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


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _remembered(platform: Platform, memory: str) -> tuple[str, Validators] | None:
    """Return where the bytes of an address lie and their validators; None if they do not lie there any more."""
    try:
        record = json.loads(platform.store.read(memory))
    except FileNotFoundError:
        return None
    if not platform.store.exists(record["landed"]):
        return None
    return record["landed"], Validators(record["etag"], record["last_modified"])
