"""The errors that people see, and how texts of others are shown in them: names of files, and what stands in them.

Belongs here: one class per kind of trouble that a user can correct. Every message is one line that says what to do.
Also escaping what forges a line: line ends, escape sequences of terminals, marks that turn the direction of writing.
Does not belong here: errors of a single function's arguments (use ``ValueError``) and row-level rejects (see
``feeds.codes.RejectReason``: a bad row is data, not an exception).
"""

import re
from importlib.util import find_spec

EXTRAS = {"kafka": ("confluent_kafka", "fastavro"), "mqtt": ("paho",), "plots": ("matplotlib",)}
"""Modules that the package's extras install (``pyproject.toml``)."""


class MetrifyError(Exception):
    """Base of every error whose message is meant for the person at the keyboard."""


class SettingsError(MetrifyError):
    """An environment variable or a setting is missing or wrong."""


class ExtraError(MetrifyError):
    """What was asked for needs packages that an extra installs."""


class FeedError(MetrifyError):
    """A feed definition is unknown or invalid."""


class DropError(MetrifyError):
    """A drop cannot be landed, found or withdrawn."""


class BridgeError(MetrifyError):
    """Messages cannot be received, or not be kept."""


class PullError(MetrifyError):
    """A source cannot be fetched: not configured, not reachable, or not what it should be."""


class StreamError(MetrifyError):
    """A topic cannot be read: the broker is away, refuses, or no longer has what was asked for."""


class PeriodError(MetrifyError):
    """A billing period cannot be closed or reopened."""


class TariffError(MetrifyError):
    """A tariff or its assignment to points is not what it should be."""


class ExplainError(MetrifyError):
    """There is nothing to explain: the point, the channel, the day or the instant is not there."""


class FrameError(MetrifyError, ValueError):
    """A table given to the library is not what it should be: a column, a time, a unit, a value."""


class UnknownOptionError(FrameError, TypeError):
    """A function of the library has no such option."""


class InstallationError(MetrifyError):
    """There is no installation, or no such table in it."""


class ForecastError(MetrifyError):
    """Nothing can be forecast: it is too early, or nothing that a forecast follows from had arrived."""


class OutputError(MetrifyError):
    """A result cannot be written where it was asked for."""


class LakeError(MetrifyError):
    """A table of the lake cannot be read or written."""


class DamagedFileError(LakeError):
    """A file of the lake is missing, or does not hold what it should.

    Attributes
    ----------
    key : str
        Key of the file.
    """

    def __init__(self, message: str, key: str):
        super().__init__(message)
        self.key = key


class HistoryError(MetrifyError):
    """The history of runs cannot be written."""


class WarehouseError(MetrifyError):
    """The warehouse is locked, missing or refused a statement."""


class WeatherError(MetrifyError):
    """Weather dependence cannot be worked out: no baseline, or no such station."""


class RunError(MetrifyError):
    """A run that a command started has failed."""


class PublishError(MetrifyError):
    """The marts cannot be published, or nothing is published yet."""


class QueryError(MetrifyError):
    """A query is no query, names what is not there, or asks for more than reading."""


def require_extra(name: str, purpose: str) -> None:
    """Raise ``ExtraError`` that names an extra, unless its packages are installed; ``purpose`` begins the line."""
    if any(find_spec(module) is None for module in EXTRAS[name]):
        raise ExtraError(f"{purpose} needs the extra {name}: pip install 'metrify[{name}]'")


_FORGING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"  # control, bidi, lone surrogates
)


def escaped(text: str) -> str:
    """Return a text in one line, with ``\\n``, ``\\x1b`` or ``\\u202e`` for characters that forge what is read."""
    return _FORGING.sub(lambda match: repr(match.group())[1:-1], text)


def forges(text: str) -> bool:
    """Return whether a text holds characters that forge what is read."""
    return _FORGING.search(text) is not None
