"""The declaration of a stream: which topics, and how a record's bytes become fields.

Belongs here: the pydantic model of a feed's ``stream`` section. Does not belong here: decoding (``stream_source.py``)
and the broker (``sources/kafka/cluster.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from metrify_assets.errors import ExtraError, require_extra

TOPIC_PATTERN = r"[A-Za-z0-9._-]{1,249}"
"""What Kafka allows as the name of a topic."""


def _schema_of_file(value: object, info: ValidationInfo) -> object:
    """Return the schema that a file beside the feed definition holds; a schema that is given as such stays."""
    if isinstance(value, str):
        folder: Path = (info.context or {}).get("folder", Path())
        try:
            value = json.loads((folder / value).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror}): put the schema beside the feed definition") from error
        except ValueError as error:
            raise ValueError(f"is no JSON: {error}") from error
    try:
        parsed_schema(value)
    except ExtraError as error:
        # A definition that cannot be read stops its own feed alone.
        raise ValueError(str(error)) from error
    return value


def parsed_schema(schema: Any) -> Any:
    """Return an Avro schema as ``fastavro`` wants it; raise ``ValueError`` if it is none."""
    require_extra("kafka", "Avro")
    from fastavro import parse_schema
    from fastavro.schema import SchemaParseException, UnknownType

    try:
        return parse_schema(schema)
    except (SchemaParseException, UnknownType, TypeError, KeyError) as error:
        raise ValueError(f"is no Avro schema: {error!r}") from error


AvroSchema = Annotated[
    dict[str, Any] | list[Any],
    BeforeValidator(_schema_of_file, json_schema_input_type=dict[str, Any] | list[Any] | str),
]
"""An Avro schema; in YAML the name of its file beside the definition."""


class Stream(BaseModel):
    """Where a feed's records come from, and how their bytes are to be read.

    Attributes
    ----------
    topics : tuple of str
    value : {"json", "avro"}
        Format of a record's value.
    wire_header : {"none", "confluent"}
        Whether values begin with a zero byte and the four bytes of a schema id.
    avro_schema : Avro schema, optional
        The one schema of all values; the id in a wire header is then not looked at.
    avro_schemas : dict of int to Avro schema
        Schemas by the id in the wire header; values of another id are quarantined until it is added.
    key : str, optional
        Name under which the key, a text, is a field of the record; without it the key is not read.
    max_records_per_drop : int
        Most offsets of one drop.
    wait_seconds : float
        A drop that is not full is landed when its partition's last drop is so old.
    generation : int
        Raised by one to read the topics from their first offset again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: Annotated[tuple[Annotated[str, Field(pattern=f"^{TOPIC_PATTERN}$")], ...], Field(min_length=1)]
    value: Literal["json", "avro"] = "json"
    wire_header: Literal["none", "confluent"] = "none"
    avro_schema: AvroSchema | None = None
    avro_schemas: dict[int, AvroSchema] = {}
    key: Annotated[str, Field(min_length=1)] | None = None
    max_records_per_drop: int = Field(default=500_000, ge=1)
    wait_seconds: float = Field(default=60, ge=0)
    generation: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Stream:
        if len(set(self.topics)) != len(self.topics):
            raise ValueError("topics must differ")
        given = (self.avro_schema is not None) + bool(self.avro_schemas)
        if self.value == "avro" and given != 1:
            raise ValueError("avro values need either avro_schema, or avro_schemas by id")
        if self.value == "json" and given:
            raise ValueError("json values have no Avro schema: remove it, or say value: avro")
        if self.avro_schemas and self.wire_header == "none":
            raise ValueError("avro_schemas are chosen by the id in the wire header: say wire_header: confluent")
        return self

    def record_fields(self) -> set[str] | None:
        """Return the fields that every Avro record has; None where a schema alone does not say."""
        schemas = [schema for schema in (self.avro_schema, *self.avro_schemas.values()) if schema is not None]
        records = [schema for schema in schemas if isinstance(schema, dict) and schema.get("type") == "record"]
        if not schemas or len(records) != len(schemas):
            return None
        return set.intersection(*({field["name"] for field in schema["fields"]} for schema in records))


NOT_READING = frozenset({"topics", "max_records_per_drop", "wait_seconds", "generation"})
"""Fields that decide which records are landed, and when, but not how they are read."""
