"""The errors that people see.

Belongs here: one class per kind of trouble a user can mend. Every message is one line that says what to do.
Does not belong here: errors of a single function's arguments (use ``ValueError``) and row-level rejects (see
``feeds.codes.RejectReason``: a bad row is data, not an exception).
"""


class MetrifyError(Exception):
    """Base of every error whose message is meant for the person at the keyboard."""


class SettingsError(MetrifyError):
    """An environment variable or a setting is missing or wrong."""


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


class ExplainError(MetrifyError):
    """There is nothing to explain: the point, the channel, the day or the instant is not there."""


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


class WarehouseError(MetrifyError):
    """The warehouse is locked, missing or refused a statement."""


class RunError(MetrifyError):
    """A run that a command started has failed."""


class PublishError(MetrifyError):
    """The marts cannot be published, or nothing is published yet."""


class QueryError(MetrifyError):
    """A query is no query, names what is not there, or asks for more than reading."""
