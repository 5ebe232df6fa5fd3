"""``clean_power_quality`` of a day: the latest version of every value of a registered channel, with a verdict.

Belongs here: placing values on the slots of their channels, choosing versions, judging by ranges. Does not belong here:
the ranges (``schemas/power_quality.py``), and energy (``validated.py``, ``clean.py``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.days.day import DayResult, ShardResult, compute_day
from metrify_assets.days.digests import Digests
from metrify_assets.days.raw import first_order
from metrify_assets.drops.parts import read_groups
from metrify_assets.feeds.values.conversions import conversion
from metrify_assets.feeds.values.numbers import MICRO, decimals
from metrify_assets.platform import Platform
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY, RANGES, RAW_POWER_QUALITY
from metrify_assets.storage.arrow import codes_of, decimal_integers, dictionary_codes
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.channels import Quantity, channel_of
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_number
from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS
from metrify_assets.vee.placement import snap

_COLUMNS = ["point_id", "obis_code", "interval_start", "interval_minutes", "value", "unit", "row_number"]
_EXAMPLES = 5


@dataclass(frozen=True)
class PowerQualityTally:
    """What became of the raw values of a shard: raw = unassigned + off_grid + current + identical + superseded;
    current = valid + out_of_range + missing.

    Attributes
    ----------
    raw : int
        Rows by the ledger, not by what was read.
    unassigned : int
        Of points or channels that no registry row knows that day.
    off_grid : int
        Of another interval than the channel's, or not at the start of one of its slots.
    current, identical, superseded : int
        Versions that count, repeat the one that counts, and differ from it.
    valid, out_of_range, missing : int
        Of the current ones, by status.
    anomalous : int
        Of the current ones, those beyond the normal range.
    """

    raw: int = 0
    unassigned: int = 0
    off_grid: int = 0
    current: int = 0
    identical: int = 0
    superseded: int = 0
    valid: int = 0
    out_of_range: int = 0
    missing: int = 0
    anomalous: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        placed = self.unassigned + self.off_grid + self.current + self.identical + self.superseded
        return self.raw == placed and self.current == self.valid + self.out_of_range + self.missing


@dataclass(frozen=True, eq=False)
class _Values:
    """Delivered values of registered channels; arrays of shape (n,).

    Attributes
    ----------
    channel : int64 array
        Position among the registered channels.
    slot : int64 array
        -1 where the value fits none.
    micro : int64 array
        Millionths of the unit of the quantity; 0 where null.
    is_null : bool array
    order : int64 array
        Place among all deliveries: by drop, then by row.
    received_at : int64 array
        UTC microseconds.
    """

    channel: Int64Array
    slot: Int64Array
    micro: Int64Array
    is_null: BoolArray
    order: Int64Array
    received_at: Int64Array

    def take(self, rows: np.ndarray) -> _Values:
        return _Values(*(array[rows] for array in vars(self).values()))


def compute_power_quality(platform: Platform, day: date, digests: Digests, *, force: bool = False) -> DayResult:
    """Compute and publish the power quality of one day.

    Of the versions of a value the one received last counts; a null does not displace a value.
    """
    delivery_day = DeliveryDay(day, platform.settings.timezone)

    def compute_shard(number: int) -> ShardResult:
        used = (f"{RAW_POWER_QUALITY.name}@{day}", f"power_quality_channels@{day}")
        inputs = {name: digests.current(name, number) for name in used}
        registered = digests.registry.power_quality_channels(day, number)
        keys = sorted(key for key in registered if channel_of(key[1]) is not None)
        minutes = np.array([registered[key] for key in keys], dtype=np.int64)
        values, raw, unassigned, examples = _read(platform, digests, delivery_day, number, keys, minutes)
        placed = values.take(np.flatnonzero(values.slot >= 0))
        rows, tally = _chosen(delivery_day, keys, minutes, placed)
        off_grid = len(values.slot) - len(placed.slot)
        tally |= {"raw": raw, "unassigned": unassigned, "off_grid": off_grid}
        numbers = {"tally": asdict(PowerQualityTally(**tally)), "unassigned_examples": examples}
        return ShardResult(rows, inputs, numbers)

    return compute_day(platform, CLEAN_POWER_QUALITY, day, digests, compute_shard, force=force)


def _read(
    platform: Platform,
    digests: Digests,
    day: DeliveryDay,
    shard: int,
    keys: list[tuple[str, str]],
    minutes: Int64Array,
) -> tuple[_Values, int, int, list[str]]:
    """Return the values of registered channels, the count of all raw rows, and that and examples of the others."""
    number_of = {key: number for number, key in enumerate(keys)}
    pieces = [_Values(*(np.empty(0, dtype=kind) for kind in (*[np.int64] * 3, bool, np.int64, np.int64)))]
    raw = read = assigned = 0
    unknown: set[str] = set()
    for rank, drop in enumerate(digests.view.drops_of(RAW_POWER_QUALITY.name, day.day)):
        for part in drop.parts[day.day.isoformat()]:
            raw += part.rows.get(str(shard), 0)
            groups = part.shards.get(str(shard))
            if not groups:
                continue
            table = read_groups(platform.store, drop, part, groups, _COLUMNS)
            channel = _channels(table, number_of, unknown)
            read += table.num_rows
            registered = np.flatnonzero(channel >= 0)
            assigned += len(registered)
            table, channel = table.take(pa.array(registered)), channel[registered]
            pieces.append(
                _Values(
                    channel=channel,
                    slot=_slots(table, day, minutes[channel]),
                    micro=_converted(table, channel, keys),
                    is_null=table["value"].is_null().to_numpy(),
                    order=table["row_number"].to_numpy().astype(np.int64) + first_order(drop, rank),
                    received_at=np.full(len(channel), drop.received_at, dtype=np.int64),
                )
            )
    arrays = [np.concatenate(columns) for columns in zip(*(vars(piece).values() for piece in pieces), strict=True)]
    return _Values(*arrays), raw, read - assigned, sorted(unknown)[:_EXAMPLES]


def _channels(table: pa.Table, number_of: dict[tuple[str, str], int], unknown: set[str]) -> Int64Array:
    """Return the number of every row's channel, -1 for one that no registry row knows, whose point is noted."""
    points, point_codes = dictionary_codes(table["point_id"])
    codes, code_codes = dictionary_codes(table["obis_code"])
    point_texts, code_texts = points.to_pylist(), codes.to_pylist()
    numbers = np.array(
        [[number_of.get((point, code), -1) for code in code_texts] for point in point_texts], dtype=np.int64
    ).reshape(len(point_texts), len(code_texts))
    channel: Int64Array = numbers[point_codes, code_codes]
    unknown.update(point_texts[place] for place in np.unique(point_codes[channel < 0]).tolist())
    return channel


def _slots(table: pa.Table, day: DeliveryDay, minutes: Int64Array) -> Int64Array:
    """Return the slot of every value, snapped within the clock's tolerance; -1 where it fits none."""
    offset = table["interval_start"].cast(pa.int64()).to_numpy() - day.start
    slot = np.full(len(offset), -1, dtype=np.int64)
    for length in np.unique(minutes).tolist():
        ours = (minutes == length) & (table["interval_minutes"].to_numpy() == length)
        nearest = snap(offset[ours], length * MICROSECONDS_PER_MINUTE, CLOCK_TOLERANCE_SECONDS)
        slot[ours] = np.where(nearest < day.slots(length), nearest, -1)
    return slot


def _converted(table: pa.Table, channel: Int64Array, keys: list[tuple[str, str]]) -> Int64Array:
    """Return every value in millionths of the unit of its quantity.

    The reader lets no unit through that does not measure the channel.
    """
    micro = decimal_integers(table["value"])
    units, unit_codes = codes_of(table["unit"])
    order = list(Quantity)
    quantity = np.array([order.index(_quantity(key)) for key in keys], dtype=np.int64)[channel]
    for code, unit in enumerate(units):
        for number, name in enumerate(order):
            ours = (unit_codes == code) & (quantity == number)
            if unit != RANGES[name].unit and ours.any():
                micro[ours] = conversion(unit, RANGES[name].unit, None).apply(micro[ours])[0]
    return micro


def _quantity(key: tuple[str, str]) -> Quantity:
    channel = channel_of(key[1])
    if channel is None:
        raise ValueError(f"{key[1]} is no instantaneous channel")
    return channel.quantity


def _chosen(
    day: DeliveryDay, keys: list[tuple[str, str]], minutes: Int64Array, values: _Values
) -> tuple[pa.Table, dict[str, int]]:
    """Return the rows of the version that counts of every value, and how many versions became what."""
    group, first, ordered = _grouped(values)
    best = ordered.take(np.append(first[1:], len(ordered.slot)) - 1 if len(first) else first)
    same = (ordered.micro == best.micro[group]) & (ordered.is_null == best.is_null[group])
    versions = _distinct(group, len(first), ordered)
    rows, statuses, anomalous = _rows(day, keys, minutes, best, versions)
    counts = {
        "current": len(first),
        "identical": int(same.sum()) - len(first),
        "superseded": int((~same).sum()),
        **{name: int(mask.sum()) for name, mask in statuses.items()},
        "anomalous": int(anomalous.sum()),
    }
    return rows, counts


def _grouped(values: _Values) -> tuple[Int64Array, Int64Array, _Values]:
    """Return values by channel and slot, the strongest version of each last; the group of each, and where it begins."""
    ordered = values.take(np.lexsort((values.order, ~values.is_null, values.slot, values.channel)))
    is_first = np.append(True, (np.diff(ordered.channel) != 0) | (np.diff(ordered.slot) != 0))[: len(ordered.slot)]
    return np.cumsum(is_first) - 1, np.flatnonzero(is_first), ordered


def _distinct(group: Int64Array, groups: int, ordered: _Values) -> Int64Array:
    """Return how many different values each group has; a null is one."""
    order = np.lexsort((ordered.micro, ordered.is_null, group))
    changes = np.append(
        True,
        (np.diff(group[order]) != 0)
        | (np.diff(ordered.micro[order]) != 0)
        | (np.diff(ordered.is_null[order].astype(np.int8)) != 0),
    )[: len(order)]
    return np.bincount(group[order][changes], minlength=groups)


def _rows(
    day: DeliveryDay, keys: list[tuple[str, str]], minutes: Int64Array, best: _Values, versions: Int64Array
) -> tuple[pa.Table, dict[str, BoolArray], BoolArray]:
    channels = [channel for _, code in keys if (channel := channel_of(code)) is not None]
    ranges = [RANGES[channel.quantity] for channel in channels]
    at = best.channel
    in_valid, in_normal = (
        _within(best.micro, np.array(limits, dtype=float).reshape(-1, 2)[at])
        for limits in ([declared.valid for declared in ranges], [declared.normal for declared in ranges])
    )
    statuses = {
        "valid": ~best.is_null & in_valid,
        "out_of_range": ~best.is_null & ~in_valid,
        "missing": best.is_null,
    }
    anomalous = ~best.is_null & ~in_normal
    names = list(statuses)
    status = np.select([statuses[name] for name in names[:2]], [0, 1], 2)
    starts = day.start + best.slot * minutes[at] * MICROSECONDS_PER_MINUTE
    schema = CLEAN_POWER_QUALITY.arrow
    columns = {
        "point_id": _labels(at, [point for point, _ in keys]),
        "obis_code": _labels(at, [code for _, code in keys]),
        "interval_start": pa.array(starts).cast(schema.field("interval_start").type),
        "interval_minutes": pa.array(minutes[at].astype(np.int16)),
        "quantity": _labels(at, [str(channel.quantity) for channel in channels]),
        "phase": _labels(at, [str(channel.phase) for channel in channels]),
        "statistic": _labels(at, [str(channel.statistic) for channel in channels]),
        "value": decimals(best.micro, best.is_null),
        "unit": _labels(at, [declared.unit for declared in ranges]),
        "status": _labels(status, names),
        "is_anomalous": pa.array(anomalous),
        "version": pa.array(np.minimum(versions, np.iinfo(np.int16).max).astype(np.int16)),
        "received_at": pa.array(best.received_at).cast(schema.field("received_at").type),
        "day": pa.array(np.full(len(at), day_number(day.day), dtype=np.int32)).cast(pa.date32()),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema), statuses, anomalous


def _within(micro: Int64Array, bounds: np.ndarray) -> BoolArray:
    """Return which millionths lie between two bounds, both included; bounds of shape (n, 2) in whole units."""
    low, high = np.rint(bounds * MICRO).astype(np.int64).T
    inside: BoolArray = (micro >= low) & (micro <= high)
    return inside


def _labels(codes: np.ndarray, texts: list[str]) -> pa.DictionaryArray:
    distinct = list(dict.fromkeys(texts))
    ours = np.array([distinct.index(text) for text in texts], dtype=np.int32)
    indices = ours[codes] if len(ours) else np.empty(0, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(distinct, pa.string()))
