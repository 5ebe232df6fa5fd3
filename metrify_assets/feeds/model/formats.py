"""Feeds by how their files are written.

Belongs here: fields and checks that depend on the format. Does not belong here: what a feed carries (``kinds.py``), and
the readers (``feeds/formats/``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from metrify_assets.feeds.declared import Delimiter, HeaderName, LineBeginning, RecordsPath, field_path
from metrify_assets.feeds.model.base import Feed
from metrify_assets.feeds.model.fields import ELLIPSIS, SLOT_COLUMNS, MqttSource, Slots
from metrify_assets.feeds.model.kinds import MeasuredFeed, ReadingsFeed
from metrify_assets.feeds.model.vocabulary import LEVELS, LONGEST_STREAM_NAMES, FeedFormat, SameName
from metrify_assets.feeds.plugins import reader_entry, reader_version
from metrify_assets.feeds.stream import Stream
from metrify_assets.feeds.topics import TopicPattern

_PLACE = re.compile(r"#[0-9]+")
_ADVICE_ON_NAMELESS = ": call columns without a name by their place, such as '#3'"

Header = Literal[False] | tuple[HeaderName, ...]


class DelimitedFeed(Feed):
    """Lines of cells with a sign between them."""

    reads_utf_16: ClassVar[bool] = True

    format: Literal[FeedFormat.DELIMITED]
    delimiter: Annotated[Delimiter, Field(min_length=1, max_length=1)] = ","
    header: Header | None = Field(
        default=None, description="Expected column names in order, or false; registries have the schema's columns."
    )
    columns: tuple[HeaderName, ...] = Field(default=(), description="Names of the columns where header is false.")
    skip_lines: Annotated[int, Field(ge=0, le=1_000)] = Field(default=0, description="Lines before the header.")
    footer: tuple[LineBeginning, ...] = Field(
        default=(), description="Beginnings of lines that hold totals or remarks, no data."
    )
    quoted_line_ends: bool = Field(default=False, description="Whether quoted cells may hold line ends.")
    short_rows: bool = Field(
        default=False, description="Whether lines may lack cells at their end, which are blank then."
    )
    header_noise: tuple[LineBeginning, ...] = Field(
        default=(), description="Endings of column names that are not looked at."
    )

    @model_validator(mode="after")
    def _dialect(self) -> DelimitedFeed:
        for text in self.footer:
            try:
                text.encode(self.encoding.removesuffix("-sig"))
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"footer {text!r} cannot be written in {self.encoding}: correct one of them"
                ) from error
        for name in self.raw_names:
            if (plain := self.without_noise(name)) != name:
                raise ValueError(f"header_noise is not looked at in names of columns: write {plain!r}, not {name!r}")
        return self

    def without_noise(self, name: str) -> str:
        """Return the name of a column as it is compared: without blanks around it and endings not looked at."""
        name = name.strip()
        for ending in self.header_noise:
            name = name.removesuffix(ending).strip()
        return name

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Columns as declared, ``...`` for those of the slots."""
        return self.columns if self.header is False else tuple(self.header or ())

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of the file in order."""
        return self.raw_names


class DelimitedValues(DelimitedFeed, MeasuredFeed):
    """A delimited feed of values: its columns are declared."""

    header: Header = Field(description="Expected column names in order, or false with columns.")
    slots: Slots | None = Field(default=None, description="One column per slot of the day; ... stands for them.")
    optional: tuple[str, ...] = Field(default=(), description="Columns of the header that a file may lack.")
    fill_down: tuple[str, ...] = Field(
        default=(), description="Columns, such as the date of a day, whose blank cells repeat the one above."
    )

    @model_validator(mode="after")
    def _columns(self) -> DelimitedValues:
        if self.header is not False and not self.header:
            raise ValueError("a delimited feed needs header: its column names, or false with columns")
        if self.header is False and not self.columns:
            raise ValueError("header: false needs columns: the names of the columns in order")
        if self.header is not False and self.columns:
            raise ValueError("give columns only where header is false")
        if (self.slots is not None) != (self.raw_names.count(ELLIPSIS) == 1):
            raise ValueError("slots and one ... among the column names, where the slots stand, belong together")
        if self.slots is not None and self.value_columns != ("value",):
            raise ValueError("a feed with slots has one value: {column: value}")
        columns = self.column_names if self.slots is None else (*self.column_names, *SLOT_COLUMNS)
        if len(set(columns)) != len(columns):
            raise ValueError(f"column names must differ{_ADVICE_ON_NAMELESS if columns.count('') > 1 else ''}")
        self._check_places()
        missing = [name for name in (*self.used_columns, *self.optional, *self.fill_down) if name not in columns]
        if missing:
            raise ValueError(f"no such column in the header: {', '.join(missing)}")
        if self.optional and self.header is False:
            raise ValueError("optional columns are told by the header: give it")
        needed = set(self.used_columns) - set(self.value_columns)
        if indispensable := sorted(needed.intersection(self.optional)):
            raise ValueError(f"these columns cannot be optional: {', '.join(indispensable)}")
        if filled := sorted(set(self.fill_down).intersection({*self.value_columns, *self.optional, *SLOT_COLUMNS})):
            raise ValueError(f"a blank cell of {', '.join(filled)} means that there is none: leave it out of fill_down")
        return self

    def _check_places(self) -> None:
        """Raise ``ValueError`` if a name that calls a column by its place names another one."""
        for place, name in enumerate(self.column_names if self.header is not False else (), start=1):
            if _PLACE.fullmatch(name) and name != f"#{place}":
                raise ValueError(f"{name!r} stands for a column without a name at that place: write '#{place}' here")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of the file in order, with those of the slots."""
        slots = () if self.slots is None else self.slots.labels
        return tuple(name for given in self.raw_names for name in (slots if given == ELLIPSIS else (given,)))


class JsonLinesFeed(Feed):
    """One JSON object per line."""

    reads_utf_16: ClassVar[bool] = True

    format: Literal[FeedFormat.JSON_LINES]
    mqtt: MqttSource | None = Field(default=None, description="Topics of `metrify bridge mqtt`; see docs/mqtt.md.")

    @model_validator(mode="after")
    def _paths(self) -> JsonLinesFeed:
        for topic in () if self.mqtt is None else self.mqtt.topics:
            missing = self.unnamed_levels(TopicPattern.parse(topic))
            if missing:
                raise ValueError(f"topic {topic!r} has no level {{{missing[0]}}}, which the feed reads")
        _check_paths(self.used_columns)
        return self

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether rows are messages in the order in which they came."""
        return self.mqtt is not None

    def unnamed_levels(self, topic: TopicPattern) -> list[str]:
        """Return the levels that the feed reads and that have no name in a topic of it."""
        read = {name.removeprefix(LEVELS) for name in self.used_columns if name.startswith(LEVELS)}
        return sorted(read - set(topic.names))


class JsonDocumentFeed(MeasuredFeed):
    """One JSON document per file."""

    format: Literal[FeedFormat.JSON_DOCUMENT]
    records: tuple[RecordsPath, ...] = Field(
        description="Where the records are, such as hourly[].", json_schema_extra={"minItems": 1}
    )

    @field_validator("records")
    @classmethod
    def _some_records(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("a json_document feed needs records: where they are, such as hourly[]")
        return value

    @model_validator(mode="after")
    def _paths(self) -> JsonDocumentFeed:
        _check_paths(self.used_columns)
        return self


class ParquetFeed(Feed):
    """Parquet files."""

    format: Literal[FeedFormat.PARQUET]


class StreamFeed(MeasuredFeed):
    """Records of Kafka topics."""

    format: Literal[FeedFormat.STREAM]
    stream: Stream

    @model_validator(mode="after")
    def _stream(self) -> StreamFeed:
        if self.same_name is not SameName.ADD:
            raise ValueError("the drops of a stream add to each other: say same_name: add")
        longest = max(self.stream.topics, key=len)
        if len(self.name) + len(longest) > LONGEST_STREAM_NAMES:
            raise ValueError(
                f"feed and topic {longest[:20]}... are too long together for the names of files "
                f"({LONGEST_STREAM_NAMES} characters at most): give the feed, or the topic, a shorter name"
            )
        fields = self.stream.record_fields()
        missing = [name for name in self.record_columns if fields is not None and name.partition(".")[0] not in fields]
        if missing:
            raise ValueError(f"no such field in every Avro schema: {', '.join(missing)}")
        return self

    @property
    def in_order_of_arrival(self) -> bool:
        """Records keep their order."""
        return True

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Columns of a record's value: those that the feed reads, without that of the key."""
        return tuple(name for name in self.used_columns if name != self.stream.key)


class PluginFeed(MeasuredFeed):
    """A format that the reader of another package knows; see ``plugins.py``."""

    format: Literal[FeedFormat.PLUGIN]
    reader: str = Field(description="Name of the reader that a package has.")

    @field_validator("reader")
    @classmethod
    def _installed(cls, value: str) -> str:
        reader_entry(value)
        return value

    @property
    def read_by(self) -> dict[str, str]:
        """Package and version of the reader."""
        return {"reader_version": reader_version(self.reader)}


class GrammarFeed(ReadingsFeed):
    """A format with a grammar of its own, whose columns the reader gives; docs/formats.md says what each holds."""

    grammar_columns: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _columns(self) -> GrammarFeed:
        missing = [name for name in self.used_columns if name not in self.grammar_columns]
        if missing:
            raise ValueError(
                f"{self.format} has no column {', '.join(missing)}; it has {', '.join(self.grammar_columns)}"
            )
        return self


class MsconsReadings(GrammarFeed):
    """MSCONS, the EDIFACT message of European markets."""

    format: Literal[FeedFormat.MSCONS]
    control_counts: bool = Field(
        default=True, description="Refuse messages whose UNT names another number of segments than they have."
    )

    grammar_columns: ClassVar[tuple[str, ...]] = (
        *("message", "point", "channel", "start", "minutes", "reading", "value", "unit"),
        *("qualifier", "method", "reason", "remark"),
    )


class Nem12Readings(GrammarFeed):
    """NEM12, the format of the Australian market."""

    format: Literal[FeedFormat.NEM12]

    grammar_columns: ClassVar[tuple[str, ...]] = (
        *("nmi", "suffix", "register_id", "meter_serial", "start", "minutes", "value", "unit"),
        *("quality", "method", "reason", "remark"),
    )


class EspiReadings(GrammarFeed):
    """ESPI, the format of Green Button."""

    format: Literal[FeedFormat.ESPI]

    grammar_columns: ClassVar[tuple[str, ...]] = (
        *("usage_point", "usage_point_href", "meter_reading", "start", "minutes", "reading", "value", "uom"),
        *("flow_direction", "commodity", "channel", "quality"),
    )


class DatedReadings(GrammarFeed):
    """A format whose documents say when they were made."""

    @property
    def states_creation(self) -> bool:
        """Whether a document says when it was made."""
        return True


class E66Readings(DatedReadings):
    """E66, validated metered data of ebIX, as Swiss grid operators send it (SDAT-CH)."""

    format: Literal[FeedFormat.E66]

    grammar_columns: ClassVar[tuple[str, ...]] = (
        *("document", "created", "series", "point", "direction", "in_area", "out_area", "product", "channel"),
        *("start", "minutes", "value", "unit", "condition"),
    )


class EslReadings(DatedReadings):
    """ESL billing data: the export of a meter's registers that Swiss grid operators send beside E66."""

    format: Literal[FeedFormat.ESL]

    grammar_columns: ClassVar[tuple[str, ...]] = (
        *("meter", "internal_number", "obis", "read_at", "reading", "quantity", "value", "status"),
    )


def _check_paths(names: Iterable[str]) -> None:
    for name in names:
        field_path(name)
