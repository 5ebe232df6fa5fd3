"""Reads the vendors' files with the standard library's csv, json and zoneinfo: shares no code with the simulator."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

BERLIN = ZoneInfo("Europe/Berlin")
QUARTER = timedelta(minutes=15)
Key = tuple[str, str, datetime]


@dataclass
class Parsed:
    """Rows of a file as (key, Wh or None, status); lines that could not be read."""

    rows: list[tuple[Key, int | None, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def whole(value: Decimal) -> int:
    assert value == int(value)
    return int(value)


def north(line: str):
    point, obis, day, clock, value, status = line.split(";")
    start = datetime.strptime(f"{day} {clock}", "%d.%m.%Y %H:%M").replace(tzinfo=BERLIN).astimezone(UTC)
    return (point, obis, start), whole(Decimal(value.replace(",", ".")) * 1000) if value else None, status


def south(line: str):
    row = json.loads(line)
    start = datetime.fromisoformat(row["end"]).astimezone(UTC) - QUARTER
    return (row["point"], row["obis"], start), row["wh"], row["quality"]


def east(line: str):
    point, obis, stamp, value = next(csv.reader(io.StringIO(line)))
    start = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S%z")
    return (point, obis, start), whole(Decimal(value) / 4 * 1000) if value else None, ""


def west(content: bytes) -> Parsed:
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    return Parsed(
        [
            (
                (row["melo"], row["obis"], row["start_utc"].astimezone(UTC)),
                None if row["kwh"] is None else round(row["kwh"] * 1000),
                "",
            )
            for row in rows
        ]
    )


def parse(feed: str, content: bytes) -> Parsed:
    if feed == "meters_west":
        return west(content)
    lines = content.decode("utf-8").splitlines()
    reader, header = {"meters_north": (north, 1), "meters_south": (south, 0), "meters_east": (east, 1)}[feed]
    parsed = Parsed()
    for line in lines[header:]:
        try:
            parsed.rows.append(reader(line))
        except (ValueError, ArithmeticError):
            parsed.unreadable.append(line)
    return parsed


def nearest_quarter(moment: datetime) -> datetime:
    seconds = 900 * ((moment.timestamp() + 450) // 900)
    return datetime.fromtimestamp(seconds, UTC)


def local_day(moment: datetime) -> str:
    return moment.astimezone(BERLIN).date().isoformat()


def register_reads(content: bytes) -> dict[Key, Decimal]:
    return {
        (row["point_id"], row["obis"], datetime.fromisoformat(row["read_at"])): Decimal(row["kwh"])
        for row in table(content)
    }


def other_intervals(content: bytes) -> dict[Key, int]:
    return {
        (row["point_id"], row["obis"], datetime.fromisoformat(row["start_utc"])): int(row["wh"])
        for row in table(content)
    }


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
