"""The files of the four meter data vendors, byte for byte.

Belongs here: formats. Does not belong here: values and faults. A file is rendered block by block, so that the memory
needed beyond the file itself does not grow with the number of points.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.clock import instant
from metrify_assets.simulator.delivery import Delivery, Malformation, SenderStatus
from metrify_assets.simulator.injection import block_delivery, unknown_point_delivers
from metrify_assets.simulator.load import block_values
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import IMPORT_OBIS, block_count, measuring_location, point_block
from metrify_assets.vee.arrays import Int8Array, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay

NORTH_HEADER = "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status"
EAST_HEADER = "point_id,obis,timestamp,mean_kw"
_SLOTS_PER_HOUR = 60 // INTERVAL_MINUTES
_ORDINARY_SLOTS = 24 * _SLOTS_PER_HOUR
_MICROSECONDS_PER_SECOND = 1_000_000

Channels = list[tuple[str, str]]
"""Point id and OBIS code of every channel."""


def unknown_point_id(plan: SimulationPlan, vendor: int) -> str:
    """Return the point of a vendor that no registry knows."""
    place = VENDORS[vendor]
    return measuring_location(place.operator_code, place.towns[0].postcode, plan.seed, vendor, "unknown")


def deliveries(
    plan: SimulationPlan, vendor: int, day: DeliveryDay, *, corrected: bool = False
) -> Iterator[tuple[Channels, Delivery]]:
    """Yield what a vendor delivers on a day, block by block; rows of an unknown point come last."""
    for number in range(block_count(plan, vendor)):
        block = point_block(plan, vendor, number)
        channels = [(block.point_id(channel), block.obis_code(channel)) for channel in range(block.channels)]
        yield channels, block_delivery(plan, block, day, corrected=corrected)
    if unknown_point_delivers(plan, vendor, day):
        # It uses what the vendor's first point uses, and a little more.
        values = block_values(plan, point_block(plan, vendor, 0), day)[:1] + 7
        yield [(unknown_point_id(plan, vendor), IMPORT_OBIS)], Delivery.of(values)


def local_times(instants: Int64Array, zone: str, pattern: str) -> list[str]:
    """Return instants (UTC microseconds) as local text; the repeated hour in October gives the same text twice."""
    info = ZoneInfo(zone)
    return [instant(int(start)).astimezone(info).strftime(pattern) for start in instants]


def utc_times(instants: Int64Array) -> list[str]:
    """Return instants (UTC microseconds) as ISO text with Z."""
    return [instant(int(start)).strftime("%Y-%m-%dT%H:%M:%SZ") for start in instants]


def local_ends(instants: Int64Array, zone: str) -> list[str]:
    """Return the end of the slots that start at some instants as ISO text with the local offset at that end."""
    info, length = ZoneInfo(zone), timedelta(minutes=INTERVAL_MINUTES)
    return [(instant(int(start)) + length).astimezone(info).isoformat() for start in instants]


class _Rows:
    """The rows of one block in file order: which channel and slot each one is, and its cells as text."""

    def __init__(self, delivery: Delivery, day: DeliveryDay) -> None:
        channels, slots = delivery.wh.shape
        cells = np.repeat(np.arange(channels * slots), delivery.copies.ravel())
        self.channel, self.slot = np.divmod(cells, slots)
        self.wh = delivery.wh.ravel()[cells]
        self.blank = delivery.blank.ravel()[cells]
        # A blank is no measurement: it goes out as provisional.
        self.status_sent = np.where(self.blank, SenderStatus.PROVISIONAL, delivery.status.ravel()[cells])
        self.malformed = delivery.malformed.ravel()[cells]
        self.starts = day.slot_starts(INTERVAL_MINUTES)
        ahead = delivery.ahead.ravel()[cells]
        stamped = self.starts[self.slot] + delivery.drift_s[self.channel] * _MICROSECONDS_PER_SECOND
        self.stamped = np.where(ahead, _later_starts(day)[np.minimum(self.slot, _ORDINARY_SLOTS - 1)], stamped)

    def text(self, values: list[str], index: Int64Array) -> pa.Array:
        """Return ``values[index]``."""
        return pa.array(values, pa.string()).take(pa.array(index))

    def times(self, render: Callable[[Int64Array], list[str]]) -> pa.Array:
        """Return the stamps as text. Nearly all are starts of slots, so that few texts are rendered."""
        odd = np.flatnonzero(self.stamped != self.starts[self.slot])
        index = self.slot.copy()
        index[odd] = len(self.starts) + np.arange(len(odd))
        return self.text(render(self.starts) + render(self.stamped[odd]), index)

    def decimals(self, thousandths: Int64Array) -> pa.Array:
        """Return thousandths as decimal text with three places, empty where there is no value."""
        buffer = pa.py_buffer(np.ascontiguousarray(thousandths, dtype=np.int64))
        numbers = pa.Array.from_buffers(pa.decimal64(18, 3), len(thousandths), [None, buffer]).cast(pa.string())
        return pc.if_else(pa.array(self.blank), "", numbers)


def _later_starts(day: DeliveryDay) -> Int64Array:
    """Return the slots of the day that rows stamped in the future name: three days on, four if clocks change there."""
    later = day.plus(3)
    return (later if later.slots(INTERVAL_MINUTES) == _ORDINARY_SLOTS else day.plus(4)).slot_starts(INTERVAL_MINUTES)


def _text_bytes(lines: pa.Array, malformed: Int8Array, breaker: Callable[[str, Malformation], str]) -> bytes:
    """Return lines, each of which ends in a newline, as bytes; malformed ones are broken first."""
    broken = np.flatnonzero(malformed)
    if len(broken):
        texts = [breaker(lines[int(row)].as_py().rstrip("\n"), Malformation(malformed[row])) + "\n" for row in broken]
        lines = pc.replace_with_mask(lines, pa.array(malformed != Malformation.NONE), pa.array(texts, pa.string()))
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)
    text: bytes = data[int(bounds[lines.offset]) : int(bounds[lines.offset + len(lines)])].to_pybytes()
    return text


def _break_cells(delimiter: str, value: int, date_cell: int, bad_date: str) -> Callable[[str, Malformation], str]:
    """Return what breaks a delimited line; ``value`` and ``date_cell`` are positions of cells."""

    def breaker(line: str, malformation: Malformation) -> str:
        cells = line.split(delimiter)
        if malformation is Malformation.TOO_FEW_COLUMNS:
            cells = cells[:-1]
        elif malformation is Malformation.TOO_MANY_COLUMNS:
            cells = [*cells, "surplus"]
        elif malformation is Malformation.LETTERS:
            cells[value] = "n/a?"
        else:
            cells[date_cell] = bad_date
        return delimiter.join(cells)

    return breaker


def _cut_off(line: str, malformation: Malformation) -> str:
    """Return the first half of a JSON line, whatever the malformation."""
    return line[: len(line) // 2]


def _text_file(
    header: str,
    blocks: Iterator[tuple[Channels, Delivery]],
    day: DeliveryDay,
    lines_of: Callable[[_Rows, Channels], pa.Array],
    breaker: Callable[[str, Malformation], str],
) -> bytes:
    """Return a header and the lines of all blocks, the malformed ones broken."""
    file = io.BytesIO()
    file.write(header.encode())
    for channels, delivery in blocks:
        rows = _Rows(delivery, day)
        file.write(_text_bytes(lines_of(rows, channels), rows.malformed, breaker))
    return file.getvalue()


def _north(blocks: Iterator[tuple[Channels, Delivery]], day: DeliveryDay) -> bytes:
    """Return delimited text: local wall clock, interval start, decimal comma, kWh, status W / E / V."""

    def times(instants: Int64Array) -> list[str]:
        return local_times(instants, day.zone, "%d.%m.%Y;%H:%M")

    def lines_of(rows: _Rows, channels: Channels) -> pa.Array:
        return pc.binary_join_element_wise(
            rows.text([f"{point};{obis}" for point, obis in channels], rows.channel),
            rows.times(times),
            pc.replace_substring(rows.decimals(rows.wh), ".", ","),
            rows.text(["W\n", "E\n", "V\n"], rows.status_sent),
            ";",
        )

    breaker = _break_cells(";", value=4, date_cell=2, bad_date="32.13.2026")
    return _text_file(NORTH_HEADER + "\n", blocks, day, lines_of, breaker)


def _south(blocks: Iterator[tuple[Channels, Delivery]], day: DeliveryDay) -> bytes:
    """Return JSON lines: interval end with the local offset, Wh or null, quality A / S / P."""

    def ends(instants: Int64Array) -> list[str]:
        return [f'"end":"{text}","wh":' for text in local_ends(instants, day.zone)]

    def lines_of(rows: _Rows, channels: Channels) -> pa.Array:
        return pc.binary_join_element_wise(
            rows.text([f'{{"point":"{point}","obis":"{obis}",' for point, obis in channels], rows.channel),
            rows.times(ends),
            pc.if_else(pa.array(rows.blank), "null", pa.array(rows.wh).cast(pa.string())),
            rows.text([f',"quality":"{code}"}}\n' for code in "ASP"], rows.status_sent),
            "",
        )

    return _text_file("", blocks, day, lines_of, _cut_off)


def _east(blocks: Iterator[tuple[Channels, Delivery]], day: DeliveryDay) -> bytes:
    """Return delimited text: UTC, interval start, mean kW over the interval, no status."""

    def lines_of(rows: _Rows, channels: Channels) -> pa.Array:
        return pc.binary_join_element_wise(
            rows.text([f"{point},{obis}" for point, obis in channels], rows.channel),
            rows.times(utc_times),
            pc.binary_join_element_wise(rows.decimals(rows.wh * _SLOTS_PER_HOUR), "\n", ""),
            ",",
        )

    breaker = _break_cells(",", value=3, date_cell=2, bad_date="2026-13-32T00:00:00Z")
    return _text_file(EAST_HEADER + "\n", blocks, day, lines_of, breaker)


def _west(blocks: Iterator[tuple[Channels, Delivery]], day: DeliveryDay) -> bytes:
    """Return Parquet: UTC, interval start, kWh, no status; one row group per block."""
    schema = pa.schema(
        [("melo", pa.string()), ("obis", pa.string()), ("start_utc", pa.timestamp("us", "UTC")), ("kwh", pa.float64())]
    )
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for channels, delivery in blocks:
            rows = _Rows(delivery, day)
            columns = [
                rows.text([point for point, _ in channels], rows.channel),
                rows.text([obis for _, obis in channels], rows.channel),
                pa.array(rows.stamped).cast(schema.field("start_utc").type),
                pa.array(rows.wh / 1_000, mask=rows.blank),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return sink.getvalue()


_FORMATS: dict[str, tuple[str, Callable[[Iterator[tuple[Channels, Delivery]], DeliveryDay], bytes]]] = {
    "meters_north": ("csv", _north),
    "meters_south": ("jsonl", _south),
    "meters_west": ("parquet", _west),
    "meters_east": ("csv", _east),
}


def meter_file_name(vendor: int, day: DeliveryDay) -> str:
    """Return the name of a vendor's file of a day."""
    return f"{VENDORS[vendor].file_stem}_{day.day.isoformat()}.{_FORMATS[VENDORS[vendor].feed][0]}"


def meter_file(plan: SimulationPlan, vendor: int, day: DeliveryDay, *, corrected: bool = False) -> bytes:
    """Return the content of a vendor's file of a day; ``corrected`` as in ``faults.block_delivery``."""
    return _FORMATS[VENDORS[vendor].feed][1](deliveries(plan, vendor, day, corrected=corrected), day)
