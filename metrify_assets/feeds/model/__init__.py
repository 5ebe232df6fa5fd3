"""What a feed is: the declaration that a YAML file holds.

``parse_feed`` gives the class of its kind and format. Finding the files is in ``catalogue.py``, reading what a feed
delivers in ``reader.py``.
"""

from __future__ import annotations

from metrify_assets.feeds.model.base import Feed
from metrify_assets.feeds.model.fields import (
    SLOT_COLUMNS,
    GridColumn,
    MetricColumn,
    MinutesColumn,
    MqttSource,
    ReadingColumn,
    Slots,
    Stamp,
    SubstitutedColumns,
    TextField,
    ValueColumn,
)
from metrify_assets.feeds.model.formats import (
    DelimitedFeed,
    DelimitedValues,
    EspiReadings,
    GrammarFeed,
    JsonDocumentFeed,
    JsonLinesFeed,
    MsconsReadings,
    Nem12Readings,
    ParquetFeed,
    PluginFeed,
    StreamFeed,
)
from metrify_assets.feeds.model.kinds import (
    GridStatusFeed,
    MeasuredFeed,
    ObservedFeed,
    PowerQualityFeed,
    ReadingsFeed,
    RegistryFeed,
    WeatherFeed,
)
from metrify_assets.feeds.model.union import CLASSES, DelimitedWeather, feed_schema, parse_feed
from metrify_assets.feeds.model.vocabulary import (
    EDITED,
    ISO,
    LEVELS,
    LONGEST_INTERVAL_MINUTES,
    LONGEST_STREAM_NAMES,
    READER_VERSION,
    READINGS,
    UNIX_FACTORS,
    FeedFormat,
    FeedKind,
    SameName,
)

__all__ = [
    "CLASSES",
    "EDITED",
    "ISO",
    "LEVELS",
    "LONGEST_INTERVAL_MINUTES",
    "LONGEST_STREAM_NAMES",
    "READER_VERSION",
    "READINGS",
    "SLOT_COLUMNS",
    "UNIX_FACTORS",
    "DelimitedFeed",
    "DelimitedValues",
    "DelimitedWeather",
    "EspiReadings",
    "Feed",
    "FeedFormat",
    "FeedKind",
    "GrammarFeed",
    "GridColumn",
    "GridStatusFeed",
    "JsonDocumentFeed",
    "JsonLinesFeed",
    "MeasuredFeed",
    "MetricColumn",
    "MinutesColumn",
    "MqttSource",
    "MsconsReadings",
    "Nem12Readings",
    "ObservedFeed",
    "ParquetFeed",
    "PluginFeed",
    "PowerQualityFeed",
    "ReadingColumn",
    "ReadingsFeed",
    "RegistryFeed",
    "SameName",
    "Slots",
    "Stamp",
    "StreamFeed",
    "SubstitutedColumns",
    "TextField",
    "ValueColumn",
    "WeatherFeed",
    "feed_schema",
    "parse_feed",
]
