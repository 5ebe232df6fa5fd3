"""Which store and inbox an installation has.

Belongs here: the mapping from settings to the object store and the inbox. Does not belong here: what they do.
"""

from __future__ import annotations

from functools import cache

from metrify_assets.landing.inbox import Inbox, LocalInbox
from metrify_assets.landing.inbox_s3 import S3Inbox
from metrify_assets.settings import Settings, StoreKind
from metrify_assets.storage.object_store import LocalObjectStore, ObjectStore
from metrify_assets.storage.s3 import Bucket, S3ObjectStore


def object_store(settings: Settings) -> ObjectStore:
    """Return the store of landing zone, lake and ledger."""
    if settings.store is StoreKind.S3:
        return S3ObjectStore(bucket_of(settings), settings.s3_cache)
    return LocalObjectStore(settings.root)


def inbox(settings: Settings) -> Inbox:
    """Return where senders put files."""
    return S3Inbox(bucket_of(settings)) if settings.store is StoreKind.S3 else LocalInbox(settings.inbox)


def bucket_of(settings: Settings) -> Bucket:
    """Return the bucket of an installation on S3."""
    return _bucket(settings.s3_bucket or "", settings.s3_prefix, settings.s3_endpoint, settings.s3_timeout_seconds)


@cache
def _bucket(name: str, prefix: str, endpoint: str | None, timeout_seconds: float) -> Bucket:
    """Return the bucket; store and inbox share its client, which takes long to make."""
    return Bucket(name, prefix, endpoint, timeout_seconds)
