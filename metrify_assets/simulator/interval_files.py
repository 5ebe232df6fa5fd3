"""The files of days that come for another interval than the agreed one: hourly or 5-minute values, in Wh and UTC.

Belongs here: the feeds ``meters_hourly`` and ``meters_five_minute``. Does not belong here: which channels they hold
(``injection.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metrify_assets.simulator.day_faults import COARSER_MINUTES, FINER_MINUTES
from metrify_assets.simulator.injection import block_delivery, channel_events
from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import EVENT_RATES, INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import PointBlock, block_count, point_block
from metrify_assets.simulator.vendor_files import utc_times
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay

INTERVAL_FEEDS = {FINER_MINUTES: "meters_five_minute", COARSER_MINUTES: "meters_hourly"}
INTERVAL_HEADER = "point_id,obis,start_utc,wh"
_INTERVAL_SIZE = EVENT_RATES.index("interval_size_rate")


def with_interval(wh: Int64Array, minutes: int) -> Int64Array:
    """Return quarter-hourly Wh for another interval; what cannot be split evenly goes to the last parts."""
    if minutes > INTERVAL_MINUTES:
        longer: Int64Array = wh.reshape(-1, minutes // INTERVAL_MINUTES).sum(axis=1)
        return longer
    parts = INTERVAL_MINUTES // minutes
    return ((wh[:, None] * np.arange(1, parts + 1)) // parts - (wh[:, None] * np.arange(parts)) // parts).ravel()


def interval_file(plan: SimulationPlan, day: DeliveryDay, minutes: int) -> bytes | None:
    """Return the file of a day with all values of that interval, of every vendor; None if there are none."""
    starts = day.start + minutes * MICROSECONDS_PER_MINUTE * np.arange(day.slots(minutes), dtype=np.int64)
    stamps = utc_times(starts)
    lines = []
    for block in _concerned(plan, day):
        delivery = block_delivery(plan, block, day)
        for channel in np.flatnonzero(delivery.interval == minutes).tolist():
            name = f"{block.point_id(channel)},{block.obis_code(channel)}"
            values = with_interval(delivery.wh[channel], minutes).tolist()
            lines += [f"{name},{stamp},{value}\n" for stamp, value in zip(stamps, values, strict=True)]
    return (INTERVAL_HEADER + "\n" + "".join(lines)).encode() if lines else None


def interval_file_name(day: DeliveryDay, minutes: int) -> str:
    """Return the name of a day's file."""
    return f"{INTERVAL_FEEDS[minutes]}_{day.day.isoformat()}.csv"


def _concerned(plan: SimulationPlan, day: DeliveryDay) -> Iterator[PointBlock]:
    """Yield the blocks of points with such a channel on a day."""
    for vendor in range(len(VENDORS)):
        for number in range(block_count(plan, vendor)):
            block = point_block(plan, vendor, number)
            if (channel_events(plan, block, day).event == _INTERVAL_SIZE).any():
                yield block
