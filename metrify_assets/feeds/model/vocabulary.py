"""The words of a feed definition: kinds, formats, and the constants that the model and the readers share.

Belongs here: enumerations and constants. Does not belong here: classes of the model.
"""

from __future__ import annotations

from enum import StrEnum

from metrify_assets.vee.codes import SourceStatus

READER_VERSION = 4
"""Raised whenever the readers would read the same bytes differently: drops are then read again."""

ISO = "iso"
LEVELS = "levels."
"""Begins the names of a message's fields that come from its topic."""
UNIX_FACTORS = {"unix": 1_000_000, "unix_ms": 1_000}
"""Stamps that count from 1970 in UTC: microseconds of one step."""
EDITED = SourceStatus.EDITED.name.lower()
LONGEST_INTERVAL_MINUTES = 1_500
"""A day of 25 hours: a value of a longer time is a bill, not an interval."""
READINGS = ("interval", "register")

LONGEST_STREAM_NAMES = 150
"""Characters of a feed's name and a topic's that, with offsets and digests, are still the name of a local file."""


class FeedKind(StrEnum):
    """What a feed carries; decides the table that its rows go to."""

    READINGS = "readings"
    GRID_STATUS = "grid_status"
    WEATHER = "weather"
    POWER_QUALITY = "power_quality"
    REGISTRY = "registry"


class FeedFormat(StrEnum):
    """Format of a feed's files."""

    DELIMITED = "delimited"
    JSON_LINES = "json_lines"
    JSON_DOCUMENT = "json_document"
    PARQUET = "parquet"
    STREAM = "stream"
    MSCONS = "mscons"
    NEM12 = "nem12"
    ESPI = "espi"
    E66 = "e66"
    ESL = "esl"
    PLUGIN = "plugin"
    """Read by a package of somebody else's; see ``plugins.py``."""


class SameName(StrEnum):
    """What a second file of the same name means."""

    REPLACE = "replace"
    ADD = "add"
