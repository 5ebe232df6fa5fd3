"""S3: the object store in a bucket of any endpoint.

Belongs here: the client, how long it waits, the words for what S3 refuses, listings by page, and the store. Credentials
and region come from the usual AWS environment. Does not belong here: which of the objects in an
inbox are new (``inbox_s3.py``) and local copies (``file_cache.py``).

A write is one PUT, or a multipart upload that appears when it is completed: readers see the old bytes or the new ones.
Since late 2020 S3 shows every write to every later read and listing; an endpoint has to offer that as well.
"""

from __future__ import annotations

import builtins
import errno
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree import ElementTree

from metrify_assets.clock import microseconds
from metrify_assets.errors import LakeError
from metrify_assets.storage.file_cache import FileCache
from metrify_assets.storage.object_store import StoredObject, checked
from metrify_assets.storage.parallel import map_in_order

if TYPE_CHECKING:
    from botocore.client import BaseClient

ATTEMPTS = 3
"""How often a request is made that gets no answer, or one that asks for patience."""
WARN_AFTER_SECONDS = 5.0
"""Time after which it is said what a request waits for."""
PARALLEL_REQUESTS = 10
"""As many as the client keeps connections."""
MULTIPART_BYTES = 64 * 2**20
"""Size from which a file is uploaded in parts, each read from the disk when it is sent."""
CHUNK_BYTES = 2**20
PAGE_KEYS = 1_000
"""Most keys that S3 lists in one answer."""
_ABSENT = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed", "ConditionalRequestConflict", "409"}
_REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "Forbidden"}

_LOGGER = logging.getLogger(__name__)

Found = TypeVar("Found")


class ObjectChangedError(Exception):
    """The object is not the version that was asked for."""


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket.

    Attributes
    ----------
    name : str
        Name of the bucket.
    prefix : str
        Folder in the bucket, without a slash at its ends; empty for the whole bucket.
    endpoint : str, optional
        URL of the endpoint; AWS's own without one.
    timeout_seconds : float
        Longest silence of the endpoint, while connecting and between two pieces of an answer; however long the whole
        answer takes. It is asked ``ATTEMPTS`` times.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    timeout_seconds: float = 15

    @cached_property
    def client(self) -> BaseClient:
        """The client; one serves all threads."""
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=self.timeout_seconds,
            read_timeout=self.timeout_seconds,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        )
        try:
            client = Session().client("s3", endpoint_url=self.endpoint, config=config)
        except (BotoCoreError, ValueError) as error:
            raise LakeError(f"no S3 client: {error}; set METRIFY_S3_ENDPOINT and the AWS variables") from error
        client.meta.events.register("before-parse.s3.ListObjectsV2", _take_contents)
        _Waiting(client).watch()
        return client

    def full(self, key: str) -> str:
        """Return the key in the bucket of a key below the folder."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def uri(self, key: str) -> str:
        """Return where an object lies, as people write it."""
        return f"s3://{self.name}/{self.full(key)}"

    @contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """Turn what S3 answers to a request for an object into the errors that callers know.

        Raises
        ------
        FileNotFoundError
            There is no such object.
        ObjectChangedError
            It is not the version asked for, or there is one already.
        LakeError
            S3 cannot be reached or refuses; says what to do.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "NoSuchBucket":
                raise LakeError(f"there is no bucket {self.name}: make it, or set METRIFY_S3_BUCKET") from error
            if code in _ABSENT:
                raise FileNotFoundError(f"there is no {self.uri(key)}") from error
            if code in _CHANGED:
                raise ObjectChangedError(key) from error
            if code in _REFUSED:
                raise LakeError(
                    f"S3 refuses access to {self.uri(key)} ({code}): check the AWS credentials and the bucket's policy"
                ) from error
            raise LakeError(f"S3 refuses {self.uri(key)}: {error}") from error
        except NoCredentialsError as error:
            raise LakeError("there are no AWS credentials: set AWS_ACCESS_KEY_ID and so on, or AWS_PROFILE") from error
        except (BotoCoreError, Boto3Error) as error:
            raise LakeError(
                f"{self.uri(key)} cannot be reached at {self.endpoint or 'AWS'}: {' '.join(str(error).split())}; check "
                "METRIFY_S3_ENDPOINT and the network"
            ) from error

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects whose key comes after ``after``, ``PAGE_KEYS`` at most, and whether more follow.

        All keys start with ``prefix``, which is text, not a folder. The page is empty only if none follows.
        """
        place = {"StartAfter": self.full(after)} if after else {}
        answer: dict[str, Any] = {"IsTruncated": True}
        with self.asking(prefix):
            while answer["IsTruncated"] and not answer.get("Contents"):
                answer = self.client.list_objects_v2(
                    Bucket=self.name, Prefix=self.full(prefix), MaxKeys=PAGE_KEYS, **place
                )
                # A bucket with versions may pass over a page of removed objects: the answer is empty, and not the end.
                place = {"ContinuationToken": answer.get("NextContinuationToken", "")}
        skipped = len(self.full(""))
        objects = [
            StoredObject(
                item["Key"][skipped:], item["Size"], microseconds(item["LastModified"]), item["ETag"].strip('"')
            )
            for item in answer.get("Contents", ())
        ]
        return objects, bool(answer["IsTruncated"])

    def pages(self, prefix: str, after: str = "") -> Iterator[list[StoredObject]]:
        """Yield all pages of a listing, ordered by key."""
        more = True
        while more:
            objects, more = self.page(prefix, after)
            if objects:
                after = objects[-1].key
                yield objects

    def folders(self, folder: str) -> list[str]:
        """Return the folders in a folder, ordered, each with a slash at its end; both as keys."""
        skipped = len(self.full(""))
        with self.asking(folder):
            answers = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=self.full(folder), Delimiter="/"
            )
            return sorted(prefix["Prefix"][skipped:] for page in answers for prefix in page.get("CommonPrefixes", ()))

    @contextmanager
    def opened(self, key: str, etag: str = "") -> Iterator[Any]:
        """Yield the bytes of an object as a stream with ``read(size)``, of one version if its ETag is given."""
        condition = {"IfMatch": f'"{etag}"'} if etag else {}
        with self.asking(key):
            body = self.client.get_object(Bucket=self.name, Key=self.full(key), **condition)["Body"]
            try:
                yield body
            finally:
                body.close()

    def put(self, key: str, content: bytes, **conditions: str) -> None:
        """Make some bytes an object, in one request."""
        with self.asking(key):
            self.client.put_object(Bucket=self.name, Key=self.full(key), Body=bytes(content), **conditions)

    def upload(self, path: Path, key: str) -> None:
        """Make a file an object; a large one goes in parts and appears when the last one has arrived."""
        from boto3.s3.transfer import TransferConfig

        with self.asking(key):
            self.client.upload_file(
                str(path), self.name, self.full(key), Config=TransferConfig(multipart_threshold=MULTIPART_BYTES)
            )


class _Waiting:
    """Says, in a warning, that requests wait for the endpoint; once until it answers again.

    A warning goes to stderr on the command line, and to the log of a run or a sensor.
    """

    def __init__(self, client: BaseClient):
        self._client = client
        self._warned = False
        self._timers = threading.local()

    def watch(self) -> None:
        """Look at all requests of the client from now on: one with its repetitions is one."""
        events = self._client.meta.events
        events.register("before-call.s3", self._begin)
        events.register("after-call.s3", self._end)
        events.register("after-call-error.s3", self._stop)

    def _begin(self, **_: object) -> None:
        timer = threading.Timer(WARN_AFTER_SECONDS, self._warn)
        timer.daemon = True
        timer.start()
        self._timers.current = timer

    def _stop(self, **_: object) -> None:
        self._timers.current.cancel()

    def _end(self, **_: object) -> None:
        self._stop()
        self._warned = False

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            endpoint = self._client.meta.endpoint_url
            _LOGGER.warning("waiting for the S3 endpoint %s (%g s)", endpoint, WARN_AFTER_SECONDS)


def _take_contents(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Read the objects of a listing before botocore does, which takes five times as long, mostly over their dates.

    What is left of the answer is botocore's; so is all of it if it is not what is expected.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        answer = ElementTree.fromstring(response_dict["body"])
        listed = [child for child in answer if child.tag.endswith("}Contents")]
        contents = [_contents(child) for child in listed]
    except (ElementTree.ParseError, KeyError, ValueError):
        return
    if contents:
        for child in listed:
            answer.remove(child)
        response_dict["body"] = ElementTree.tostring(answer)
        customized_response_dict["Contents"] = contents


def _contents(listed: ElementTree.Element) -> dict[str, Any]:
    fields = {field.tag.rpartition("}")[2]: field.text or "" for field in listed}
    return {
        "Key": fields["Key"],
        "Size": int(fields["Size"]),
        "LastModified": datetime.fromisoformat(fields["LastModified"]),
        "ETag": fields["ETag"],
    }


class S3ObjectStore:
    """A store in a bucket.

    Parameters
    ----------
    bucket : Bucket
        Holds the objects.
    cache : Path
        Local folder for copies of objects that never change; see ``FileCache``.
    """

    def __init__(self, bucket: Bucket, cache: Path):
        self.bucket = bucket
        self._cache = FileCache(cache, self._fetch)

    def _full(self, key: str) -> str:
        return self.bucket.full(checked(key, self.bucket.uri("")))

    def _fetch(self, key: str, target: Path) -> None:
        with self.bucket.opened(key) as source:
            try:
                with open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK_BYTES)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                # Not the object is wrong, as a reader would conclude, but this machine.
                raise LakeError(
                    f"{self.bucket.uri(key)} cannot be copied to {target.parent} ({error.strerror}): make room"
                ) from error

    def uri(self, key: str) -> str:
        """Return where an object lies, as people write it."""
        return self.bucket.uri(checked(key, self.bucket.uri("")))

    def list(self, prefix: str, after: str = "") -> list[StoredObject]:
        """Return the objects below the folder ``prefix`` whose key comes after ``after``, ordered by key."""
        checked(prefix, self.bucket.uri(""))
        folder = f"{prefix}/" if prefix else ""
        return [item for page in self.bucket.pages(folder, after) for item in page]

    def read(self, key: str) -> bytes:
        """Return the bytes of an object; raise ``FileNotFoundError`` if there is none."""
        with self.bucket.opened(checked(key, self.bucket.uri(""))) as source:
            content: bytes = source.read()
        return content

    def read_all(self, keys: Sequence[str]) -> builtins.list[bytes | None]:
        """Return the bytes of several small objects, None where there is no such object."""

        def read_if_there(key: str) -> bytes | None:
            try:
                return self.read(key)
            except FileNotFoundError:
                return None

        return _side_by_side(read_if_there, keys)

    def exists(self, key: str) -> bool:
        """Return whether there is an object of that key."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """Return the bytes of an object; None if there is none of that key."""
        full = self._full(key)
        try:
            with self.bucket.asking(key):
                head = self.bucket.client.head_object(Bucket=self.bucket.name, Key=full)
        except FileNotFoundError:
            return None
        return int(head["ContentLength"])

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        full = self._full(key)
        with self.bucket.asking(key):
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=full)
        self._cache.discard(key)

    def write(self, key: str, content: bytes) -> None:
        """Store bytes under a key, in one PUT."""
        self.bucket.put(checked(key, self.bucket.uri("")), content)
        self._cache.discard(key)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one, in one step; return whether it was written."""
        try:
            self.bucket.put(checked(key, self.bucket.uri("")), content, IfNoneMatch="*")
        except ObjectChangedError:
            return False
        return True

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Yield a local copy of an object whose key says its content; raise ``FileNotFoundError`` if there is none."""
        with self._cache.reading(checked(key, self.bucket.uri(""))) as path:
            yield path

    @contextmanager
    def reading_anew(self, key: str) -> Iterator[Path]:
        """Yield the bytes that an object has now, fetched for this; raise ``FileNotFoundError`` if there is none."""
        with self._cache.scratch() as temporary:
            self._fetch(checked(key, self.bucket.uri("")), temporary)
            yield temporary

    def local_copies(self, keys: Sequence[str]) -> builtins.list[Path]:
        """Return local copies for other programs to read; copies of keys that are named no more go in time."""
        paths = _side_by_side(self._cache.share, [checked(key, self.bucket.uri("")) for key in keys])
        self._cache.unshare(keys)
        return paths

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a temporary path to fill; it becomes the object when the block ends without an error."""
        checked(key, self.bucket.uri(""))
        with self._cache.scratch() as temporary:
            yield temporary
            self.keep(temporary, key)

    @contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        """Yield a temporary file, wherever it is to go; it is removed in the end."""
        checked(folder, self.bucket.uri(""))
        with self._cache.scratch() as temporary:
            yield temporary

    def keep(self, temporary: Path, key: str) -> None:
        """Upload a file of ``scratch``; it stays as the local copy of the object."""
        self.bucket.upload(temporary, checked(key, self.bucket.uri("")))
        self._cache.adopt(temporary, key)

    def remove_temporary(self, folder: str) -> None:
        """Do nothing: temporary files lie among the local copies, of which those go that nobody used for long."""


def _side_by_side(function: Callable[[str], Found], keys: Sequence[str]) -> list[Found]:
    """Return the results of a function for some keys, several requests at a time."""
    return list(map_in_order(function, keys, PARALLEL_REQUESTS, ahead=len(keys)))
