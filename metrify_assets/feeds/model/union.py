"""Every feed that there is: one class per kind and format, chosen by the two.

Belongs here: the classes of the union, making one of what a YAML file holds, its errors in one line, its JSON schema.
Does not belong here: fields and checks (``kinds.py``, ``formats.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from metrify_assets.errors import FeedError, escaped
from metrify_assets.feeds.model.base import Feed
from metrify_assets.feeds.model.fields import Declared
from metrify_assets.feeds.model.formats import (
    DelimitedFeed,
    DelimitedValues,
    E66Readings,
    EslReadings,
    EspiReadings,
    JsonDocumentFeed,
    JsonLinesFeed,
    MsconsReadings,
    Nem12Readings,
    ParquetFeed,
    PluginFeed,
    StreamFeed,
)
from metrify_assets.feeds.model.kinds import GridStatusFeed, PowerQualityFeed, ReadingsFeed, RegistryFeed, WeatherFeed

SHOWN_CHARACTERS = 200
"""Of a text that is wrong."""
SCHEMA_DIALECT = "http://json-schema.org/draft-07/schema#"
"""Pydantic writes 2020-12; what a feed needs of it means the same in the draft that editors read best."""


class DelimitedReadings(ReadingsFeed, DelimitedValues):
    """Readings in delimited text."""


class JsonLinesReadings(ReadingsFeed, JsonLinesFeed):
    """Readings in JSON lines."""


class JsonDocumentReadings(ReadingsFeed, JsonDocumentFeed):
    """Readings in JSON documents."""


class ParquetReadings(ReadingsFeed, ParquetFeed):
    """Readings in Parquet files."""


class StreamReadings(ReadingsFeed, StreamFeed):
    """Readings in records of a stream."""


class PluginReadings(ReadingsFeed, PluginFeed):
    """Readings in a format of another package."""


class DelimitedGridStatus(GridStatusFeed, DelimitedValues):
    """Grid status in delimited text."""


class JsonLinesGridStatus(GridStatusFeed, JsonLinesFeed):
    """Grid status in JSON lines."""


class JsonDocumentGridStatus(GridStatusFeed, JsonDocumentFeed):
    """Grid status in JSON documents."""


class ParquetGridStatus(GridStatusFeed, ParquetFeed):
    """Grid status in Parquet files."""


class StreamGridStatus(GridStatusFeed, StreamFeed):
    """Grid status in records of a stream."""


class PluginGridStatus(GridStatusFeed, PluginFeed):
    """Grid status in a format of another package."""


class DelimitedWeather(WeatherFeed, DelimitedValues):
    """Weather in delimited text."""


class JsonLinesWeather(WeatherFeed, JsonLinesFeed):
    """Weather in JSON lines."""


class JsonDocumentWeather(WeatherFeed, JsonDocumentFeed):
    """Weather in JSON documents."""


class ParquetWeather(WeatherFeed, ParquetFeed):
    """Weather in Parquet files."""


class StreamWeather(WeatherFeed, StreamFeed):
    """Weather in records of a stream."""


class PluginWeather(WeatherFeed, PluginFeed):
    """Weather in a format of another package."""


class DelimitedPowerQuality(PowerQualityFeed, DelimitedValues):
    """Power quality in delimited text."""


class JsonLinesPowerQuality(PowerQualityFeed, JsonLinesFeed):
    """Power quality in JSON lines."""


class JsonDocumentPowerQuality(PowerQualityFeed, JsonDocumentFeed):
    """Power quality in JSON documents."""


class ParquetPowerQuality(PowerQualityFeed, ParquetFeed):
    """Power quality in Parquet files."""


class StreamPowerQuality(PowerQualityFeed, StreamFeed):
    """Power quality in records of a stream."""


class PluginPowerQuality(PowerQualityFeed, PluginFeed):
    """Power quality in a format of another package."""


class DelimitedRegistry(RegistryFeed, DelimitedFeed):
    """A registry in delimited text."""


class JsonLinesRegistry(RegistryFeed, JsonLinesFeed):
    """A registry in JSON lines."""


class ParquetRegistry(RegistryFeed, ParquetFeed):
    """A registry in Parquet files."""


Readings = Annotated[
    DelimitedReadings
    | JsonLinesReadings
    | JsonDocumentReadings
    | ParquetReadings
    | StreamReadings
    | MsconsReadings
    | Nem12Readings
    | EspiReadings
    | E66Readings
    | EslReadings
    | PluginReadings,
    Field(discriminator="format"),
]
GridStatus = Annotated[
    DelimitedGridStatus
    | JsonLinesGridStatus
    | JsonDocumentGridStatus
    | ParquetGridStatus
    | StreamGridStatus
    | PluginGridStatus,
    Field(discriminator="format"),
]
Weather = Annotated[
    DelimitedWeather | JsonLinesWeather | JsonDocumentWeather | ParquetWeather | StreamWeather | PluginWeather,
    Field(discriminator="format"),
]
PowerQuality = Annotated[
    DelimitedPowerQuality
    | JsonLinesPowerQuality
    | JsonDocumentPowerQuality
    | ParquetPowerQuality
    | StreamPowerQuality
    | PluginPowerQuality,
    Field(discriminator="format"),
]
Registry = Annotated[DelimitedRegistry | JsonLinesRegistry | ParquetRegistry, Field(discriminator="format")]
AnyFeed = Annotated[Readings | GridStatus | Weather | PowerQuality | Registry, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[AnyFeed] = TypeAdapter(AnyFeed)


def _classes(union: Any = AnyFeed) -> Iterator[type[Feed]]:
    """Yield the classes of the union."""
    for part in get_args(get_args(union)[0]):
        if get_origin(part) is Annotated:
            yield from _classes(part)
        else:
            yield part


def _choice(feed_class: type[Feed], discriminator: str) -> str:
    """Return the text of a class's kind or format."""
    return str(get_args(feed_class.model_fields[discriminator].annotation)[0])


CLASSES: dict[tuple[str, str], type[Feed]] = {
    (_choice(feed_class, "kind"), _choice(feed_class, "format")): feed_class for feed_class in _classes()
}
"""The classes by kind and format."""


def parse_feed(declared: object, folder: Path = Path()) -> Feed:
    """Return the feed that a definition declares.

    Parameters
    ----------
    declared : object
        What the YAML file holds.
    folder : Path
        Where files that the definition names lie, such as Avro schemas.

    Raises
    ------
    FeedError
        In one line that names the field and what to do.
    """
    try:
        return _ADAPTER.validate_python(declared, context={"folder": folder})
    except ValidationError as error:
        raise FeedError(_first_problem(error)) from error


def feed_schema() -> dict[str, Any]:
    """Return the JSON schema of feed definitions, for editors."""
    schema = _ADAPTER.json_schema()
    return {"$schema": SCHEMA_DIALECT, "title": "Metrify feed", **schema}


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    # Of the kinds that a field may be the one that its text comes closest to says most.
    tags, same = 0, problems
    path = problems[0]["loc"]
    feed_class = CLASSES.get((str(path[0]), str(path[1]))) if len(path) > 1 else None
    if feed_class is not None:
        tags = 2
        same = [problem for problem in problems if problem["loc"][:3] == path[:3]]
    first = max(same, key=lambda problem: len(problem["loc"]))
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return escaped(_wrong_choice(first))
    # Names of kinds, such as tuple[...], are no part of the path.
    location = [str(part) for part in first["loc"][tags:] if "[" not in str(part) or part == "[key]"]
    field = ".".join(location)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        if feed_class is not None and (elsewhere := _elsewhere(feed_class, location)) is not None:
            return escaped(f"{field} {elsewhere}")
        message = "there is no such field: remove it or correct its name"
    elif first["type"] == "missing":
        message = "is missing: add it"
        if feed_class is not None and (owner := _owner(feed_class, location)) is not None:
            return escaped(f"{owner} needs {field}: add it{_choices_of(feed_class, field)}")
    elif not isinstance(first.get("input"), dict | Declared):
        message = f"{message} (found {repr(first.get('input'))[:SHOWN_CHARACTERS]})"
    return escaped(f"{field}: {message}" if field else message)


def _wrong_choice(problem: ErrorDetails) -> str:
    """Say which kinds there are, or which formats of a kind."""
    kind = next(iter(problem["loc"]), None)
    discriminator = "kind" if kind is None else "format"
    declared: Mapping[str, object] = problem["input"]
    if discriminator not in declared:
        return f"{discriminator}: is missing: add it"
    quoted = f"(found {repr(declared[discriminator])[:SHOWN_CHARACTERS]})"
    if kind is None:
        return f"kind: use one of {_listed(dict.fromkeys(kind for kind, _ in CLASSES))} {quoted}"
    formats = [written for own, written in CLASSES if own == kind]
    return f"format: {_article(str(kind))} feed comes as {_listed(formats)} {quoted}"


def _elsewhere(feed_class: type[Feed], location: list[str]) -> str | None:
    """Say to which feeds a field belongs that this class lacks; None if there is no such field in any."""
    name, inside = location[-1], location[0] if len(location) == 3 and location[0] == "values" else None
    owners = [key for key, other in CLASSES.items() if name in _fields(other, inside)]
    if not owners or (len(location) > 1 and inside is None):
        return None
    kind, written = _choice(feed_class, "kind"), _choice(feed_class, "format")
    kinds = list(dict.fromkeys(owner for owner, _ in owners))
    if kind not in kinds:
        return f"belongs to {_listed(kinds, 'and', quoted=False)} feeds: leave it out of {_article(kind)} feed"
    formats = list(dict.fromkeys(other for owner, other in owners if owner == kind))
    choice = _listed(formats, quoted=False)
    return (
        f"belongs to {_listed(formats, 'and', quoted=False)} feeds: use format {choice}, not {written}, or leave it out"
    )


def _fields(feed_class: type[Feed], inside: str | None) -> Mapping[str, object]:
    """Return the fields of a class, or those of the columns of values."""
    if inside is None:
        return feed_class.model_fields
    if inside not in feed_class.model_fields:
        return {}
    column_class: type[Declared] = get_args(feed_class.model_fields[inside].annotation)[0]
    return column_class.model_fields


def _owner(feed_class: type[Feed], location: list[str]) -> str | None:
    """Return what makes a class need a field, its kind or its format; None for a field of every feed."""
    if len(location) != 1 or location[0] in Feed.model_fields:
        return None
    kind, written = _choice(feed_class, "kind"), _choice(feed_class, "format")
    of_kind = all(location[0] in other.model_fields for (own, _), other in CLASSES.items() if own == kind)
    return f"{_article(kind if of_kind else written)} feed"


def _choices_of(feed_class: type[Feed], field: str) -> str:
    annotation = feed_class.model_fields[field].annotation
    if get_origin(annotation) is not Literal:
        return ""
    return f", one of {', '.join(str(text) for text in get_args(annotation))}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun == "mscons" or noun[0] in "aei" else f"a {noun}"


def _listed(texts: Mapping[str, object] | list[str], last: str = "or", *, quoted: bool = True) -> str:
    words = [repr(str(text)) if quoted else str(text) for text in texts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
