"""The explanation of a point's day, gathered from the platform.

Belongs here: which channels, what the registry says, and the slots put together. What is shown was computed by the
functions that compute the day (``days/validated.py``, ``days/estimation.py``, ``days/as_known.py``); where the
published day differs, both are shown. Does not belong here: rendering (``text.py``, ``plot.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.days.clean import clean_rows
from metrify_assets.days.estimation import CleanShards
from metrify_assets.days.register_reads import register_of
from metrify_assets.errors import ExplainError
from metrify_assets.explain.basis import CurrentPoint, PastPoint, PointDays
from metrify_assets.explain.brackets import brackets_of, instant_of
from metrify_assets.explain.deliveries import PointRows, placed, register_reads, rows_of_point
from metrify_assets.explain.estimates import Estimates
from metrify_assets.explain.findings import Evidence, day_findings, slot_findings
from metrify_assets.explain.intervals import interval_of_sum
from metrify_assets.explain.published_state import PublishedState, read_published_state, result_of
from metrify_assets.explain.record import Channel, Explanation, Finding, Slot, Summary
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import instant, kwh
from metrify_assets.platform import Platform
from metrify_assets.registry.points import Registry
from metrify_assets.registry.validity import validity
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay, day_number
from metrify_assets.vee.grid import CHECK_REGISTER


def explain(
    platform: Platform, point: str, day: date, *, obis_code: str | None = None, known_at: int | None = None
) -> Explanation:
    """Return why a point's day is what it is.

    Parameters
    ----------
    platform : Platform
    point : str
    day : date
    obis_code : str, optional
        One channel; all of them if omitted.
    known_at : int, optional
        UTC microseconds: as it was known then, under the rules of then; now if omitted.

    Raises
    ------
    ExplainError
        If the point or channel is unknown or not valid on the day, or nothing was delivered for the day.
    LakeError
        If a file of the lake is missing or damaged.
    """
    basis = CurrentPoint(platform, point) if known_at is None else PastPoint(platform, known_at, point)
    codes = _channels(basis, day, obis_code)
    if not basis.delivered(day):
        raise ExplainError(
            f"nothing was delivered for {day}"
            + (f" by {instant(known_at)}" if known_at is not None else "")
            + ": see `metrify drop list` for what has arrived"
        )
    rows = rows_of_point(basis, DeliveryDay(day, platform.settings.timezone))
    return explained(basis, day, codes, rows, read_published_state(basis, day), known_at)


def explained(
    basis: PointDays,
    day: date,
    codes: Container[str],
    rows: PointRows,
    published_state: PublishedState,
    known_at: int | None = None,
) -> Explanation:
    """Return why a point's day is what it is, from what the day is worked out from.

    Parameters
    ----------
    basis : PointDays
    day : date
    codes : container of str
        Channels to explain; those without slots on the day are left out.
    rows : PointRows
        What was delivered for the day.
    published_state : PublishedState
        What the computation is compared with.
    known_at : int, optional
        Instant that ``basis`` is of, UTC microseconds; now if omitted.
    """
    shards = CleanShards(basis, basis)
    delivery_day = DeliveryDay(day, basis.registry.zone)
    estimated = shards.estimate(day, basis.shard).grids
    cleaned, _ = shards.clean(day, basis.shard)
    validated = basis.validated(day, basis.shard)
    series = validated.series
    channels = {}
    for (keys, _, before), (_, _, after) in zip(estimated, cleaned.grids, strict=True):
        for row, (_, code) in enumerate(keys):
            if code in codes:
                place = series.obis_code.tolist().index(code)
                series_day = SeriesDay(basis, shards, delivery_day, keys, row, series, place, before, after.grid)
                channels[code] = _channel(series_day, rows, published_state, clean_rows(day, keys, after.grid))
    rules = basis.rules_on(day)
    tables = basis.registry.tables
    operators = {channels[code].registry.get("operator_id") for code in channels}
    return Explanation(
        point_id=basis.point,
        day=day,
        timezone=basis.registry.zone,
        starts_at=instant(delivery_day.start),
        ends_at=instant(delivery_day.end),
        known_at=instant(known_at) if known_at is not None else None,
        rule_set={"version": rules.version, "digest": rules.digest},
        operator=next((row for row in _valid(tables["operators"], day) if row["operator_id"] in operators), None),
        meters=tuple(_valid(tables["meters"], day)),
        outages=tuple(_valid(tables["outages"], day)),
        drops=rows.drops,
        channels=tuple(channels[code] for code in sorted(channels)),
        unassigned=tuple(series_day for series_day in rows.others if series_day.role == "unassigned"),
    )


def _channels(basis: PointDays, day: date, obis_code: str | None) -> set[str]:
    """Return the channels to explain; raise ``ExplainError`` with what to do if there is none."""
    point = basis.point
    points = basis.registry.tables["points"]
    if points.num_rows == 0:
        raise ExplainError(_unknown(basis.whole_registry, point))
    series = basis.registry.series(day, basis.shard)
    with_slots = series.interval_minutes != CHECK_REGISTER
    codes = set(series.obis_code[with_slots].tolist())
    if not codes:
        spans = sorted({_validity_words(row) for row in points.to_pylist()})
        raise ExplainError(f"point {point!r} is not registered on {day}, but {', '.join(spans)}: choose a day in there")
    if obis_code is None:
        return codes
    if obis_code not in codes:
        if obis_code in set(series.obis_code[~with_slots].tolist()):
            raise ExplainError(
                f"{obis_code} is a register without intervals of its own: its reads are shown with its channel, "
                f"one of {', '.join(sorted(codes))}"
            )
        raise ExplainError(f"point {point!r} has no channel {obis_code!r} on {day}: use {', '.join(sorted(codes))}")
    return {obis_code}


def _unknown(registry: Registry, point: str) -> str:
    points = registry.tables["points"]["point_id"]
    if len(points) == 0:
        return "no point is registered yet: land a file with the feed registry_points"
    names = pc.unique(points).to_pylist()
    close = get_close_matches(point, names, n=3, cutoff=0.8) if len(names) <= 100_000 else []
    hint = f"did you mean {' or '.join(close)}?" if close else "write it as the registry feed does"
    return f"no registry knows point {point!r}: {hint}"


def _validity_words(row: Mapping[str, Any]) -> str:
    end = f"until before {row['valid_to']}" if row["valid_to"] else "with no end"
    return f"from {row['valid_from']} {end}"


def _valid(rows: pa.Table, day: date) -> list[dict[str, Any]]:
    """Return the registry rows that hold on a day, without what is null."""
    start, end = validity(rows)
    chosen = rows.filter(pa.array((start <= day_number(day)) & (day_number(day) < end)))
    return [_entry(row) for row in chosen.to_pylist()]


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    entry = {}
    for name, value in row.items():
        if value is not None and value == value:
            entry[name] = instant(instant_of(value)) if name in ("received_at", "starts_at", "ends_at") else value
    return entry


def _registered(rows: pa.Table, day: date, code: str) -> dict[str, Any] | None:
    """Return the registry row of a channel that counts on a day: of several, the one that starts last."""
    registered = [row for row in _valid(rows, day) if row["obis_code"] == code]
    return max(registered, key=lambda row: row["valid_from"]) if registered else None


def _channel(channel: SeriesDay, rows: PointRows, published_state: PublishedState, computed: pa.Table) -> Channel:
    code, day = channel.obis_code, channel.day
    where = placed(channel, rows)
    brackets = brackets_of(channel)
    estimates = Estimates(channel, brackets)
    ours = computed.filter(pc.equal(computed["obis_code"], code)).to_pylist()
    results = [result_of(row) for row in ours]
    results_by_slot, published, corrections, state = published_state.of_channel(code, results)
    slots = []
    for slot, start in enumerate(channel.validated.starts.tolist()):
        deliveries = tuple(where.by_slot.get(slot, ()))
        evidence = Evidence(channel, slot, deliveries, where.other_minutes.get(slot, ()), brackets)
        has_value = bool(channel.validated.has_value[channel.row, slot])
        slots.append(
            Slot(
                number=slot,
                local=channel.local[slot],
                start=instant(start),
                delivered_kwh=kwh(channel.delivered[slot]) if has_value else None,
                refused=bool(channel.flags[slot] & Flag.REFUSED),
                deliveries=deliveries,
                findings=slot_findings(evidence),
                estimate=estimates.of_slot(slot, deliveries),
                result=results_by_slot[slot],
                published=published[slot],
                correction=corrections[slot],
            )
        )
    tables = channel.basis.registry.tables
    register = register_of(code)
    registers = {code} if register is None else {code, register}
    return Channel(
        obis_code=code,
        interval_minutes=channel.minutes,
        registry=_registered(tables["points"], day.day, code) or {},
        register=_registered(tables["registers"], day.day, code),
        summary=_summary(code, slots, day_findings(channel)),
        published=state,
        day_findings=day_findings(channel),
        slots=tuple(slots),
        brackets=brackets,
        similar_days=estimates.similar_day_notes(),
        like_days=estimates.like_day_notes(),
        like_day_level=estimates.like_day_level(),
        reads=register_reads(rows, registers),
        elsewhere=tuple(where.elsewhere),
    )


def _summary(obis_code: str, slots: Sequence[Slot], whole_day: Sequence[Finding]) -> Summary:
    by_status: Counter[str] = Counter(slot.result.status for slot in slots)
    energy: dict[str, Any] = {}
    for slot in slots:
        if slot.result.value_kwh is not None:
            energy[slot.result.status] = energy.get(slot.result.status, kwh(0)) + slot.result.value_kwh
    low, high = interval_of_sum([slot.result for slot in slots], obis_code) or (None, None)
    return Summary(
        slots=len(slots),
        energy_kwh=sum(energy.values(), kwh(0)),
        delivered_kwh=sum((slot.delivered_kwh for slot in slots if slot.delivered_kwh is not None), kwh(0)),
        by_status=dict(by_status),
        energy_by_status=energy,
        by_method=dict(Counter(slot.result.method for slot in slots if slot.result.method)),
        by_rule=dict(
            Counter(finding.rule for slot in slots for finding in slot.findings)
            + Counter(finding.rule for finding in whole_day)
        ),
        low_kwh=low,
        high_kwh=high,
    )
