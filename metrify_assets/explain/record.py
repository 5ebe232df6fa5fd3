"""The explanation of a point's day as plain data: what ``metrify explain --json`` prints.

Belongs here: the shape, and nothing else. Energy is ``Decimal`` kWh with six places (a string in JSON, so that it stays
exact), instants are ISO 8601 in UTC, local times say the pass of the repeated hour as ``02:15a`` and ``02:15b``. What
is unknown is null; nothing is NaN. Names never change their meaning; new ones may be added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

Numbers = Mapping[str, Any]
"""Figures by name, with the unit in the name."""


@dataclass(frozen=True)
class DropNote:
    """A file that values came with.

    Attributes
    ----------
    label : str
        ``#1``, ``#2`` ... in order of arrival: what the text refers to.
    feed, drop_id, name : str
    received_at, ingested_at : str
        When it arrived, and when it was read.
    state : str
        ``active``, ``replaced`` (by a later file of the same name) or ``withdrawn``.
    withdrawn_because : str or None
    values : int
        Values of the point and day in it.
    quarantined_rows : int
        Rows of the whole file that could not be read.
    """

    label: str
    feed: str
    drop_id: str
    name: str
    received_at: str
    ingested_at: str
    state: str
    withdrawn_because: str | None
    values: int
    quarantined_rows: int


@dataclass(frozen=True)
class Delivery:
    """One value as a sender delivered it.

    Attributes
    ----------
    drop : str
        Label of the drop.
    feed, drop_id, name, received_at
        As in ``DropNote``.
    row_number : int
        Data row in its file, from 1.
    obis_code : str
    kind : str
        ``interval`` or ``register`` (the state of a counter).
    start : str
        Start of the interval, or instant of the read, as it was stamped (UTC).
    minutes : int
        Length of the interval; cadence of register reads.
    value : Decimal or None
        As delivered, in ``unit``; None = blank.
    unit : str
    kwh : Decimal or None
        The same as energy, or as state of the counter before the multiplier.
    source_status : str
        ``measured``, ``substitute``, ``provisional``, ``missing`` or ``edited``.
    author, remark : str or None
        Of an edit.
    role : str
        ``chosen``; ``part`` of a sum; ``identical`` to the chosen one; ``superseded`` by it; ``impossible`` (it would
        be chosen, but it cannot be, and another one can); ``unused`` (finer than the slot, but not all parts of it
        came, or the slot is made of others); ``off_grid`` (fits no slot, coarser values included); ``wrong_unit``;
        ``unassigned`` (no registry entry); ``replaced`` or ``withdrawn`` with its file; ``read`` (a register read).
    because : str or None
        Why it is not used, where its role and arrival alone do not say it.
    """

    drop: str
    feed: str
    drop_id: str
    name: str
    received_at: str
    row_number: int
    obis_code: str
    kind: str
    start: str
    minutes: int
    value: Decimal | None
    unit: str
    kwh: Decimal | None
    source_status: str
    author: str | None
    remark: str | None
    role: str
    because: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What was delivered, wherever it came from."""
        return (
            self.obis_code,
            self.start,
            self.minutes,
            self.value,
            self.unit,
            self.source_status,
            self.author,
            self.remark,
        )


@dataclass(frozen=True)
class Finding:
    """What a rule found on a slot or on the whole day.

    Attributes
    ----------
    rule : str
    severity : str
        What a finding of the rule does under the rule set of the day.
    text : str
        What was compared with what, with units.
    numbers : mapping
        The same as figures.
    """

    rule: str
    severity: str
    text: str
    numbers: Numbers


@dataclass(frozen=True)
class Source:
    """A value that an estimate rests on."""

    day: date
    local: str
    kwh: Decimal


@dataclass(frozen=True)
class Estimate:
    """How a value that was not measured came about.

    Attributes
    ----------
    method : str
        The method that ran; where the value was scaled to a register, the one before scaling.
    kwh : Decimal or None
        Its value, before scaling; None where no method applied.
    text : str
    sources : tuple of Source
        Values of the mean, or the edges of the line.
    bracket : int or None
        Number of the register bracket that it was scaled to.
    """

    method: str | None
    kwh: Decimal | None
    text: str
    sources: tuple[Source, ...] = ()
    bracket: int | None = None


@dataclass(frozen=True)
class Result:
    """A clean row.

    Attributes
    ----------
    low_kwh, high_kwh, variance_kwh2 : Decimal or None
        Interval of an estimate, 10 to 90 %, and its share in the variance of its gap; None where measured or not known.
        Results that differ in nothing else are equal: the value is the same.
    """

    value_kwh: Decimal | None
    status: str
    method: str | None
    reason: str | None
    flags: tuple[str, ...]
    scaled_method: str | None = field(default=None, compare=False)
    """Method of what was scaled to a register. Days published by older releases lack it: it makes no difference."""
    low_kwh: Decimal | None = field(default=None, compare=False)
    high_kwh: Decimal | None = field(default=None, compare=False)
    variance_kwh2: Decimal | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Slot:
    """One slot of the day.

    Attributes
    ----------
    number : int
        From 0.
    local : str
        Local start, such as ``02:15`` or, in the repeated hour, ``02:15a`` and ``02:15b``.
    start : str
        UTC.
    delivered_kwh : Decimal or None
        The chosen version.
    refused : bool
        Whether it may not stand.
    deliveries : tuple of Delivery
        Every version, in order of arrival.
    findings : tuple of Finding
    estimate : Estimate or None
    result : Result
        What stands: the computation, or in a closed billing period the row as it was closed.
    published : Result or None
        The published row, where it differs because the day waits to be computed.
    correction : Result or None
        In a closed period: what the computation of today gives, where it differs from what stands.
    """

    number: int
    local: str
    start: str
    delivered_kwh: Decimal | None
    refused: bool
    deliveries: tuple[Delivery, ...]
    findings: tuple[Finding, ...]
    estimate: Estimate | None
    result: Result
    published: Result | None
    correction: Result | None

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to explain: measured, no other value delivered, no finding but repeats."""
        settled = self.published is None and self.correction is None
        quiet = settled and all(finding.rule == "duplicate" for finding in self.findings)
        return quiet and self.is_delivered_alike and self.result.status == "measured"

    @property
    def is_delivered_alike(self) -> bool:
        """Whether it was delivered once at most, or each time with the same value and status, and every time counts."""
        counts = all(delivery.role in ("chosen", "identical") for delivery in self.deliveries)
        return len(self.deliveries) <= 1 or (counts and len({delivery.content for delivery in self.deliveries}) == 1)


@dataclass(frozen=True)
class RegisterRead:
    """The state of a counter at one end of a bracket; ``kwh`` is before the multiplier, None where it is not known."""

    at: str
    local: str
    kwh: Decimal | None


@dataclass(frozen=True)
class Bracket:
    """A period between two reads of a register that touches the day.

    Attributes
    ----------
    number : int
        From 1.
    register : str
        OBIS code.
    opening, closing : RegisterRead
    first_slot, end_slot : int
        Slots of the day in it: ``first_slot`` to ``end_slot - 1``.
    register_kwh : Decimal
        What the register counted.
    actual_kwh, estimated_kwh : Decimal
        Sum of the values in the bracket that are not own estimates, and of those that are, before scaling.
    estimates, missing : int
        Slots of the bracket with an own estimate, and without any value.
    tolerance_kwh : Decimal
    scale : float or None
        Factor on the estimates; None where nothing was scaled.
    outcome : str
        ``scaled``, ``scale_refused``, ``sum_fits``, ``sum_differs``, ``incomplete`` (slots without a value),
        ``register_decreases`` or ``unused`` (the rules do not scale, or do not check).
    text : str
    """

    number: int
    register: str
    opening: RegisterRead
    closing: RegisterRead
    first_slot: int
    end_slot: int
    register_kwh: Decimal
    actual_kwh: Decimal
    estimated_kwh: Decimal
    estimates: int
    missing: int
    tolerance_kwh: Decimal
    scale: float | None
    outcome: str
    text: str


@dataclass(frozen=True)
class LikeDayNote:
    """A like day that was looked at, and why it counts or not."""

    day: date
    eligible: bool
    text: str


@dataclass(frozen=True)
class Published:
    """The published day against the computation.

    Attributes
    ----------
    state : str
        ``current``; ``waiting`` (to be computed again, without a change to this channel); ``would_change``; ``absent``;
        ``closed`` (the values as closed stand). As of a past instant it is today's published day that is compared.
    written_at : str or None
    changed_slots : int
        Slots with ``published`` or ``correction``.
    energy_kwh : Decimal or None
        Of the published rows.
    text : str
    """

    state: str
    written_at: str | None
    changed_slots: int
    energy_kwh: Decimal | None
    text: str


@dataclass(frozen=True)
class Summary:
    """What a channel's day adds up to; energy is the sum of the values that are there.

    ``low_kwh`` and ``high_kwh`` are its interval, 10 to 90 %: None where an estimate has none, or nothing is estimated.
    """

    slots: int
    energy_kwh: Decimal
    delivered_kwh: Decimal
    by_status: Mapping[str, int]
    energy_by_status: Mapping[str, Decimal]
    by_method: Mapping[str, int]
    by_rule: Mapping[str, int]
    low_kwh: Decimal | None = None
    high_kwh: Decimal | None = None


@dataclass(frozen=True)
class Channel:
    """One channel of the point on the day.

    Attributes
    ----------
    obis_code : str
    interval_minutes : int
    registry : mapping
        The registry entry that holds, with its validity and where it came from.
    register : mapping or None
        The counter's entry, if there is one.
    summary : Summary
    published : Published
    day_findings : tuple of Finding
        Rules that look at the whole day.
    slots : tuple of Slot
    brackets : tuple of Bracket
    similar_days : tuple of LikeDayNote
        Days of the weighted mean, the one with the largest share first; empty where none was needed.
    like_days : tuple of LikeDayNote
        Empty where no like day was needed.
    like_day_level : str or None
        By what their means are multiplied, and why.
    reads : tuple of Delivery
        Register reads of the day that belong to the channel, and those at the day's end.
    elsewhere : tuple of Delivery
        Deliveries that fit no slot.
    """

    obis_code: str
    interval_minutes: int
    registry: Mapping[str, Any]
    register: Mapping[str, Any] | None
    summary: Summary
    published: Published
    day_findings: tuple[Finding, ...]
    slots: tuple[Slot, ...]
    brackets: tuple[Bracket, ...]
    similar_days: tuple[LikeDayNote, ...]
    like_days: tuple[LikeDayNote, ...]
    like_day_level: str | None
    reads: tuple[Delivery, ...]
    elsewhere: tuple[Delivery, ...]


@dataclass(frozen=True)
class Explanation:
    """A point's day.

    Attributes
    ----------
    point_id : str
    day : date
    timezone : str
    starts_at, ends_at : str
        The day's first instant, and the next day's.
    known_at : str or None
        The instant as of which it was worked out; None = now.
    rule_set : mapping
        ``version`` and ``digest`` of the edition that holds on the day.
    operator : mapping or None
    meters : tuple of mapping
        Devices that served the point on the day.
    outages : tuple of mapping
        Declared outages that touch the day.
    drops : tuple of DropNote
    channels : tuple of Channel
    unassigned : tuple of Delivery
        Values of the point in channels that no registry entry knows.
    """

    point_id: str
    day: date
    timezone: str
    starts_at: str
    ends_at: str
    known_at: str | None
    rule_set: Mapping[str, str]
    operator: Mapping[str, Any] | None
    meters: tuple[Mapping[str, Any], ...]
    outages: tuple[Mapping[str, Any], ...]
    drops: tuple[DropNote, ...]
    channels: tuple[Channel, ...]
    unassigned: tuple[Delivery, ...]

    def as_record(self) -> dict[str, Any]:
        """Return the explanation as nested dictionaries and lists; dates as ISO text, energy as decimal text."""
        record: dict[str, Any] = _plain(asdict(self))
        return record


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    return value.isoformat() if isinstance(value, date) else value
