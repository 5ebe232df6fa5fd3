"""The HTTP client of the pulled sources: a whole answer, or an error in one line.

Belongs here: attempts with back-off, deadlines, limits, conditional requests, and separating a whole answer from one
that broke off. Does not belong here: what the bytes mean. A key is never part of an error, a log or a result.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from metrify_assets.errors import PullError
from metrify_assets.sources.http.clock import Clock, SystemClock, TokenBucket

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10
READ_SECONDS = 30
DEADLINE_SECONDS = 300
"""All attempts at one answer together, with the waits between them."""
ATTEMPTS = 5
BACKOFF_SECONDS = 1
MAX_BACKOFF_SECONDS = 60
MAX_BYTES = 256 << 20
REQUESTS_PER_SECOND = 2.0
BURST = 5
MAX_REDIRECTS = 5
_SHORTEST_TIMEOUT_SECONDS = 0.1
_BLOCK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that another attempt may not meet."""


@dataclass(frozen=True)
class Key:
    """A secret that goes with a request.

    Attributes
    ----------
    parameter : str
        Name in the query.
    value : str
    variable : str
        Environment variable that it comes from, for the error.
    """

    parameter: str
    value: str
    variable: str

    def __repr__(self) -> str:
        return f"Key({self.parameter!r}, from {self.variable})"


@dataclass(frozen=True)
class Validators:
    """What a server said to recognise its answer by."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Answer:
    """Bytes of a whole answer; None if the server says that those of the validators still hold."""

    content: bytes | None
    validators: Validators


@dataclass(frozen=True)
class _Trouble:
    """Why an attempt gave no answer; ``wait`` is what the server asked for."""

    text: str
    passing: bool
    wait: float | None = None


class HttpClient:
    """Fetches files from hosts that are busy, slow or down at times.

    Parameters
    ----------
    clock : Clock, optional
    deadline_seconds : float
        All attempts at one answer together.
    attempts, max_bytes : int
    read_seconds : float
        Longest silence of a server.
    requests_per_second : float
        Per host, in the long run.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        attempts: int = ATTEMPTS,
        max_bytes: int = MAX_BYTES,
        read_seconds: float = READ_SECONDS,
        requests_per_second: float = REQUESTS_PER_SECOND,
    ) -> None:
        import requests

        self._session = requests.Session()
        # A length that can be compared with the bytes that came.
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "metrify"})
        self._clock = clock or SystemClock()
        self._deadline_seconds = deadline_seconds
        self._attempts = attempts
        self._max_bytes = max_bytes
        self._read_seconds = read_seconds
        self._requests_per_second = requests_per_second
        self._buckets: dict[str, TokenBucket] = {}

    def get(
        self, url: str, *, types: tuple[str, ...], key: Key | None = None, validators: Validators | None = None
    ) -> Answer:
        """Return a whole answer.

        Parameters
        ----------
        url : str
            Without the key.
        types : tuple of str
            Content types that are accepted.
        key : Key, optional
            Secret parameter of the query.
        known : Validators, optional
            Of the answer that is held already.

        Raises
        ------
        PullError
            In one line: which address, what is wrong, what to do.
        """
        from urllib3.exceptions import MaxRetryError
        from urllib3.util import Retry

        deadline = self._clock.now() + self._deadline_seconds
        retry = Retry(
            total=self._attempts - 1,
            backoff_factor=BACKOFF_SECONDS,
            backoff_max=MAX_BACKOFF_SECONDS,
            backoff_jitter=BACKOFF_SECONDS,
        )
        while True:
            self._bucket(url).take()
            outcome = self._attempt(url, types, key, validators, deadline)
            if isinstance(outcome, Answer):
                return outcome
            if not outcome.passing:
                break
            try:
                retry = retry.increment("GET", url, error=ConnectionError(outcome.text))
            except MaxRetryError:
                outcome = _Trouble(f"{outcome.text}, {self._attempts} times: try again later", False)
                break
            # A server that asks to be asked again at once is given the time that others get.
            wait = max(retry.get_backoff_time(), outcome.wait or 0)
            if self._clock.now() + wait > deadline:
                asked = f" and asks to wait {wait:.0f} s" if outcome.wait is not None else ""
                outcome = _Trouble(f"{outcome.text}{asked}: try again later", False)
                break
            self._clock.sleep(wait)
        # Raised here, outside of any handler: the library's own errors hold the address with the key.
        raise PullError(f"{url} {outcome.text}")

    def _bucket(self, url: str) -> TokenBucket:
        host = urlsplit(url).netloc
        if host not in self._buckets:
            self._buckets[host] = TokenBucket(self._requests_per_second, BURST, self._clock)
        return self._buckets[host]

    def _attempt(
        self, url: str, types: tuple[str, ...], key: Key | None, validators: Validators | None, deadline: float
    ) -> Answer | _Trouble:
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        address = url
        if key is not None:
            address += ("&" if urlsplit(url).query else "?") + urlencode({key.parameter: key.value})
        try:
            with _redacted(key):
                for _ in range(1 + MAX_REDIRECTS):
                    with closing(self._send(address, validators, deadline)) as response:
                        if response.status_code not in _REDIRECTS:
                            return self._judged(response, types, key, validators, deadline)
                        target = urljoin(address, response.headers.get("Location", ""))
                    if not _same_site(address, target):
                        host = urlsplit(target).hostname
                        return _Trouble(f"redirects to another host ({host}): set the address of the source", False)
                    address = target
            return _Trouble(f"redirects more than {MAX_REDIRECTS} times: set the address of the source", False)
        except (requests.Timeout, ReadTimeoutError):
            return _Trouble("does not answer in time", True)
        except HTTPError:
            # Of the layer below, whose errors pass unchanged while the body is read.
            return _Trouble("breaks off in the middle of its answer", True)
        except requests.ConnectionError:
            return _Trouble("cannot be reached", True)
        except requests.RequestException as error:
            return _Trouble(f"cannot be asked ({type(error).__name__}): correct the address of the source", False)

    def _send(self, address: str, validators: Validators | None, deadline: float) -> requests.Response:
        headers = {}
        if validators is not None and validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators is not None and validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        left = max(deadline - self._clock.now(), _SHORTEST_TIMEOUT_SECONDS)
        timeout = (min(CONNECT_SECONDS, left), min(self._read_seconds, left))
        return self._session.get(address, headers=headers, timeout=timeout, stream=True, allow_redirects=False)

    def _judged(
        self,
        response: requests.Response,
        types: tuple[str, ...],
        key: Key | None,
        validators: Validators | None,
        deadline: float,
    ) -> Answer | _Trouble:
        status = response.status_code
        if status == 304 and validators is not None:
            return Answer(None, validators)
        if status in _PASSING:
            return _Trouble(f"answers {status}", True, _retry_after(response))
        if status in (401, 403):
            remedy = f"set {key.variable} to a valid key" if key else "this address needs an account"
            return _Trouble(f"refuses access ({status}): {remedy}", False)
        if status == 404:
            return _Trouble("does not exist (404): check station, series and day", False)
        if status != 200:
            return _Trouble(f"answers {status}: check the address of the source", False)
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type and content_type not in types:
            return _Trouble(
                f"answers {content_type} instead of {' or '.join(types)}: check the address of the source", False
            )
        return self._body(response, deadline)

    def _body(self, response: requests.Response, deadline: float) -> Answer | _Trouble:
        length = response.headers.get("Content-Length")
        if length is None and "chunked" not in response.headers.get("Transfer-Encoding", "").lower():
            return _Trouble("does not state where its answer ends, so half of it could pass for all", False)
        content = bytearray()
        # Whatever has arrived, not whole blocks: a server that trickles must not outlast the deadline.
        while block := response.raw.read1(_BLOCK, decode_content=True):
            content += block
            if len(content) > self._max_bytes:
                return _Trouble(f"sends more than {self._max_bytes} bytes: check the address of the source", False)
            if self._clock.now() > deadline:
                return _Trouble(f"takes longer than {self._deadline_seconds:.0f} s: try again later", False)
        if length is not None and "Content-Encoding" not in response.headers and len(content) != int(length):
            return _Trouble("breaks off in the middle of its answer", True)
        if not content:
            return _Trouble("answers nothing", True)
        validators = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
        return Answer(bytes(content), validators)


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that a server asks to wait, from a number or a date; None if it does not, or not legibly."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None


def _same_site(first: str, second: str) -> bool:
    """Return whether a redirect stays on its host; a change from http to https is one to the better."""
    before, after = urlsplit(first), urlsplit(second)
    if (before.scheme, after.scheme) == ("http", "https"):
        return before.hostname == after.hostname
    return (before.scheme, before.netloc) == (after.scheme, after.netloc)


class _Redaction(logging.Filter):
    """Takes a key out of what the HTTP library logs."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._secret = key.value
        self._encoded = urlencode({"": key.value})[1:]

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for secret in {self._secret, self._encoded}:
            text = text.replace(secret, "***")
        record.msg, record.args = text, ()
        return True


@contextmanager
def _redacted(key: Key | None) -> Iterator[None]:
    """Keep a key out of the HTTP library's log while it is in use."""
    if key is None:
        yield
        return
    redaction = _Redaction(key)
    loggers = [logging.getLogger(name) for name in ("urllib3.connectionpool", "urllib3.util.retry")]
    for logger in loggers:
        logger.addFilter(redaction)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redaction)
