"""Feeds by what they carry: readings, power quality, grid status, weather, registries.

Belongs here: fields and checks that depend on the kind alone. Does not belong here: how files are written
(``formats.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from metrify_assets.feeds.declared import ColumnName, check_resolution, obis_code
from metrify_assets.feeds.model.base import CountingRows, Feed, check_outcomes
from metrify_assets.feeds.model.fields import (
    GridColumn,
    MetricColumn,
    MinutesColumn,
    QuantityColumn,
    ReadingColumn,
    Stamp,
    SubstitutedColumns,
    Text,
    TextField,
    ValueColumn,
)
from metrify_assets.feeds.model.vocabulary import EDITED, READINGS, FeedKind
from metrify_assets.feeds.values.conversions import conversion, units_of
from metrify_assets.schemas.grid_and_weather import CONTROL_AREAS, GRID_METRICS, WEATHER_METRICS, WEATHER_UNITS
from metrify_assets.schemas.power_quality import POWER_QUALITY_UNITS, RANGES
from metrify_assets.schemas.readings import SOURCE_STATUSES
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import UNITS
from metrify_assets.vee.channels import channel_of


class MeasuredFeed(Feed):
    """A feed of values with a stamp and a length."""

    if TYPE_CHECKING:
        values: tuple[ValueColumn, ...]

    stamp: Stamp = Field(description="How a row states its time.")
    interval_minutes: int | MinutesColumn = Field(
        description="Length of an interval, 1 to 1440, or {column: ...} where rows differ."
    )
    repeated_rows: CountingRows | None = Field(
        default=None,
        description="Different values of a slot in one file: refuse them all, or the last or the first counts; "
        "without it readings in files are refused, and of all else the last counts.",
    )

    @field_validator("interval_minutes")
    @classmethod
    def _at_most_a_day(cls, value: int | MinutesColumn) -> int | MinutesColumn:
        if isinstance(value, int) and not 1 <= value <= 1_440:
            raise ValueError("use 1 to 1440 minutes, or {column: ...} where rows differ")
        return value

    @model_validator(mode="after")
    def _measured(self) -> MeasuredFeed:
        if self.stamp.range and isinstance(self.interval_minutes, MinutesColumn):
            if not self.range_states_length or self.interval_minutes.mapping:
                raise ValueError(
                    "interval_minutes: a range states its length itself: give minutes, or the column of the range and "
                    "no mapping"
                )
        elif "%" in self.stamp.format and isinstance(self.interval_minutes, int) and self.stamp.position is None:
            check_resolution(self.stamp.format, self.interval_minutes)
        if self.in_order_of_arrival and self.repeated_rows not in (None, "last"):
            raise ValueError(
                "records of a stream and messages keep their order, where the last counts: leave out "
                f"repeated_rows: {self.repeated_rows}"
            )
        return self

    @property
    def range_states_length(self) -> bool:
        """Whether the length of a row is that of the range in its stamp."""
        length = self.interval_minutes
        return bool(self.stamp.range) and isinstance(length, MinutesColumn) and length.column in self.stamp.columns

    @property
    def constant_minutes(self) -> int | None:
        """Length of every interval; None where rows differ."""
        return self.interval_minutes if isinstance(self.interval_minutes, int) else None

    @property
    def texts(self) -> Mapping[str, TextField]:
        """The texts that the feed gives its rows, by field, without those that it lacks."""
        return {name: field for name in self._text_fields if isinstance(field := getattr(self, name), TextField)}

    _text_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns that hold values."""
        return tuple(value.column for value in self.values)

    @property
    def used_columns(self) -> tuple[str, ...]:
        """Columns that the feed reads, each once, values last."""
        names = [*self.stamp.read_columns]
        names += [field.column for field in self.texts.values() if field.column is not None]
        names += self._own_columns
        if isinstance(self.interval_minutes, MinutesColumn):
            names.append(self.interval_minutes.column)
        names += [name for value in self.values for name in value.columns]
        return tuple(dict.fromkeys(names))

    @property
    def _own_columns(self) -> Sequence[str]:
        """Columns that only this kind of feed reads, beside its texts."""
        return ()

    @property
    def dispensable_columns(self) -> set[str]:
        """Columns that a row may lack."""
        return set()

    @property
    def reads_file_name(self) -> bool:
        """Whether the name of a file says whose values it holds: the same bytes under another name are other values."""
        return any(field.file_name is not None for field in self.texts.values())

    @property
    def values_per_row(self) -> int:
        """Value cells of one row."""
        return len(self.values)

    @property
    def counting_rows(self) -> CountingRows:
        """Which of the rows with different values of one slot in one delivery count: ``refuse`` for none."""
        return self.repeated_rows or "last"

    def _check_either(self, *parts: str) -> None:
        """Raise ``ValueError`` unless each part is given for the feed, or for every one of its values."""
        for part in parts:
            own = [getattr(value, part) is not None for value in self.values]
            if any(own) if getattr(self, part) is not None else not all(own):
                raise ValueError(f"give {part} either for the feed, or for every one of its values")

    def _check_not_blank(self, *parts: str) -> None:
        for part in parts:
            if part in self.texts and not all(text.strip() for text in self.texts[part].outcomes()):
                raise ValueError(f"{part} must not become blank: give a text in its mapping and its default")

    def _outcomes(self, part: str) -> list[str]:
        """Return the texts of a part that are known without a file: those of the feed and of its values."""
        field = self.texts.get(part)
        own = [getattr(value, part, None) for value in self.values]
        return [*(() if field is None else field.outcomes()), *(text for text in own if text is not None)]


class ReadingsFeed(MeasuredFeed):
    """Readings of meters: intervals, or states of a counter."""

    kind: Literal[FeedKind.READINGS]
    values: Annotated[tuple[ReadingColumn, ...], Field(min_length=1)]
    reading: Literal["interval", "register"] | TextField = "interval"
    point: Text | None = None
    obis: Text | None = None
    unit: Text
    status: Text | None = None
    substituted: SubstitutedColumns | None = None
    author: Text | None = None
    remark: Text | None = None

    _text_fields: ClassVar[tuple[str, ...]] = ("point", "obis", "unit", "status", "author", "remark", "reading")

    @model_validator(mode="after")
    def _readings(self) -> ReadingsFeed:
        self._check_either("point", "obis")
        check_outcomes("unit", self.unit.outcomes(), UNITS)
        check_outcomes("status", self._outcomes("status"), SOURCE_STATUSES)
        check_outcomes("reading", self._outcomes("reading"), READINGS)
        if self.status is not None and EDITED in self.status.outcomes() and not (self.author and self.remark):
            raise ValueError("edited values need author and remark: who decided, and why")
        for code in self._outcomes("obis"):
            obis_code(code)
        self._check_not_blank("point", "obis")
        return self

    @property
    def _own_columns(self) -> Sequence[str]:
        return () if self.substituted is None else (self.substituted.column,)

    @property
    def dispensable_columns(self) -> set[str]:
        """Columns that a row may lack: those with a default, the list of substitutes."""
        fields = [self.texts[part] for part in ("point", "obis", "unit", "status") if part in self.texts]
        with_default = {field.column for field in fields if field.default is not None and field.column is not None}
        return with_default.union(self._own_columns)

    @property
    def counting_rows(self) -> CountingRows:
        """Which of the rows with different values of one slot in one delivery count: ``refuse`` for none."""
        return self.repeated_rows or ("last" if self.in_order_of_arrival else "refuse")


class PowerQualityFeed(MeasuredFeed):
    """Voltage, current, power factor and frequency of meters."""

    kind: Literal[FeedKind.POWER_QUALITY]
    values: Annotated[tuple[QuantityColumn, ...], Field(min_length=1)]
    point: Text | None = None
    obis: Text | None = None
    unit: Text | None = None

    _text_fields: ClassVar[tuple[str, ...]] = ("point", "obis", "unit")

    @model_validator(mode="after")
    def _power_quality(self) -> PowerQualityFeed:
        self._check_either("point", "obis", "unit")
        check_outcomes("unit", self._outcomes("unit"), POWER_QUALITY_UNITS)
        for code in self._outcomes("obis"):
            if channel_of(obis_code(code)) is None:
                raise ValueError(
                    f"obis: {code!r} is no voltage, current, power factor or frequency: write a code such as "
                    "1-0:32.7.0, or use kind: readings for energy"
                )
        for value in self.values:
            self._check_unit(value)
        self._check_not_blank("point", "obis")
        return self

    def _check_unit(self, value: QuantityColumn) -> None:
        """Raise ``ValueError`` if the channel of a column is not measured in its unit, where both are known."""
        code = value.obis or (self.obis.constant if self.obis is not None else None)
        unit = value.unit or (self.unit.constant if self.unit is not None else None)
        channel = channel_of(code) if code is not None else None
        if channel is not None and unit is not None and unit not in RANGES[channel.quantity].delivered_units:
            choice = ", ".join(RANGES[channel.quantity].delivered_units)
            raise ValueError(f"unit {unit!r} of {value.column} does not measure {code}; use one of {choice}")


class ObservedFeed(MeasuredFeed):
    """Values of metrics: grid status or weather."""

    if TYPE_CHECKING:
        values: tuple[MetricColumn, ...]

    also_intervals: tuple[Annotated[int, Field(ge=1, le=1_440)], ...] = Field(
        default=(), description="Other intervals that whole files may have, seen from their stamps."
    )
    source_id: Text
    metric: Text | None = None

    stored_units: ClassVar[Mapping[str, str]] = {}
    """Units that the table stores the metrics in."""

    @model_validator(mode="after")
    def _observed(self) -> ObservedFeed:
        self._check_either("metric")
        check_outcomes("metric", self._outcomes("metric"), self.stored_units)
        for value in self.values:
            if value.unit is not None:
                allowed = units_of(self.stored_unit(value))
                if value.unit not in allowed:
                    choice = ", ".join(allowed)
                    raise ValueError(f"unit {value.unit!r} of {value.column} is unknown; use one of {choice}")
                conversion(value.unit, self.stored_unit(value), self.constant_minutes)
        self._check_not_blank("source_id", "station")
        return self

    def stored_unit(self, value: MetricColumn) -> str:
        """Return the unit that the table stores the column's metric in.

        Raises
        ------
        ValueError
            If the metrics that the column may hold are not stored in one and the same unit.
        """
        declared = () if self.metric is None else self.metric.outcomes()
        metrics = declared if value.metric is None else (value.metric,)
        units = {self.stored_units[name] for name in metrics}
        if len(units) != 1:
            raise ValueError(f"unit of {value.column} needs a metric whose unit is known without the file")
        return units.pop()


class GridStatusFeed(ObservedFeed):
    """Load and generation of control areas."""

    kind: Literal[FeedKind.GRID_STATUS]
    values: Annotated[tuple[GridColumn, ...], Field(min_length=1)]
    control_area: Text | None = None

    _text_fields: ClassVar[tuple[str, ...]] = ("source_id", "control_area", "metric")
    stored_units: ClassVar[Mapping[str, str]] = {name: metric[0] for name, metric in GRID_METRICS.items()}

    @model_validator(mode="after")
    def _grid_status(self) -> GridStatusFeed:
        self._check_either("control_area")
        check_outcomes("control_area", self._outcomes("control_area"), CONTROL_AREAS)
        return self


class WeatherFeed(ObservedFeed):
    """Observations of weather stations."""

    kind: Literal[FeedKind.WEATHER]
    values: Annotated[tuple[MetricColumn, ...], Field(min_length=1)]
    station: Text
    quality: Text | None = None

    _text_fields: ClassVar[tuple[str, ...]] = ("source_id", "metric", "station", "quality")
    stored_units: ClassVar[Mapping[str, str]] = {name: WEATHER_UNITS[name] for name in WEATHER_METRICS}

    @property
    def dispensable_columns(self) -> set[str]:
        """Columns that a row may lack: the quality level."""
        return set() if self.quality is None or self.quality.column is None else {self.quality.column}


class RegistryFeed(Feed):
    """Rows of a registry with validity intervals."""

    kind: Literal[FeedKind.REGISTRY]
    registry: Literal["points", "meters", "registers", "operators", "weather_stations", "outages"]
    rename: dict[ColumnName, str] = Field(default={}, description="Column of the file to column of the schema.")

    @model_validator(mode="after")
    def _columns_of_the_schema(self) -> RegistryFeed:
        unknown = sorted(set(self.rename.values()) - set(REGISTRIES[self.registry].arrow.names))
        if unknown:
            raise ValueError(f"rename: {self.registry} has no column {', '.join(unknown)}")
        return self
