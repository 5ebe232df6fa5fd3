"""What a vendor delivers for a block of points on a day, and the vocabulary of its faults.

Belongs here: the planes of a delivery, its labels, and the place of an event. Does not belong here: the events
(``faults.py``, ``day_faults.py``) and how a vendor writes a delivery down (``vendor_files.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from metrify_assets.simulator.plan import INTERVAL_MINUTES
from metrify_assets.vee.arrays import BoolArray, Int8Array, Int32Array, Int64Array


class FaultKind(StrEnum):
    """Kind of a label; where a rule looks for the fault, the name is the rule's."""

    GAP = "gap"
    BLANK = "blank"
    SPIKE = "spike"
    STUCK = "stuck"
    STUCK_ACROSS_MIDNIGHT = "stuck_across_midnight"
    NEGATIVE = "negative"
    PHYSICAL_LIMIT = "physical_limit"
    DUPLICATE = "duplicate"
    MALFORMED_ROW = "malformed_row"
    SUBSTITUTE = "substitute"
    PROVISIONAL = "provisional"
    ZERO_RUN = "zero_run"
    ROBUST_OUTLIER = "robust_outlier"
    INTERVAL_SIZE = "interval_size"
    CLOCK_DRIFT = "clock_drift"
    COLLAPSED_DST = "collapsed_dst"
    HIGH_LOW = "high_low"
    FUTURE_STAMP = "future_stamp"
    PROLONGED_ESTIMATION = "prolonged_estimation"
    OUTAGE = "outage"
    UNIT_MISMATCH = "unit_mismatch"
    SUM_CHECK = "sum_check"
    REGISTER_DECREASE = "register_decrease"
    REGISTER_ROLLOVER = "register_rollover"
    METER_EXCHANGE = "meter_exchange"
    LATE_REGISTER = "late_register"
    UNKNOWN_POINT = "unknown_point"
    CORRECTED = "corrected"
    LATE_FILE = "late_file"
    REDELIVERED_FILE = "redelivered_file"


class SenderStatus(IntEnum):
    """What the sender says of a value."""

    MEASURED = 0
    SUBSTITUTE = 1
    PROVISIONAL = 2


class Malformation(IntEnum):
    """What is wrong with a row that cannot be read; a JSON line is always cut off."""

    NONE = 0
    TOO_FEW_COLUMNS = 1
    TOO_MANY_COLUMNS = 2
    LETTERS = 3
    BAD_DATE = 4


@dataclass
class Delivery:
    """What is delivered for a block of points on a day; arrays of shape (channels, slots) unless said otherwise.

    Attributes
    ----------
    wh : int64
        Energy in Wh as delivered.
    copies : int8
        How often the row is in the file: 0 where it is missing.
    blank : bool
        Row without a value.
    status : int8
        ``SenderStatus``.
    malformed : int8
        ``Malformation``.
    ahead : bool
        The row carries the stamp of a later day.
    drift_s : int64, shape (channels,)
        Seconds that all stamps are off.
    interval : int64, shape (channels,)
        Minutes of the values; those of another interval than the agreed one come by a feed of their own.
    labels : list of (channel, slot, kind, detail)
    """

    wh: Int64Array
    copies: Int8Array
    blank: BoolArray
    status: Int8Array
    malformed: Int8Array
    ahead: BoolArray
    drift_s: Int64Array
    interval: Int64Array
    labels: list[tuple[int, int, FaultKind, str]] = field(default_factory=list)

    @property
    def slots(self) -> int:
        """Slots of the day."""
        return int(self.wh.shape[1])

    @classmethod
    def of(cls, wh: Int64Array | Int32Array) -> Delivery:
        """Return a delivery of these values without any fault."""
        return cls(
            wh=wh.astype(np.int64),
            copies=np.ones(wh.shape, dtype=np.int8),
            blank=np.zeros(wh.shape, dtype=bool),
            status=np.full(wh.shape, SenderStatus.MEASURED, dtype=np.int8),
            malformed=np.full(wh.shape, Malformation.NONE, dtype=np.int8),
            ahead=np.zeros(wh.shape, dtype=bool),
            drift_s=np.zeros(len(wh), dtype=np.int64),
            interval=np.full(len(wh), INTERVAL_MINUTES, dtype=np.int64),
        )

    def label(self, channel: int, slots: Iterable[int], kind: FaultKind, detail: str) -> None:
        """Add one label for every slot."""
        self.labels.extend((channel, int(slot), kind, detail) for slot in slots)


@dataclass(frozen=True)
class Site:
    """Where an event happens: the channel, its connection power in Wh per slot, three draws in [0, 1)."""

    channel: int
    limit_wh: float
    where: float
    size: float
    variant: float

    def run(self, slots: int, shortest: int, longest: int) -> range:
        """Return a run of slots whose length lies between the two, anywhere in the day."""
        length = shortest + int(self.size * (longest - shortest + 1))
        start = int(self.where * (slots - length + 1))
        return range(start, start + length)

    def slot(self, slots: int) -> int:
        """Return one slot of the day."""
        return int(self.where * slots)
