"""What a feed is: the declaration that a YAML file holds.

Belongs here: the pydantic model, its checks and the digest. Does not belong here: finding the files
(``catalogue.py``) and reading what a feed delivers (``reader.py``).
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from metrify_assets.feeds.declared import (
    ColumnName,
    Delimiter,
    Encoding,
    HeaderName,
    LineBeginning,
    MemberPattern,
    NamePattern,
    RecordsPath,
    TextPattern,
    ThousandsSign,
    TimeZone,
    check_resolution,
    field_path,
    obis_code,
    stamp_format,
)
from metrify_assets.feeds.plugins import reader_entry, reader_version
from metrify_assets.feeds.stream import NOT_READING, Stream
from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.feeds.values.conversions import units_of
from metrify_assets.feeds.values.dated_names import DatedNames
from metrify_assets.feeds.values.market_status import MarketCodes, statuses
from metrify_assets.schemas.grid_and_weather import CONTROL_AREAS, GRID_METRICS, WEATHER_METRICS, WEATHER_UNITS
from metrify_assets.schemas.readings import SOURCE_STATUSES
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import UNITS
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
    PLUGIN = "plugin"
    """Read by a package of somebody else's; see ``plugins.py``."""


GRAMMAR_COLUMNS: dict[FeedFormat, tuple[str, ...]] = {
    FeedFormat.MSCONS: (
        *("message", "point", "channel", "start", "minutes", "reading", "value", "unit"),
        *("qualifier", "method", "reason", "remark"),
    ),
    FeedFormat.NEM12: (
        *("nmi", "suffix", "register_id", "meter_serial", "start", "minutes", "value", "unit"),
        *("quality", "method", "reason", "remark"),
    ),
    FeedFormat.ESPI: (
        *("usage_point", "usage_point_href", "meter_reading", "start", "minutes", "reading", "value", "uom"),
        *("flow_direction", "commodity", "channel", "quality"),
    ),
}
"""Columns that the readers of formats with a grammar of their own yield; docs/formats.md says what each holds."""


class SameName(StrEnum):
    """What a second file of the same name means."""

    REPLACE = "replace"
    ADD = "add"


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextField(_Declared):
    """Where a text comes from: a column, a constant, or a group of a regular expression on the file's name.

    Attributes
    ----------
    column, constant, file_name : str
        Exactly one of them. ``file_name`` holds one group, such as ``^(loadprofile_\\d+)\\.csv$``.
    prefix : str
        Put before the text.
    codes : MarketCodes, optional
        Standard whose status codes the mapping begins with.
    mapping : dict
        Sender's text to ours; where it is given, a text that it lacks is rejected.
    default : str, optional
        Text (after mapping) where the cell is blank.
    """

    column: ColumnName | None = None
    constant: str | None = None
    file_name: TextPattern | None = None
    prefix: str = ""
    codes: MarketCodes | None = None
    mapping: dict[str, str] = {}
    default: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _standard_codes(cls, declared: object) -> object:
        if isinstance(declared, dict) and declared.get("codes") in list(MarketCodes):
            own = declared.get("mapping") or {}
            return {**declared, "mapping": {**statuses(MarketCodes(declared["codes"])), **own}}
        return declared

    @model_validator(mode="after")
    def _one_source(self) -> TextField:
        given = [name for name in ("column", "constant", "file_name") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of column, constant and file_name")
        if self.constant is not None and not self.constant.strip():
            raise ValueError("constant must not be blank")
        return self

    def outcomes(self) -> tuple[str, ...]:
        """Return the texts that are known without a file: constant and mapped texts with the prefix, default."""
        told = [*self.mapping.values(), *([] if self.constant is None else [self.constant])]
        return (*(self.prefix + text for text in told), *([] if self.default is None else [self.default]))


def _constant_from_text(value: object) -> object:
    return {"constant": value} if isinstance(value, str) else value


Text = Annotated[TextField, BeforeValidator(_constant_from_text)]
"""A ``TextField``; in YAML a bare text is short for ``{constant: text}``."""


class EarlierZone(_Declared):
    """Another time zone of stamps before a certain wall-clock time: a sender changed its clocks for good."""

    before: datetime
    timezone: TimeZone

    @field_validator("before")
    @classmethod
    def _wall_clock(cls, value: datetime) -> datetime:
        if value.tzinfo is not None:
            raise ValueError("give a wall-clock time without an offset, such as 2000-01-01T00:00:00")
        return value


class Stamp(_Declared):
    """How a row tells its time.

    Attributes
    ----------
    columns : tuple of str
        One column, or date and time; several are joined by one blank.
    format : str
        ``iso`` (offsets are honoured; without one the time zone below holds), ``unix`` or ``unix_ms`` (seconds or
        milliseconds since 1970), or a ``strptime`` format.
    timezone : str
        IANA zone of stamps without an offset.
    earlier : EarlierZone, optional
        Another zone of older stamps.
    marks : {"start", "end"}
        Which end of the interval the stamp names. For a register read it is the instant.
    ends : {"clock", "instant"}
        How end stamps without an offset go over the changes of the clock. ``clock``: the wall-clock time of the start
        plus the length, so that 02:15 to 03:00 end the quarter hours of the repeated hour. ``instant``: the wall-clock
        time when the interval ends, so that 03:00 follows 01:45 in spring, and 02:00 to 02:45 come twice in autumn.
    """

    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1)]
    format: str = ISO
    timezone: TimeZone = "UTC"
    earlier: EarlierZone | None = None
    marks: Literal["start", "end"] = "start"
    ends: Literal["clock", "instant"] = "clock"

    @model_validator(mode="after")
    def _ends_of_end_stamps(self) -> Stamp:
        if self.ends != "clock" and self.marks != "end":
            raise ValueError("ends says how end stamps are counted: say marks: end")
        return self

    @field_validator("format")
    @classmethod
    def _a_format(cls, value: str) -> str:
        if value != ISO and value not in UNIX_FACTORS and "%" not in value:
            raise ValueError("use iso, unix, unix_ms or a strptime format such as '%d.%m.%Y %H:%M'")
        return stamp_format(value) if "%" in value else value


class MinutesColumn(_Declared):
    """A column that holds the length of each row's interval.

    Attributes
    ----------
    column : str
    mapping : dict
        Sender's text (such as PT15M) to minutes; without it the column holds whole minutes.
    """

    column: ColumnName
    mapping: dict[str, Annotated[int, Field(ge=1, le=LONGEST_INTERVAL_MINUTES)]] = {}


class Slots(_Declared):
    """A wide file with one column per slot of a day: ``...`` in the header stands for them.

    The column ``slot`` of a row is then the label of its column, and may be one of the stamp's columns; ``value`` is
    the cell. 24:00 is the end of the day.

    Attributes
    ----------
    first, last : str
        Labels of the first and last column, by the wall clock: 00:15 and 24:00.
    step_minutes : int
    """

    first: Annotated[str, Field(pattern=r"^[0-2]\d:[0-5]\d$")]
    last: Annotated[str, Field(pattern=r"^[0-2]\d:[0-5]\d$")]
    step_minutes: Annotated[int, Field(ge=1, le=1_440)]

    @model_validator(mode="after")
    def _in_order(self) -> Slots:
        first, last = _minute(self.first), _minute(self.last)
        if not first <= last <= 1_440 or (last - first) % self.step_minutes:
            raise ValueError("last must come after first by a multiple of step_minutes, at 24:00 at most")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all columns in order."""
        minutes = range(_minute(self.first), _minute(self.last) + 1, self.step_minutes)
        return tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in minutes)


SLOT_COLUMNS = ("slot", "value")
_ELLIPSIS = "..."


def _minute(label: str) -> int:
    return int(label[:2]) * 60 + int(label[3:])


class ValueColumn(_Declared):
    """A column that holds values; in a wide file each one names what it is.

    Attributes
    ----------
    unit : str, optional
        Grid status and weather: unit as delivered, converted to that of the metric; none means that it is the same.
    sentinels : tuple of str
        Texts that mean that there is no value, in this column only.
    add : tuple of str
        Grid status and weather: columns whose values, where there are any, are added (rain and snow).
    """

    column: ColumnName
    point: Annotated[str, Field(pattern=r"\S")] | None = None
    obis: str | None = None
    metric: str | None = None
    control_area: str | None = None
    unit: str | None = None
    sentinels: tuple[str, ...] = ()
    add: tuple[ColumnName, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The column and those that are added to it."""
        return (self.column, *self.add)


class SubstitutedColumns(_Declared):
    """A column whose cell names the value columns that the sender filled in: their status is ``substitute``."""

    column: ColumnName
    separator: Annotated[str, Field(min_length=1)] = " | "


class MqttSource(_Declared):
    """Topics that ``metrify bridge mqtt`` turns into files of the feed.

    Attributes
    ----------
    topics : tuple of str
        Such as ``meters/{point}/energy``: the field ``levels.point`` of a line is then the second level.
    """

    topics: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("topics")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            TopicPattern.parse(text)
        return value


class Feed(_Declared):
    """One feed: what arrives under ``inbox/<name>/`` and how to read it.

    See ``definitions/`` for examples. Every referenced column must be in the header.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    description: Annotated[str, Field(min_length=1)]
    kind: FeedKind
    format: FeedFormat
    reader: str | None = Field(default=None, description="Format plugin: name of the reader that a package has.")
    files: NamePattern = Field(
        default="*", description="Pattern of file names, or several: north_*.csv|n_*.csv; .gz or .zip may follow."
    )
    members: MemberPattern = Field(
        default="", description="Zip: pattern of the names of the files inside; all without it."
    )
    same_name: SameName = SameName.REPLACE
    settle_seconds: float = Field(
        default=2, ge=0, allow_inf_nan=False, description="A file must not change for so long before it is read."
    )
    dated_names: DatedNames | None = Field(default=None, description="How names tell their date; see docs/s3.md.")
    mqtt: MqttSource | None = Field(default=None, description="Topics of `metrify bridge mqtt`; see docs/mqtt.md.")

    stream: Stream | None = None

    encoding: Encoding = "utf-8"
    delimiter: Annotated[Delimiter, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Annotated[ThousandsSign, Field(max_length=1)] = ""
    header: Literal[False] | tuple[HeaderName, ...] | None = Field(
        default=None, description="Expected column names in order, or false; registries have the schema's columns."
    )
    columns: tuple[HeaderName, ...] = Field(default=(), description="Names of the columns where header is false.")
    skip_lines: Annotated[int, Field(ge=0, le=1_000)] = Field(default=0, description="Lines before the header.")
    footer: tuple[LineBeginning, ...] = Field(
        default=(), description="Beginnings of lines that hold totals or remarks, no data."
    )
    quoted_line_ends: bool = Field(default=False, description="Whether quoted cells may hold line ends.")
    slots: Slots | None = None
    control_counts: bool = Field(
        default=True, description="MSCONS: refuse messages whose UNT names another number of segments than they have."
    )
    sentinels: tuple[str, ...] = Field(default=(), description="Texts beside blank that mean that there is no value.")
    optional: tuple[str, ...] = Field(default=(), description="Columns of the header that a file may lack.")
    header_noise: tuple[LineBeginning, ...] = Field(
        default=(), description="Endings of column names that are not looked at."
    )
    records: tuple[RecordsPath, ...] = Field(
        default=(), description="JSON document: where its records are, such as hourly[]."
    )

    stamp: Stamp | None = None
    interval_minutes: int | MinutesColumn | None = None
    also_intervals: tuple[Annotated[int, Field(ge=1, le=1_440)], ...] = Field(
        default=(), description="Grid status: other intervals that whole files may have, told by their stamps."
    )
    values: tuple[ValueColumn, ...] = ()
    repeated_rows: Literal["refuse", "last", "first"] | None = Field(
        default=None,
        description="Different values of a slot in one file: refuse them all, or the last or the first counts; "
        "without it readings in files are refused, and of all else the last counts.",
    )

    reading: Literal["interval", "register"] | TextField = "interval"
    point: Text | None = None
    obis: Text | None = None
    unit: Text | None = None
    status: Text | None = None
    substituted: SubstitutedColumns | None = None
    author: Text | None = None
    remark: Text | None = None

    source_id: Text | None = None
    control_area: Text | None = None
    metric: Text | None = None
    station: Text | None = None
    quality: Text | None = None

    registry: Literal["points", "meters", "registers", "operators", "weather_stations", "outages"] | None = None
    rename: dict[ColumnName, str] = Field(
        default={}, description="Registry: column of the file to column of the schema."
    )

    @field_validator("sentinels", mode="before")
    @classmethod
    def _numbers_as_text(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return tuple(str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for v in value)
        return value

    @field_validator("interval_minutes")
    @classmethod
    def _at_most_a_day(cls, value: int | MinutesColumn | None) -> int | MinutesColumn | None:
        if isinstance(value, int) and not 1 <= value <= 1_440:
            raise ValueError("use 1 to 1440 minutes, or {column: ...} where rows differ")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Feed:
        if self.thousands and self.thousands == self.decimal:
            raise ValueError("thousands and decimal must differ")
        if self.kind is FeedKind.REGISTRY:
            self._check_registry()
        else:
            self._check_measured()
        self._check_stream()
        self._check_reader()
        self._check_repeated_rows()
        if self.format is FeedFormat.DELIMITED:
            self._check_columns()
        else:
            self._check_not_delimited()
        if (self.format is FeedFormat.JSON_DOCUMENT) != bool(self.records):
            raise ValueError("a json_document feed needs records, where they are (hourly[]); other formats have none")
        if self.format is FeedFormat.JSON_DOCUMENT and self.kind is FeedKind.REGISTRY:
            raise ValueError("a registry comes as delimited, json_lines or parquet")
        if self.mqtt is not None:
            self._check_topics(self.mqtt)
        self._check_texts()
        return self

    def _check_texts(self) -> None:
        """Try the texts whose meaning depends on other fields."""
        if self.stamp is not None and "%" in self.stamp.format and isinstance(self.interval_minutes, int):
            check_resolution(self.stamp.format, self.interval_minutes)
        obis = () if self.obis is None else self.obis.outcomes()
        for code in (*obis, *(value.obis for value in self.values if value.obis is not None)):
            obis_code(code)
        for part in ("point", "obis", "source_id", "station"):
            field = getattr(self, part)
            if field is not None and not all(text.strip() for text in field.outcomes()):
                raise ValueError(f"{part} must not become blank: give a text in its mapping and its default")
        if self.format in (FeedFormat.JSON_LINES, FeedFormat.JSON_DOCUMENT):
            for name in self.used_columns:
                field_path(name)
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

    def without_noise(self, name: str) -> str:
        """Return the name of a column as it is compared: without blanks around it and endings not looked at."""
        name = name.strip()
        for ending in self.header_noise:
            name = name.removesuffix(ending).strip()
        return name

    def _check_not_delimited(self) -> None:
        if self.header is not None or self.columns:
            raise ValueError(f"header and columns belong to delimited feeds, not to {self.format}")
        for part in ("skip_lines", "footer", "quoted_line_ends", "slots", "optional", "header_noise"):
            if getattr(self, part):
                raise ValueError(f"{part} belongs to delimited feeds, not to {self.format}")
        known = GRAMMAR_COLUMNS.get(self.format)
        if known is None:
            return
        if self.kind is not FeedKind.READINGS:
            raise ValueError(f"{self.format} carries readings: kind must be readings")
        missing = [name for name in self.used_columns if name not in known]
        if missing:
            raise ValueError(f"{self.format} has no column {', '.join(missing)}; it has {', '.join(known)}")

    def _check_topics(self, mqtt: MqttSource) -> None:
        if self.format is not FeedFormat.JSON_LINES:
            raise ValueError(f"messages of mqtt become lines of JSON: use format json_lines, not {self.format}")
        for topic in mqtt.topics:
            missing = self.unnamed_levels(TopicPattern.parse(topic))
            if missing:
                raise ValueError(f"topic {topic!r} has no level {{{missing[0]}}}, which the feed reads")

    def _check_stream(self) -> None:
        if (self.format is FeedFormat.STREAM) != (self.stream is not None):
            raise ValueError("format: stream and the section stream belong together: give both or none")
        if self.stream is None:
            return
        if self.kind is FeedKind.REGISTRY:
            raise ValueError("a registry cannot be a stream: deliver it as files")
        if self.same_name is not SameName.ADD:
            raise ValueError("the drops of a stream add to each other: say same_name: add")
        longest = max(self.stream.topics, key=len)
        if len(self.name) + len(longest) > LONGEST_STREAM_NAMES:
            raise ValueError(
                f"feed and topic {longest[:20]}... are too long together for the names of files "
                f"({LONGEST_STREAM_NAMES} characters at most): give the feed, or the topic, a shorter name"
            )
        known = self.stream.record_fields()
        missing = [name for name in self.record_columns if known is not None and name.partition(".")[0] not in known]
        if missing:
            raise ValueError(f"no such field in every Avro schema: {', '.join(missing)}")

    def _check_reader(self) -> None:
        if (self.format is FeedFormat.PLUGIN) != (self.reader is not None):
            raise ValueError("format: plugin and reader belong together: give both or none")
        if self.reader is not None:
            reader_entry(self.reader)

    def _check_repeated_rows(self) -> None:
        if self.repeated_rows is None:
            return
        if self.kind is FeedKind.REGISTRY:
            raise ValueError("repeated_rows belongs to readings, grid_status and weather")
        if self._in_order_of_arrival and self.repeated_rows != "last":
            raise ValueError(
                "records of a stream and messages keep their order, where the last counts: leave out "
                f"repeated_rows: {self.repeated_rows}"
            )

    def _check_registry(self) -> None:
        if self.registry is None:
            raise ValueError(f"a registry feed needs registry, one of {', '.join(REGISTRIES)}")
        known = set(REGISTRIES[self.registry].arrow.names)
        unknown = sorted(set(self.rename.values()) - known)
        if unknown:
            raise ValueError(f"rename: {self.registry} has no column {', '.join(unknown)}")

    def _check_measured(self) -> None:
        for needed in ("stamp", "interval_minutes", "values"):
            if not getattr(self, needed):
                raise ValueError(f"a {self.kind} feed needs {needed}")
        per_kind = {
            FeedKind.READINGS: ("point", "obis"),
            FeedKind.GRID_STATUS: ("metric", "control_area"),
            FeedKind.WEATHER: ("metric",),
        }[self.kind]
        for part in per_kind:
            own = [getattr(value, part) is not None for value in self.values]
            if any(own) if getattr(self, part) is not None else not all(own):
                raise ValueError(f"give {part} either for the feed, or for every one of its values")
        needed = {
            FeedKind.READINGS: ("unit",),
            FeedKind.GRID_STATUS: ("source_id",),
            FeedKind.WEATHER: ("source_id", "station"),
        }[self.kind]
        for part in needed:
            if getattr(self, part) is None:
                raise ValueError(f"a {self.kind} feed needs {part}")
        self._check_vocabulary()
        self._check_conversions()
        if self.status is not None and EDITED in self.status.outcomes() and not (self.author and self.remark):
            raise ValueError("edited values need author and remark: who decided, and why")

    def _check_vocabulary(self) -> None:
        metrics = WEATHER_METRICS if self.kind is FeedKind.WEATHER else GRID_METRICS
        vocabularies = {
            "unit": UNITS,
            "status": SOURCE_STATUSES,
            "reading": READINGS,
            "control_area": CONTROL_AREAS,
            "metric": tuple(metrics),
        }
        for part, allowed in vocabularies.items():
            field = getattr(self, part)
            texts = list(field.outcomes()) if isinstance(field, TextField) else []
            own = self.values if part != "unit" else ()
            texts += [text for value in own if (text := getattr(value, part, None)) is not None]
            for text in texts:
                if text not in allowed:
                    raise ValueError(f"{part} {text!r} is unknown; use one of {', '.join(allowed)}")

    def _check_conversions(self) -> None:
        if self.kind is FeedKind.READINGS:
            if any(value.unit or value.add for value in self.values):
                raise ValueError("unit and add of a value belong to grid_status and weather; give unit for the feed")
            if self.also_intervals:
                raise ValueError("also_intervals belongs to grid_status and weather")
            return
        for value in self.values:
            if value.unit is None:
                continue
            stored = self.stored_unit(value)
            if value.unit not in units_of(stored):
                known = ", ".join(units_of(stored))
                raise ValueError(f"unit {value.unit!r} of {value.column} is unknown; use one of {known}")

    def stored_unit(self, value: ValueColumn) -> str:
        """Return the unit that the table stores the column's metric in.

        Raises
        ------
        ValueError
            If the metrics that the column may hold are not stored in one and the same unit.
        """
        metrics = [value.metric] if value.metric is not None else list(self.metric.outcomes())
        weather = self.kind is FeedKind.WEATHER
        units = {WEATHER_UNITS[name] if weather else GRID_METRICS[name][0] for name in metrics}
        if len(units) != 1:
            raise ValueError(f"unit of {value.column} needs a metric whose unit is known without the file")
        return units.pop()

    def _check_columns(self) -> None:
        if self.kind is FeedKind.REGISTRY:
            return
        if self.header is None or (self.header is not False and not self.header):
            raise ValueError("a delimited feed needs header: its column names, or false with columns")
        if self.header is False and not self.columns:
            raise ValueError("header: false needs columns: the names of the columns in order")
        if self.header is not False and self.columns:
            raise ValueError("give columns only where header is false")
        if (self.slots is not None) != (self.raw_names.count(_ELLIPSIS) == 1):
            raise ValueError("slots and one ... among the column names, where the slots stand, belong together")
        if self.slots is not None and self.value_columns != ("value",):
            raise ValueError("a feed with slots has one value: {column: value}")
        known = self.column_names if self.slots is None else (*self.column_names, *SLOT_COLUMNS)
        if len(set(known)) != len(known):
            raise ValueError("column names must differ")
        missing = [name for name in (*self.used_columns, *self.optional) if name not in known]
        if missing:
            raise ValueError(f"no such column in the header: {', '.join(missing)}")
        if self.optional and self.header is False:
            raise ValueError("optional columns are told by the header: give it")
        needed = set(self.used_columns) - {value.column for value in self.values}
        if indispensable := sorted(needed.intersection(self.optional)):
            raise ValueError(f"these columns cannot be optional: {', '.join(indispensable)}")

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Columns of a delimited file as declared, ``...`` for those of the slots."""
        return self.columns if self.header is False else tuple(self.header or ())

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of a delimited file in order."""
        slots = () if self.slots is None else self.slots.labels
        return tuple(name for given in self.raw_names for name in (slots if given == _ELLIPSIS else (given,)))

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns that hold values."""
        return tuple(value.column for value in self.values)

    @property
    def _fields(self) -> tuple[TextField | None, ...]:
        fields = (self.point, self.obis, self.unit, self.status, self.source_id, self.control_area)
        fields += (self.metric, self.station, self.quality, self.author, self.remark)
        return (*fields, self.reading if isinstance(self.reading, TextField) else None)

    @property
    def used_columns(self) -> tuple[str, ...]:
        """Columns that the feed reads, each once, values last."""
        fields = (*self._fields, self.substituted)
        names = [*(self.stamp.columns if self.stamp else ())]
        names += [field.column for field in fields if field is not None and field.column is not None]
        if isinstance(self.interval_minutes, MinutesColumn):
            names.append(self.interval_minutes.column)
        names += [name for value in self.values for name in value.columns]
        return tuple(dict.fromkeys(names))

    def unnamed_levels(self, topic: TopicPattern) -> list[str]:
        """Return the levels that the feed reads and that have no name in a topic of it."""
        read = {name.removeprefix(LEVELS) for name in self.used_columns if name.startswith(LEVELS)}
        return sorted(read - set(topic.names))

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Columns of a streamed record's value: those that the feed reads, without that of the key."""
        key = self.stream.key if self.stream else None
        return tuple(name for name in self.used_columns if name != key)

    @property
    def reads_file_name(self) -> bool:
        """Whether the name of a file says whose values it holds: the same bytes under another name are other values."""
        return any(field is not None and field.file_name is not None for field in self._fields)

    @property
    def values_per_row(self) -> int:
        """Value cells of one row; a registry row counts as one."""
        return max(1, len(self.values))

    @property
    def _in_order_of_arrival(self) -> bool:
        """Whether rows are records or messages in the order in which they came: where a drop ends is chance."""
        return self.stream is not None or self.mqtt is not None

    @property
    def counting_rows(self) -> Literal["refuse", "last", "first"]:
        """Which of the rows with different values of one slot in one delivery count: ``refuse`` for none."""
        if self.repeated_rows is not None:
            return self.repeated_rows
        return "refuse" if self.kind is FeedKind.READINGS and not self._in_order_of_arrival else "last"

    @property
    def digest(self) -> str:
        """Hash of everything that decides how bytes become rows; 16 hexadecimal digits."""
        # Without defaults: a field that is new must not make the drops of feeds that do without it be read again.
        unread = dict.fromkeys(("description", "files", "same_name", "settle_seconds", "dated_names", "mqtt"), True)
        stream = set(NOT_READING) if self.stream is not None else True
        excluded = {**unread, "stream": stream, "repeated_rows": True}
        declared = self.model_dump(mode="json", exclude=excluded, exclude_defaults=True)
        # What holds, declared or not; the last row counted always where nothing else is said.
        if self.counting_rows != "last":
            declared["repeated_rows"] = self.counting_rows
        if self.reader is not None:
            declared["reader_version"] = reader_version(self.reader)
        text = json.dumps([READER_VERSION, declared], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def accepts(self, name: str) -> bool:
        """Return whether a file of that name belongs to the feed."""
        plain = PurePosixPath(name).name
        names = (plain, plain.removesuffix(".gz").removesuffix(".zip"))
        return any(fnmatchcase(text, pattern) for text in names for pattern in self.files.split("|"))
