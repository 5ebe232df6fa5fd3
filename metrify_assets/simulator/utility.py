"""The simulated utility as a whole: the files in the order in which they arrive, the labels, the truth.

Belongs here: which file arrives when, and the one function of the simulator that writes. Does not belong here: what
is in the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from metrify_assets.clock import instant
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import INSTANT, KWH, LABEL
from metrify_assets.simulator.delivery import FaultKind
from metrify_assets.simulator.injection import CORRECTED_FEED
from metrify_assets.simulator.interval_files import INTERVAL_FEEDS, interval_file, interval_file_name
from metrify_assets.simulator.load import day_values
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.power_quality import POWER_QUALITY_FEED, power_quality_file, power_quality_labels
from metrify_assets.simulator.register_reads import REGISTER_FEED, register_file, register_file_name, register_labels
from metrify_assets.simulator.registry_tables import registry_file, registry_table
from metrify_assets.simulator.status_files import GRID_FEED, WEATHER_FEED, grid_file, weather_file
from metrify_assets.simulator.vendor_files import deliveries, meter_file, meter_file_name, unknown_point_id
from metrify_assets.storage.object_store import replacing
from metrify_assets.vee.delivery_day import DeliveryDay

REDELIVERED_FEED = "meters_south"
LATE_FEED = "meters_east"
_MORNING = time(5, 30)
_REGISTRY_LEAD = timedelta(days=10)
_INTERVAL_FILES_MINUTES, _REGISTERS_MINUTES = 50, 60
"""How long after the first vendor's file these arrive."""
_WAIT_DAYS = {
    FaultKind.REDELIVERED_FILE: 3,
    FaultKind.CORRECTED: 5,
    FaultKind.LATE_REGISTER: 6,
    FaultKind.LATE_FILE: 8,
}
"""Days from the delivery day to the arrival of what comes later."""

LABELS = pa.schema(
    [
        ("feed", pa.string()),
        ("point_id", pa.string()),
        ("obis_code", pa.string()),
        ("interval_start", INSTANT),
        ("kind", pa.string()),
        ("detail", pa.string()),
    ]
)
TRUTH = pa.schema([("point_id", LABEL), ("obis_code", LABEL), ("interval_start", INSTANT), ("value_kwh", KWH)])


@dataclass(frozen=True)
class SimulatedFile:
    """One file that a sender delivers.

    Attributes
    ----------
    feed, name : str
        It belongs at ``inbox/<feed>/<name>``.
    content : bytes
    received_at : datetime
        When it arrives (UTC); becomes the file's modification time.
    """

    feed: str
    name: str
    content: bytes
    received_at: datetime


@dataclass(frozen=True)
class Simulation:
    """A utility and its period. Files are made when they are asked for, one at a time."""

    plan: SimulationPlan

    @cached_property
    def registries(self) -> dict[str, pa.Table]:
        """Registries by table name, with the columns that their feeds deliver."""
        return {name: registry_table(self.plan, name) for name in REGISTRIES}

    @property
    def first(self) -> Iterator[SimulatedFile]:
        """What arrives in time: the registries, then day by day register reads, weather, grid and the vendors' files.

        Every access starts anew.
        """
        plan = self.plan
        ready = datetime.combine(plan.first_day, time(8), tzinfo=ZoneInfo(plan.zone)).astimezone(UTC)
        for name in REGISTRIES:
            content = registry_file(plan, name)
            if content is not None:
                yield SimulatedFile(f"registry_{name}", f"{name}.csv", content, ready - _REGISTRY_LEAD)
        for offset, day in enumerate(plan.delivery_days):
            # Registers are read at the first instant of the day and delivered the same morning.
            yield from self._register_file(offset, wait_days=0)
            stamp = day.day.isoformat()
            yield SimulatedFile(WEATHER_FEED, f"weather_{stamp}.csv", weather_file(plan, day), _arrival(day, -20))
            yield SimulatedFile(GRID_FEED, f"grid_{stamp}.csv", grid_file(plan, day), _arrival(day, -10))
            power_quality = power_quality_file(plan, day)
            if power_quality is not None:
                name = f"{POWER_QUALITY_FEED}_{stamp}.csv"
                yield SimulatedFile(POWER_QUALITY_FEED, name, power_quality, _arrival(day, -5))
            for vendor, place in enumerate(VENDORS):
                if not self._is_late(place.feed, day.day):
                    yield self._meter_file(vendor, day)
            for minutes, feed in INTERVAL_FEEDS.items():
                content = interval_file(plan, day, minutes)
                if content is not None:
                    arrival = _arrival(day, _INTERVAL_FILES_MINUTES)
                    yield SimulatedFile(feed, interval_file_name(day, minutes), content, arrival)

    @property
    def later(self) -> Iterator[SimulatedFile]:
        """What arrives afterwards, in the order of arrival; every access starts anew.

        An identical redelivery (same name, same bytes), a corrected one (same name, other values), late register
        reads, and the file of a day that the first wave left out, as far as their days lie in the period.
        """
        return iter(sorted(self._later(), key=lambda file: (file.received_at, file.feed)))

    def _later(self) -> Iterator[SimulatedFile]:
        plan = self.plan
        events = (
            (plan.redelivered_day, REDELIVERED_FEED, FaultKind.REDELIVERED_FILE),
            (plan.corrected_day, CORRECTED_FEED, FaultKind.CORRECTED),
            (plan.late_day, LATE_FEED, FaultKind.LATE_FILE),
        )
        for offset, feed, kind in events:
            if offset < plan.days:
                day = DeliveryDay(plan.day(offset), plan.zone)
                corrected = kind is FaultKind.CORRECTED
                yield self._meter_file(_vendor(feed), day, wait_days=_WAIT_DAYS[kind], corrected=corrected)
        if plan.late_register_day < plan.days:
            wait_days = _WAIT_DAYS[FaultKind.LATE_REGISTER]
            yield from self._register_file(plan.late_register_day, wait_days=wait_days, late=True)

    def _register_file(self, offset: int, *, wait_days: int, late: bool = False) -> Iterator[SimulatedFile]:
        content = register_file(self.plan, offset, late=late)
        if content is not None:
            arrival = _arrival(DeliveryDay(self.plan.day(offset), self.plan.zone), _REGISTERS_MINUTES, wait_days)
            yield SimulatedFile(REGISTER_FEED, register_file_name(self.plan, offset, late=late), content, arrival)

    @cached_property
    def labels(self) -> pa.Table:
        """One row per injected fault slot or row, of both waves, in the schema ``LABELS``.

        A file as a whole (late, redelivered) has one row without point and slot; its detail is the file's name. The
        rows of ``corrected`` are the slots that the first wave delivers with wrong values. Rows on a register (OBIS
        code 1-0:1.8.0) stand at the instant of the read.
        """
        plan = self.plan
        rows: list[tuple[object, ...]] = []
        for offset, day in enumerate(plan.delivery_days):
            rows += [
                (feed, point, obis, instant(int(at)), kind, detail)
                for feed, point, obis, at, kind, detail in register_labels(plan, offset)
            ]
            starts = [instant(int(start)) for start in day.slot_starts(INTERVAL_MINUTES)]
            for vendor, place in enumerate(VENDORS):
                stranger = unknown_point_id(plan, vendor)
                for channels, delivery in deliveries(plan, vendor, day):
                    if channels[0][0] == stranger:
                        detail = "the registries do not know the point"
                        rows += [(place.feed, *channels[0], at, FaultKind.UNKNOWN_POINT, detail) for at in starts]
                    rows += [
                        (place.feed, *channels[channel], starts[slot], kind, detail)
                        for channel, slot, kind, detail in delivery.labels
                    ]
        for offset, feed, kind in (
            (plan.redelivered_day, REDELIVERED_FEED, FaultKind.REDELIVERED_FILE),
            (plan.late_day, LATE_FEED, FaultKind.LATE_FILE),
        ):
            if offset < plan.days:
                name = meter_file_name(_vendor(feed), DeliveryDay(plan.day(offset), plan.zone))
                rows.append((feed, None, None, None, kind, name))
        columns = zip(*rows, strict=True) if rows else [[] for _ in LABELS]
        return pa.Table.from_arrays(
            [pa.array(values, field.type) for values, field in zip(columns, LABELS, strict=True)], schema=LABELS
        )

    @cached_property
    def power_quality_labels(self) -> pa.Table:
        """One row per slot and channel of power quality with an injected fault, in the schema ``LABELS``."""
        rows = [
            (POWER_QUALITY_FEED, label.point_id, label.obis_code, instant(label.interval_start), str(label.kind), "")
            for label in power_quality_labels(self.plan)
        ]
        columns = zip(*rows, strict=True) if rows else [[] for _ in LABELS]
        return pa.Table.from_arrays(
            [pa.array(values, field.type) for values, field in zip(columns, LABELS, strict=True)], schema=LABELS
        )

    @cached_property
    def truth(self) -> pa.Table:
        """The energy that really flowed, one row per channel and slot, in the schema ``TRUTH``."""
        return pa.concat_tables(_truth(self.plan, day) for day in self.plan.delivery_days)

    def _meter_file(
        self, vendor: int, day: DeliveryDay, *, wait_days: int = 1, corrected: bool = False
    ) -> SimulatedFile:
        place = VENDORS[vendor]
        content = meter_file(self.plan, vendor, day, corrected=corrected)
        received_at = _arrival(day, place.delivery_offset_minutes, wait_days)
        return SimulatedFile(place.feed, meter_file_name(vendor, day), content, received_at)

    def _is_late(self, feed: str, day: date) -> bool:
        return feed == LATE_FEED and day == self.plan.day(self.plan.late_day)


def simulate(plan: SimulationPlan) -> Simulation:
    """Return the utility of a plan; nothing is computed yet."""
    return Simulation(plan)


def _vendor(feed: str) -> int:
    return next(number for number, place in enumerate(VENDORS) if place.feed == feed)


def _arrival(day: DeliveryDay, offset_minutes: int, wait_days: int = 1) -> datetime:
    """Return half past five in the morning, local time, that many days after the delivery day, plus the offset."""
    morning = datetime.combine(day.day + timedelta(days=wait_days), _MORNING, tzinfo=ZoneInfo(day.zone))
    return morning.astimezone(UTC) + timedelta(minutes=offset_minutes)


def _truth(plan: SimulationPlan, day: DeliveryDay) -> pa.Table:
    values = day_values(plan, day)
    channels, slots = values.wh.shape

    def repeated(labels: list[str]) -> pa.DictionaryArray:
        names = pa.array(labels).dictionary_encode()
        indices = np.repeat(names.indices.to_numpy().astype(np.int32), slots)
        return pa.DictionaryArray.from_arrays(pa.array(indices), names.dictionary)

    # Decimal with six places, stored as an integer: 1 Wh is 1,000 millionths of a kWh.
    millionths = pa.py_buffer(values.wh.astype(np.int64).ravel() * 1_000)
    return pa.Table.from_arrays(
        [
            repeated(values.point_ids),
            repeated(values.obis_codes),
            pa.array(np.tile(values.starts, channels)).cast(INSTANT),
            pa.Array.from_buffers(KWH, channels * slots, [None, millionths]),
        ],
        schema=TRUTH,
    )


def write_wave(files: Iterable[SimulatedFile], inbox: Path) -> list[Path]:
    """Put files into ``inbox/<feed>/<name>`` as a sender would; return the paths written.

    A file appears whole (written beside its place, then renamed) and carries ``received_at`` as modification time. A
    file that is there already with the same bytes and time is left alone, and so is one with a later time: that is a
    later delivery under the same name, and a sender does not go back. A second run of both waves writes nothing.
    """
    written = []
    for file in files:
        target = inbox / file.feed / file.name
        stamp = int(file.received_at.timestamp()) * 10**9
        if _has_arrived(target, file.content, stamp):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            partial.write_bytes(file.content)
            os.utime(partial, ns=(stamp, stamp))
        written.append(target)
    return written


def _has_arrived(target: Path, content: bytes, stamp: int) -> bool:
    if not target.exists():
        return False
    modified = target.stat().st_mtime_ns
    return modified > stamp or (modified == stamp and target.read_bytes() == content)
