"""Tariffs as data: components, validity, and which point has which tariff when.

Belongs here: the two files' format and what must hold in them. Does not belong here: amounts (``charges.py``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from metrify_assets.errors import TariffError
from metrify_assets.reference.calendar import STATES
from metrify_assets.schemas.grid_and_weather import CONTROL_AREAS

PRICE_DIGITS = 9
PRICE_ONE = 10**PRICE_DIGITS
"""Prices are whole billionths of the currency: a market price per MWh with six digits is exact per kWh."""
LARGEST_PRICE = 1_000_000
QUARTER_MINUTES = 15
TOTAL = "total"
"""Line of a bill that sums up its components; no component may be called so."""

DayKind = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
DAY_KINDS: tuple[DayKind, ...] = get_args(DayKind)
"""Days of the week from Monday on, and public holidays, on which no day of the week counts."""


def _scaled(digits: int) -> Any:
    def integer(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{value!r} is no number: write it as 0.2812")
        try:
            scaled = Decimal(str(value)).scaleb(digits)
        except InvalidOperation as error:
            raise ValueError(f"{value!r} is no number: write it as 0.2812") from error
        if not scaled.is_finite() or abs(scaled) > LARGEST_PRICE * 10**digits:
            raise ValueError(f"{value} is beyond {LARGEST_PRICE}: check the unit")
        if scaled != int(scaled):
            raise ValueError(f"{value} has more than {digits} decimal digits: round it")
        return int(scaled)

    return BeforeValidator(integer)


Price = Annotated[int, _scaled(PRICE_DIGITS)]
"""Billionths of the currency; in the file a decimal number, best as text."""
MicroKwh = Annotated[int, _scaled(6), Field(gt=0)]
PercentMillionths = Annotated[int, _scaled(6), Field(ge=0)]


def _minute(value: object) -> int:
    hours, _, minutes = str(value).partition(":")
    if not (isinstance(value, str) and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2):
        raise ValueError(f"{value!r} is no time: write it in quotes, as '06:00'")
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > 1_440 or minute % QUARTER_MINUTES:
        raise ValueError(f"{value!r} is no quarter hour from 00:00 to 24:00")
    return minute


Minute = Annotated[int, BeforeValidator(_minute)]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Component(_Declared):
    name: str = Field(min_length=1)


class Flat(_Component):
    """One price per kWh."""

    kind: Literal["flat"]
    price: Price


class Window(_Declared):
    """When a price of time of use holds: local days, months and hours; over midnight if ``to`` is before ``from``."""

    days: tuple[DayKind, ...] = DAY_KINDS
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = tuple(range(1, 13))
    start: Minute = Field(default=0, alias="from")
    end: Minute = Field(default=1_440, alias="to")
    price: Price

    @model_validator(mode="after")
    def _not_empty(self) -> Window:
        if self.start == self.end or not self.days or not self.months:
            raise ValueError("a window needs days, months and a time: leave out what holds always")
        return self


class TimeOfUse(_Component):
    """Prices by local time: that of the first window that fits, else ``price``."""

    kind: Literal["time_of_use"]
    windows: tuple[Window, ...] = Field(min_length=1)
    price: Price


class Block(_Declared):
    """A block of the month's energy; the last one has no end."""

    up_to_kwh: MicroKwh | None = None
    price: Price


class Tiered(_Component):
    """Prices by the energy of the month."""

    kind: Literal["tiered"]
    blocks: tuple[Block, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rising(self) -> Tiered:
        ends = [block.up_to_kwh for block in self.blocks]
        bounds = [end for end in ends[:-1] if end is not None]
        if ends[-1] is not None or len(bounds) != len(ends) - 1 or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("blocks need rising up_to_kwh, and the last has none")
        return self


class Dynamic(_Component):
    """The price of the hour (or quarter hour) by a feed, and a markup per kWh; a price may be negative."""

    kind: Literal["dynamic"]
    source_id: str = Field(min_length=1)
    control_area: str
    markup: Price = 0

    @model_validator(mode="after")
    def _area(self) -> Dynamic:
        if self.control_area not in CONTROL_AREAS:
            raise ValueError(f"control_area must be one of {', '.join(CONTROL_AREAS)}")
        return self


class Demand(_Component):
    """A price per kW of the highest mean power of a quarter hour in the month."""

    kind: Literal["demand"]
    price: Price = Field(ge=0)


class Standing(_Component):
    """A price per day or month, whatever is used."""

    kind: Literal["standing"]
    per: Literal["day", "month"]
    price: Price


class Tax(_Component):
    """Percent of the cents of components before it: all of them, unless ``of`` names some."""

    kind: Literal["tax"]
    percent: PercentMillionths
    of: tuple[str, ...] | None = None


Component = Annotated[
    Flat | TimeOfUse | Tiered | Dynamic | Demand | Standing | Tax,
    Field(discriminator="kind"),
]


class Tariff(_Declared):
    """A tariff from a day on. The same name may follow later with other prices."""

    name: str = Field(min_length=1)
    valid_from: date
    valid_to: date | None = Field(default=None, description="First day on which it no longer holds.")
    currency: str = Field(pattern="^[A-Z]{3}$")
    direction: Literal["import", "export"] = "import"
    holidays: str | None = Field(default=None, description="nationwide or a federal state; None: no day is a holiday.")
    components: tuple[Component, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Tariff:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"{self.name}: valid_to must be after valid_from")
        if self.holidays not in (None, "nationwide", *STATES):
            raise ValueError(f"{self.name}: holidays must be nationwide or one of {', '.join(STATES)}")
        names: list[str] = []
        for component in self.components:
            if component.name in (*names, TOTAL):
                raise ValueError(f"{self.name}: component {component.name} needs a name of its own")
            if isinstance(component, Dynamic) and self.currency != "EUR":
                raise ValueError(f"{self.name}: prices of the exchange are in EUR: {component.name} needs currency EUR")
            if isinstance(component, Tax):
                unknown = sorted(set(component.of or ()) - set(names))
                if unknown:
                    raise ValueError(f"{self.name}: tax {component.name} needs {unknown[0]} before it")
            names.append(component.name)
        return self

    def covers(self, day: date) -> bool:
        """Return whether the tariff holds on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class GenerationMeter(_Declared):
    """The generation of a point is metered at another one, by its export or, if it has none, its import channel."""

    point_id: str = Field(min_length=1)
    generation_point_id: str = Field(min_length=1)


class _File(_Declared):
    tariffs: tuple[Tariff, ...] = Field(min_length=1)
    assignments: str | None = Field(default=None, description="CSV file beside this one.")
    generation_meters: tuple[GenerationMeter, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """A point has a tariff on the days ``valid_from <= day < valid_to``; an open end is None."""

    point_id: str
    tariff: str
    valid_from: date
    valid_to: date | None

    def covers(self, day: date) -> bool:
        """Return whether the assignment holds on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class TariffBook:
    """All tariffs of an installation, and the name of the file of assignments."""

    tariffs: tuple[Tariff, ...]
    assignments_file: str | None = None
    generation_meters: Mapping[str, str] = field(default_factory=dict)
    """Point to the point of its generation meter."""

    def on(self, name: str, day: date) -> Tariff | None:
        """Return the tariff of a name that holds on a day; None if none does."""
        return next((tariff for tariff in self.tariffs if tariff.name == name and tariff.covers(day)), None)

    def direction(self, name: str) -> str:
        """Return the direction of a tariff, which all its versions share."""
        return next(tariff.direction for tariff in self.tariffs if tariff.name == name)


def parse_tariffs(text: str, name: str) -> TariffBook:
    """Return the tariffs that a YAML text holds.

    Raises
    ------
    TariffError
        In one line that says what to correct.
    """
    try:
        declared = _File.model_validate(yaml.safe_load(text))
        _require_versions(declared.tariffs)
    except yaml.YAMLError as error:
        raise TariffError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TariffError(f"{name}: {where}: {first['msg'].removeprefix('Value error, ')}") from error
    except ValueError as error:
        raise TariffError(f"{name}: {error}") from error
    meters = {meter.point_id: meter.generation_point_id for meter in declared.generation_meters}
    if len(meters) < len(declared.generation_meters):
        raise TariffError(f"{name}: generation_meters names a point twice: name each once")
    return TariffBook(declared.tariffs, declared.assignments, meters)


def _require_versions(tariffs: Iterable[Tariff]) -> None:
    versions: dict[str, list[Tariff]] = {}
    for tariff in tariffs:
        versions.setdefault(tariff.name, []).append(tariff)
    for name, of_name in versions.items():
        of_name.sort(key=lambda tariff: tariff.valid_from)
        overlap = _overlap([(tariff.valid_from, tariff.valid_to) for tariff in of_name])
        if overlap is not None:
            raise ValueError(f"tariff {name} holds twice on {overlap}: end the earlier one by valid_to: {overlap}")
        if len({(tariff.direction, tariff.currency) for tariff in of_name}) > 1:
            raise ValueError(f"tariff {name} changes its direction or currency: give it another name")


def _overlap(spans: Sequence[tuple[date, date | None]]) -> date | None:
    """Return the first day of a span that begins within the one before, None if none does; spans by their start."""
    return next((start for (_, end), (start, _) in pairwise(spans) if end is None or start < end), None)


ASSIGNMENT_COLUMNS = ["point_id", "tariff", "valid_from", "valid_to"]


def parse_assignments(text: str, name: str, book: TariffBook) -> Mapping[str, tuple[Assignment, ...]]:
    """Return the assignments of a CSV text by point, sorted by tariff direction and start.

    Raises
    ------
    TariffError
        In one line that names the row: an unknown tariff, a wrong day, two tariffs of one direction on one day.
    """
    rows = csv.reader(io.StringIO(text), strict=True)
    by_point: dict[str, list[Assignment]] = {}
    known = {tariff.name for tariff in book.tariffs}
    try:
        header = next(rows, [])
        if header != ASSIGNMENT_COLUMNS:
            raise TariffError(f"{name}: the first line must be {','.join(ASSIGNMENT_COLUMNS)}")
        for row in rows:
            assignment = _assignment(row, known, f"{name}, line {rows.line_num}")
            by_point.setdefault(assignment.point_id, []).append(assignment)
    except csv.Error as error:
        raise TariffError(f"{name}, line {rows.line_num}: {error}: correct the line") from error
    for point, assignments in by_point.items():
        assignments.sort(key=lambda each: (book.direction(each.tariff), each.valid_from))
        for direction in ("import", "export"):
            spans = [(a.valid_from, a.valid_to) for a in assignments if book.direction(a.tariff) == direction]
            overlap = _overlap(spans)
            if overlap is not None:
                raise TariffError(
                    f"{name}: point {point} has two tariffs of {direction} on {overlap}: end the earlier one"
                )
    return {point: tuple(assignments) for point, assignments in sorted(by_point.items())}


def _assignment(row: Sequence[str], known: set[str], where: str) -> Assignment:
    if len(row) != len(ASSIGNMENT_COLUMNS) or not row[0]:
        raise TariffError(f"{where}: a line needs {', '.join(ASSIGNMENT_COLUMNS)}, the last may be empty")
    point, tariff, first, end = row
    if tariff not in known:
        raise TariffError(f"{where}: there is no tariff {tariff!r}: use one of {', '.join(sorted(known))}")
    try:
        valid_from, valid_to = date.fromisoformat(first), date.fromisoformat(end) if end else None
    except ValueError as error:
        raise TariffError(f"{where}: {error}: write days as 2026-03-29") from error
    if valid_to is not None and valid_to <= valid_from:
        raise TariffError(f"{where}: valid_to must be after valid_from")
    return Assignment(point, tariff, valid_from, valid_to)
