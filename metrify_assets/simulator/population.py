"""The measuring points of the utility: who they are and how they use energy.

Belongs here: identifiers, connection and annual use of every point, block by block. Does not belong here: the values
of a day (``load.py``) and the registry files (``registry_tables.py``).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.places import VENDORS, nearest_station
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

IMPORT_OBIS = "1-0:1.29.0"
EXPORT_OBIS = "1-0:2.29.0"
CLASSES = ("household", "business", "heat_pump", "ev", "pv")
_CLASS_CYCLE = np.array([0, 4, 1, 0, 2, 0, 4, 1, 3, 0])
"""Classes of ten successive points of a vendor: 40 % households, 20 % with PV, 20 % businesses, heat pumps, cars."""
_PV = CLASSES.index("pv")

EV_SESSION_PROBABILITY = 0.45
EV_SLOT_WH = 2_750.0
"""An 11 kW wall box, for one quarter of an hour."""
EV_SLOTS = (4, 10)
EV_SHORT_SLOTS = (1, 3)
"""Shortest and longest charging session, in quarter hours, and those of a top-up."""
_HEAT_SHARE = 0.75
_APPLIANCE_SHARE = 0.25
_PV_SELF_USE = 0.47
"""Share of a PV household's use that its own roof covers, for the annual forecast."""
_PV_KWH_PER_KWP = 940.0


def _ev_annual_kwh(plan: SimulationPlan) -> float:
    """Return what a car charges in a year."""
    short, full = sum(EV_SHORT_SLOTS) / 2, sum(EV_SLOTS) / 2
    mean_slots = full + (short - full) * plan.short_charging_share
    return 365 * EV_SESSION_PROBABILITY * mean_slots * EV_SLOT_WH / 1_000


def market_location(ten_digits: int) -> str:
    """Return the 11-digit market location (MaLo) of ten digits: the check digit is appended.

    Check digit = (10 - (digits at odd positions + 2 x digits at even positions) mod 10) mod 10.
    """
    text = f"{ten_digits:010d}"
    total = sum(map(int, text[0::2])) + 2 * sum(map(int, text[1::2]))
    return text + str(-total % 10)


def measuring_location(operator_code: str, postcode: str, *key: object) -> str:
    """Return a 33-character measuring location (MeLo) whose last 20 characters are a hash of ``key``."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=15).digest()
    return f"DE{operator_code}{postcode}{base64.b32encode(digest).decode()[:20]}"


@dataclass(frozen=True)
class PointBlock:
    """Up to ``BLOCK_POINTS`` successive points of one vendor, and their channels.

    Arrays are of shape (points,), those that begin with ``channel_`` of shape (channels,); channels are ordered by
    point, import before export.

    Attributes
    ----------
    vendor, block : int
        Position in ``VENDORS`` and of the block among the vendor's.
    point_ids : list of str
    class_index : int, position in ``CLASSES``
    town, station : int, positions in the vendor's towns and in ``STATIONS``
    draws : float64, shape (points, 8)
        Uniform draws for attributes that only the registry shows.
    connection_kw, annual_kwh : float64
        Connection power; annual use before any own generation.
    base_kwh, appliance_kwh, heat_kwh : float64
        Annual use by kind; a car's comes on top.
    charges : bool
        Whether a car is charged here.
    peak_kwp : float64
        Installed PV power, 0 without.
    shift_minutes : int64
        How much later than the average this point lives.
    channel_point : int64
        Position of the channel's point in the block.
    channel_exports : bool
    """

    vendor: int
    block: int
    point_ids: list[str]
    class_index: Int64Array
    town: Int64Array
    station: Int64Array
    draws: Float64Array
    connection_kw: Float64Array
    annual_kwh: Float64Array
    base_kwh: Float64Array
    appliance_kwh: Float64Array
    heat_kwh: Float64Array
    charges: BoolArray
    peak_kwp: Float64Array
    shift_minutes: Int64Array
    channel_point: Int64Array
    channel_exports: BoolArray

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.channel_point)

    def point_id(self, channel: int) -> str:
        """Return the point of a channel."""
        return self.point_ids[int(self.channel_point[channel])]

    def obis_code(self, channel: int) -> str:
        """Return the OBIS code of a channel."""
        return EXPORT_OBIS if self.channel_exports[channel] else IMPORT_OBIS

    def channel_annual_kwh(self) -> Float64Array:
        """Return the annual forecast of every channel, kWh, rounded to 10 kWh."""
        used = self.annual_kwh * np.where(self.peak_kwp > 0, 1 - _PV_SELF_USE, 1.0)
        exported = self.peak_kwp * _PV_KWH_PER_KWP - self.annual_kwh * _PV_SELF_USE
        point = self.channel_point
        return np.round(np.where(self.channel_exports, exported[point], used[point]) / 10) * 10


def block_count(plan: SimulationPlan, vendor: int) -> int:
    """Return how many blocks a vendor's points fill."""
    return -(-vendor_points(plan, vendor) // BLOCK_POINTS)


def vendor_points(plan: SimulationPlan, vendor: int) -> int:
    """Return how many points a vendor serves."""
    return len(range(vendor, plan.points, len(VENDORS)))


@lru_cache(maxsize=4_096)
def point_block(plan: SimulationPlan, vendor: int, block: int) -> PointBlock:
    """Return one block of a vendor's points."""
    first = block * BLOCK_POINTS
    count = min(BLOCK_POINTS, vendor_points(plan, vendor) - first)
    position = first + np.arange(count)
    draws = uniform((BLOCK_POINTS, 16), plan.seed, Stream.POINTS, vendor, block)[:count]
    class_index = _CLASS_CYCLE[position % len(_CLASS_CYCLE)]
    towns = VENDORS[vendor].towns
    town = (position // len(_CLASS_CYCLE)) % len(towns)

    low = np.array([1_600.0, 5_000.0, 4_500.0, 2_000.0, 2_500.0])[class_index]
    high = np.array([4_800.0, 30_000.0, 9_000.0, 4_500.0, 5_500.0])[class_index]
    own_kwh = np.round(low + (high - low) * draws[:, 0])
    business, heats = class_index == CLASSES.index("business"), class_index == CLASSES.index("heat_pump")
    charges, generates = class_index == CLASSES.index("ev"), class_index == _PV
    heat_kwh = np.where(heats, _HEAT_SHARE * own_kwh, 0.0)
    appliance_kwh = np.where(business, 0.0, _APPLIANCE_SHARE * (own_kwh - heat_kwh))

    channels = np.repeat(np.arange(count), 1 + generates)
    return PointBlock(
        vendor=vendor,
        block=block,
        point_ids=[
            measuring_location(VENDORS[vendor].operator_code, towns[town[i]].postcode, plan.seed, vendor, position[i])
            for i in range(count)
        ],
        class_index=class_index,
        town=town,
        station=np.array([nearest_station(place) for place in towns])[town],
        draws=draws[:, 8:],
        connection_kw=np.where(business, np.where(own_kwh > 15_000, 100.0, 60.0), 30.0),
        annual_kwh=own_kwh + np.where(charges, np.round(_ev_annual_kwh(plan)), 0.0),
        base_kwh=own_kwh - heat_kwh - appliance_kwh,
        appliance_kwh=appliance_kwh,
        heat_kwh=heat_kwh,
        charges=charges,
        peak_kwp=np.where(generates, np.round(4 + 8 * draws[:, 1], 1), 0.0),
        shift_minutes=np.floor(-60 + 120 * draws[:, 2]).astype(np.int64),
        channel_point=channels,
        channel_exports=np.concatenate([[False], channels[1:] == channels[:-1]]),
    )
