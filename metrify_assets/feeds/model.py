"""What a feed is: the declaration that a YAML file holds.

Belongs here: the pydantic model, its checks and the digest. Does not belong here: finding the files
(``catalogue.py``) and reading what a feed delivers (``reader.py``).
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from metrify_assets.feeds.dated_names import DatedNames
from metrify_assets.schemas.grid_and_weather import CONTROL_AREAS, GRID_METRICS, WEATHER_METRICS
from metrify_assets.schemas.readings import SOURCE_STATUSES
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import UNITS
from metrify_assets.vee.codes import SourceStatus

READER_VERSION = 2
"""Raised whenever the readers would read the same bytes differently: drops are then read again."""

ISO = "iso"
EDITED = SourceStatus.EDITED.name.lower()


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
    PARQUET = "parquet"


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
    mapping : dict
        Sender's text to ours; where it is given, a text that it lacks is rejected.
    default : str, optional
        Text (after mapping) where the cell is blank.
    """

    column: str | None = None
    constant: str | None = None
    file_name: str | None = None
    prefix: str = ""
    mapping: dict[str, str] = {}
    default: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> TextField:
        given = [name for name in ("column", "constant", "file_name") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of column, constant and file_name")
        if self.constant is not None and not self.constant.strip():
            raise ValueError("constant must not be blank")
        if self.file_name is not None:
            try:
                groups = re.compile(self.file_name).groups
            except re.error as error:
                raise ValueError(f"file_name is no regular expression: {error}") from error
            if groups != 1:
                raise ValueError("file_name needs exactly one group in brackets, which is the text")
        return self

    def outcomes(self) -> tuple[str, ...]:
        """Return the texts that are known without a file: constant, mapped texts, default."""
        known = [*self.mapping.values(), self.constant, self.default]
        return tuple(text for text in known if text is not None)


def _constant_from_text(value: object) -> object:
    return {"constant": value} if isinstance(value, str) else value


Text = Annotated[TextField, BeforeValidator(_constant_from_text)]
"""A ``TextField``; in YAML a bare text is short for ``{constant: text}``."""


class Stamp(_Declared):
    """How a row tells its time.

    Attributes
    ----------
    columns : tuple of str
        One column, or date and time; several are joined by one blank.
    format : str
        ``iso`` (offsets are honoured; without one the time zone below holds) or a ``strptime`` format.
    timezone : str
        IANA zone of stamps without an offset.
    marks : {"start", "end"}
        Which end of the interval the stamp names. For a register read it is the instant.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    format: str = ISO
    timezone: str = "UTC"
    marks: Literal["start", "end"] = "start"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; use a name such as Europe/Berlin") from error
        return value

    @field_validator("format")
    @classmethod
    def _a_format(cls, value: str) -> str:
        if value != ISO and "%" not in value:
            raise ValueError("use iso or a strptime format such as '%d.%m.%Y %H:%M'")
        return value


class ValueColumn(_Declared):
    """A column that holds values; in a wide file each one names what it is."""

    column: str
    point: str | None = None
    obis: str | None = None
    metric: str | None = None
    control_area: str | None = None


class SubstitutedColumns(_Declared):
    """A column whose cell names the value columns that the sender filled in: their status is ``substitute``."""

    column: str
    separator: str = " | "


class Feed(_Declared):
    """One feed: what arrives under ``inbox/<name>/`` and how to read it.

    See ``definitions/`` for examples. Every referenced column must be in the header.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    description: Annotated[str, Field(min_length=1)]
    kind: FeedKind
    format: FeedFormat
    files: str = Field(default="*", description="Pattern of file names, such as north_*.csv; .gz may follow.")
    same_name: SameName = SameName.REPLACE
    settle_seconds: float = Field(default=2, ge=0, description="A file must not change for so long before it is read.")
    dated_names: DatedNames | None = Field(default=None, description="How names tell their date; see docs/s3.md.")

    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Field(max_length=1)] = ""
    header: Literal[False] | tuple[str, ...] | None = Field(
        default=None, description="Expected column names in order, or false; registries have the schema's columns."
    )
    columns: tuple[str, ...] = Field(default=(), description="Names of the columns where header is false.")
    sentinels: tuple[str, ...] = Field(default=(), description="Texts beside blank that mean that there is no value.")

    stamp: Stamp | None = None
    interval_minutes: Annotated[int, Field(ge=1, le=1_440)] | None = None
    values: tuple[ValueColumn, ...] = ()

    reading: Literal["interval", "register"] = "interval"
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
    rename: dict[str, str] = Field(default={}, description="Registry: column of the file to column of the schema.")

    @field_validator("sentinels", mode="before")
    @classmethod
    def _numbers_as_text(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return tuple(str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for v in value)
        return value

    @field_validator("encoding")
    @classmethod
    def _line_based_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError as error:
            raise ValueError(f"{value!r} is no encoding; use utf-8, utf-8-sig or latin-1") from error
        if "a;1\n".encode(value.removesuffix("-sig")) != b"a;1\n":
            raise ValueError(f"{value!r} does not keep ASCII as it is; use utf-8, utf-8-sig or latin-1")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Feed:
        if self.thousands and self.thousands == self.decimal:
            raise ValueError("thousands and decimal must differ")
        if self.kind is FeedKind.REGISTRY:
            self._check_registry()
        else:
            self._check_measured()
        if self.format is FeedFormat.DELIMITED:
            self._check_columns()
        elif self.header is not None or self.columns:
            raise ValueError(f"header and columns belong to delimited feeds, not to {self.format}")
        return self

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
        if self.status is not None and EDITED in self.status.outcomes() and not (self.author and self.remark):
            raise ValueError("edited values need author and remark: who decided, and why")

    def _check_vocabulary(self) -> None:
        metrics = WEATHER_METRICS if self.kind is FeedKind.WEATHER else GRID_METRICS
        vocabularies = {
            "unit": UNITS,
            "status": SOURCE_STATUSES,
            "control_area": CONTROL_AREAS,
            "metric": tuple(metrics),
        }
        for part, allowed in vocabularies.items():
            field = getattr(self, part)
            texts = [] if field is None else list(field.outcomes())
            texts += [text for value in self.values if (text := getattr(value, part, None)) is not None]
            for text in texts:
                if text not in allowed:
                    raise ValueError(f"{part} {text!r} is unknown; use one of {', '.join(allowed)}")

    def _check_columns(self) -> None:
        if self.kind is FeedKind.REGISTRY:
            return
        if self.header is None or (self.header is not False and not self.header):
            raise ValueError("a delimited feed needs header: its column names, or false with columns")
        if self.header is False and not self.columns:
            raise ValueError("header: false needs columns: the names of the columns in order")
        if self.header is not False and self.columns:
            raise ValueError("give columns only where header is false")
        names = self.column_names
        if len(set(names)) != len(names):
            raise ValueError("column names must differ")
        missing = [name for name in self.used_columns if name not in names]
        if missing:
            raise ValueError(f"no such column in the header: {', '.join(missing)}")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of a delimited file in order."""
        return self.columns if self.header is False else tuple(self.header or ())

    @property
    def used_columns(self) -> tuple[str, ...]:
        """Columns that the feed reads, each once, values last."""
        fields = (self.point, self.obis, self.unit, self.status, self.source_id, self.control_area)
        fields += (self.metric, self.station, self.quality, self.substituted, self.author, self.remark)
        names = [*(self.stamp.columns if self.stamp else ())]
        names += [field.column for field in fields if field is not None and field.column is not None]
        names += [value.column for value in self.values]
        return tuple(dict.fromkeys(names))

    @property
    def reads_file_name(self) -> bool:
        """Whether the name of a file says whose values it holds: the same bytes under another name are other values."""
        fields = (self.point, self.obis, self.unit, self.status, self.source_id, self.control_area)
        fields += (self.metric, self.station, self.quality, self.author, self.remark)
        return any(field is not None and field.file_name is not None for field in fields)

    @property
    def values_per_row(self) -> int:
        """Value cells of one row; a registry row counts as one."""
        return max(1, len(self.values))

    @property
    def digest(self) -> str:
        """Hash of everything that decides how bytes become rows; 16 hexadecimal digits."""
        about_arrival = {"description", "files", "same_name", "settle_seconds", "dated_names"}
        declared = self.model_dump(mode="json", exclude=about_arrival)
        text = json.dumps([READER_VERSION, declared], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def accepts(self, name: str) -> bool:
        """Return whether a file of that name belongs to the feed."""
        return fnmatchcase(PurePosixPath(name).name.removesuffix(".gz"), self.files)
