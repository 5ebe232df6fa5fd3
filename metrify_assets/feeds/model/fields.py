"""The parts of a feed definition: where texts, times, lengths and values stand in a row.

Belongs here: the sections that several feeds share. Does not belong here: feeds (``kinds.py``, ``formats.py``), texts
that are tried on their own (``declared.py``), the section of a stream (``stream.py``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from metrify_assets.feeds.declared import ColumnName, TextPattern, TimeZone, stamp_format
from metrify_assets.feeds.model.vocabulary import ISO, LONGEST_INTERVAL_MINUTES, UNIX_FACTORS
from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.feeds.values.market_status import MarketCodes, statuses

SLOT_COLUMNS = ("slot", "value")
_TIMES_OF_DAY = ("%H", "%I", "%M", "%S", "%p", "%X", "%c")
ELLIPSIS = "..."
"""Stands for the columns of the slots among the names of columns."""


class Declared(BaseModel):
    """A part of a feed definition: it does not change, and a field that it does not have is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TextField(Declared):
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
        texts = [*self.mapping.values(), *([] if self.constant is None else [self.constant])]
        return (*(self.prefix + text for text in texts), *([] if self.default is None else [self.default]))


def _constant_from_text(value: object) -> object:
    return {"constant": value} if isinstance(value, str) else value


Text = Annotated[TextField, BeforeValidator(_constant_from_text, json_schema_input_type=TextField | str)]
"""A ``TextField``; in YAML a bare text is short for ``{constant: text}``."""


class EarlierZone(Declared):
    """Another time zone of stamps before a certain wall-clock time: a sender changed its clocks for good."""

    # A wall-clock time, which is no `date-time` of JSON schema: that has an offset.
    before: Annotated[datetime, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ][\d:.]+)?$"})]
    timezone: TimeZone

    @field_validator("before")
    @classmethod
    def _wall_clock(cls, value: datetime) -> datetime:
        if value.tzinfo is not None:
            raise ValueError("give a wall-clock time without an offset, such as 2000-01-01T00:00:00")
        return value


class Stamp(Declared):
    """How a row states its time.

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
    range : str
        What stands between start and end in the column's cell, such as `` - ``; empty where it holds one time. Both
        ends may name the zone's summer or winter time: ``(CEST)``.
    position : str, optional
        Column with the number of the interval within its local day, from 1; ``columns`` then hold the date alone.
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
    range: str = ""
    position: ColumnName | None = None

    @property
    def read_columns(self) -> tuple[str, ...]:
        """Columns that state the time of a row."""
        return self.columns if self.position is None else (*self.columns, self.position)

    @model_validator(mode="after")
    def _one_way_to_state_a_time(self) -> Stamp:
        if self.range and (len(self.columns) > 1 or "%" not in self.format or self.marks == "end" or self.position):
            raise ValueError(
                "a range stands in one column and states both ends: give that column and a strptime format of an end, "
                "without marks: end and position"
            )
        if self.position is None:
            return self
        if "%" not in self.format or self.marks == "end" or any(time in self.format for time in _TIMES_OF_DAY):
            raise ValueError(
                "position counts the intervals of a day: give a format of the date alone, such as '%d.%m.%Y', without "
                "marks: end"
            )
        if self.position in self.columns:
            raise ValueError("position must be another column than those of the date")
        return self

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


class MinutesColumn(Declared):
    """A column that holds the length of each row's interval.

    Attributes
    ----------
    column : str
    mapping : dict
        Sender's text (such as PT15M) to minutes; without it the column holds whole minutes.
    """

    column: ColumnName
    mapping: dict[str, Annotated[int, Field(ge=1, le=LONGEST_INTERVAL_MINUTES)]] = {}


class Slots(Declared):
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


def _minute(label: str) -> int:
    return int(label[:2]) * 60 + int(label[3:])


def _text_of_number(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Sentinel = Annotated[str, BeforeValidator(_text_of_number, json_schema_input_type=str | int | float)]
"""A text that means that there is no value; in YAML a number needs no quotes."""


class ValueColumn(Declared):
    """A column that holds values; in a wide file each one names what it is.

    Attributes
    ----------
    sentinels : tuple of str
        Texts that mean that there is no value, in this column only.
    """

    column: ColumnName
    sentinels: tuple[Sentinel, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The column and those that are added to it."""
        return (self.column,)


class ReadingColumn(ValueColumn):
    """A column of readings; point and channel where the columns differ in them."""

    point: Annotated[str, Field(pattern=r"\S")] | None = None
    obis: str | None = None


class QuantityColumn(ReadingColumn):
    """A column of power quality; point, channel and unit where the columns differ in them."""

    unit: str | None = None


class MetricColumn(ValueColumn):
    """A column of weather, or of grid status.

    Attributes
    ----------
    metric : str, optional
        Where the columns differ in it.
    unit : str, optional
        As delivered, converted to that of the metric; none means that it is the same.
    add : tuple of str
        Columns whose values, where there are any, are added (rain and snow).
    """

    metric: str | None = None
    unit: str | None = None
    add: tuple[ColumnName, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The column and those that are added to it."""
        return (self.column, *self.add)


class GridColumn(MetricColumn):
    """A column of grid status."""

    control_area: str | None = None


class SubstitutedColumns(Declared):
    """A column whose cell names the value columns that the sender filled in: their status is ``substitute``."""

    column: ColumnName
    separator: Annotated[str, Field(min_length=1)] = " | "


class MqttSource(Declared):
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
