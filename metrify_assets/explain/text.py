"""The explanation as text: for a terminal of 100 columns, a narrower one, or a file.

Belongs here: layout with rich. Does not belong here: what is said (``gather.py`` and its neighbours).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metrify_assets.errors import escaped
from metrify_assets.explain.record import Channel, Delivery, DropNote, Explanation, Result, Slot
from metrify_assets.explain.words import number

WIDTH = 100
"""Columns where the output is no terminal."""

_STATUS_STYLE = {
    "measured": "",
    "validated": "green",
    "estimated": "cyan",
    "provisional": "yellow",
    "missing": "bold red",
}
_ROLE_WORDS = {
    "chosen": "",
    "part": "part of the sum",
    "identical": "the same again",
    "superseded": "superseded",
    "impossible": "refused",
    "unused": "not used",
    "off_grid": "not used: fits no slot",
    "wrong_unit": "not used: wrong unit",
    "unassigned": "no registry entry",
    "replaced": "its file was replaced",
    "withdrawn": "its file was withdrawn",
    "read": "",
}


def console(file: Any = None) -> Console:
    """Return a console for the standard output or a file: 100 columns wide where that is no terminal."""
    made = Console(file=file, highlight=False, markup=False)
    return made if made.is_terminal else Console(file=file, highlight=False, markup=False, width=WIDTH)


def show(explanation: Explanation, out: Console, *, all_slots: bool = False) -> None:
    """Print an explanation.

    Parameters
    ----------
    explanation : Explanation
    out : rich.console.Console
    all_slots : bool
        Also the slots that are plainly measured.
    """
    _header(explanation, out)
    for channel in explanation.channels:
        out.print()
        out.rule(f"{channel.obis_code}, {channel.interval_minutes} minutes", style="dim", align="left")
        _facts(_channel_facts(channel), out)
        _slots(channel, out, all_slots)
        _brackets(channel, out)
        _similar_days(channel, out)
        _like_days(channel, out)
        _deliveries("Delivered, but in no slot", channel.elsewhere, out)
    _deliveries("Delivered for channels that no registry entry knows", explanation.unassigned, out)
    _drops(explanation.drops, out)


def _facts(facts: Iterable[tuple[str, str]], out: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        if text:
            grid.add_row(name, Text(text))
    out.print(grid)


def _header(explanation: Explanation, out: Console) -> None:
    known_at = f", as known at {explanation.known_at}" if explanation.known_at else ""
    out.print(Text(f"Point {explanation.point_id} on {explanation.day}{known_at}", style="bold"))
    operator = explanation.operator
    facts = [
        ("Day", f"{explanation.timezone}, {explanation.starts_at} to {explanation.ends_at}"),
        ("Meter", "; ".join(_meter(row) for row in explanation.meters) or "none in the registry"),
        ("Operator", f"{operator['name']} ({operator['operator_id']})" if operator else "none in the registry"),
        ("Rules", f"edition {explanation.rule_set['version']}, digest {explanation.rule_set['digest']}"),
    ]
    facts += [
        ("Outage", f"{row['starts_at']} to {row['ends_at']}" + (f", {row['cause']}" if "cause" in row else ""))
        for row in explanation.outages
    ]
    _facts(facts, out)


def _meter(row: Mapping[str, Any]) -> str:
    made = " ".join(str(row[name]) for name in ("manufacturer", "model") if name in row)
    return f"{row['meter_id']}{f' ({made})' if made else ''}, {_validity(row)}"


def _validity(row: Mapping[str, Any]) -> str:
    return f"from {row['valid_from']}" + (f" until before {row['valid_to']}" if "valid_to" in row else ", no end")


def _channel_facts(channel: Channel) -> list[tuple[str, str]]:
    entry = channel.registry
    summary = channel.summary
    described = [
        str(entry["point_class"]) if "point_class" in entry else "",
        f"connection {number(entry['connection_kw'])} kW" if "connection_kw" in entry else "connection unknown",
        f"{number(entry['annual_kwh'])} kWh/a" if "annual_kwh" in entry else "",
        f"profile {entry['load_profile']}" if "load_profile" in entry else "",
        str(entry["federal_state"]) if "federal_state" in entry else "",
        _validity(entry) if entry else "",
    ]
    statuses = [
        f"{status} {count} ({number(summary.energy_by_status[status])} kWh)"
        if status in summary.energy_by_status
        else f"{status} {count}"
        for status, count in summary.by_status.items()
    ]
    facts = [
        ("Registry", ", ".join(text for text in described if text)),
        ("Counter", _counter(channel.register) if channel.register else ""),
        ("Result", f"{number(summary.energy_kwh)} kWh in {summary.slots} slots: {', '.join(statuses)}"),
        ("Interval", _between(summary.low_kwh, summary.high_kwh, "kWh, in 80 of 100 such days")),
        ("Delivered", f"{number(summary.delivered_kwh)} kWh in chosen versions, refused ones included"),
        ("Methods", _counts(summary.by_method)),
        ("Findings", _counts(summary.by_rule) or "none"),
        ("Published", channel.published.text),
    ]
    return facts + [(finding.rule, f"{finding.severity}: {finding.text}") for finding in channel.day_findings]


def _counter(register: Mapping[str, Any]) -> str:
    words = [
        f"unit {register['unit']}" if "unit" in register else "",
        f"multiplier {number(register['multiplier'])}" if "multiplier" in register else "",
        f"{register['digits']} digits" if "digits" in register else "",
        f"step {number(register['resolution_kwh'])} kWh" if "resolution_kwh" in register else "",
        f"meter {register['meter_id']}" if "meter_id" in register else "",
    ]
    return ", ".join(word for word in words if word)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _table(title: str, columns: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, expand=True
    )
    for name, options in columns:
        table.add_column(name, **options)
    return table


def _slots(channel: Channel, out: Console, all_slots: bool) -> None:
    chosen = [slot for slot in channel.slots if all_slots or not (slot.is_plain or _is_said_by_bracket(slot))]
    others = [slot for slot in channel.slots if slot not in chosen]
    if not chosen:
        out.print(f"{_plainly(others)}; --all lists them.")
        return
    table = _table(
        f"Slots: {len(chosen)}" if all_slots else f"Slots to explain: {len(chosen)}",
        [
            ("Slot", {"no_wrap": True}),
            ("Delivered", {"ratio": 5, "overflow": "fold"}),
            ("Findings, and how the value came about", {"ratio": 8, "overflow": "fold"}),
            ("Result", {"ratio": 4, "min_width": 21, "overflow": "fold"}),
        ],
    )
    for group in _groups(chosen):
        first, last = group[0], group[-1]
        time = first.local if len(group) == 1 else f"{first.local}\nto {last.local}\n({len(group)} slots)"
        table.add_row(time, Text(_delivered(group)), Text(_explained(first)), _result(first))
    out.print(table)
    if others:
        out.print(f"{_plainly(others)}; --all lists them.")


def _is_said_by_bracket(slot: Slot) -> bool:
    """Return whether all there is to say of a slot is said of its register bracket."""
    of_bracket = all("bracket" in finding.numbers or finding.rule == "duplicate" for finding in slot.findings)
    settled = slot.published is None and slot.correction is None and slot.estimate is None
    return bool(slot.findings) and of_bracket and settled and slot.is_delivered_alike


def _plainly(slots: Sequence[Slot]) -> str:
    """Return how many slots need no explanation, and of how many a bracket says it."""
    plain = sum(slot.is_plain for slot in slots)
    words = [f"{plain} slots are plainly measured"] if plain or len(slots) == plain else []
    repeated = [len(slot.deliveries) for slot in slots if len(slot.deliveries) > 1]
    if len(slots) > plain:
        words.append(f"{len(slots) - plain} slots have no finding but that of their register bracket below")
    if repeated:
        words[-1] += f", {len(repeated)} of them delivered up to {max(repeated)} times alike"
    return "; ".join(words)


def _groups(slots: Sequence[Slot]) -> list[list[Slot]]:
    """Return the slots, with neighbours in one group of which the very same is to be said."""
    groups: list[list[Slot]] = []
    for slot in slots:
        before = groups[-1][-1] if groups else None
        if before is not None and slot.number == before.number + 1 and _sayings(slot) == _sayings(before):
            groups[-1].append(slot)
        else:
            groups.append([slot])
    return groups


def _sayings(slot: Slot) -> tuple[object, ...]:
    delivered = tuple(
        (_said(alike), *(slot.deliveries[number_].drop for number_ in numbers))
        for numbers, alike in _folded(slot.deliveries)
    )
    return delivered, _explained(slot), slot.result, slot.refused


_COUNTS = ("chosen", "part", "identical")
"""Roles of deliveries whose value is in the result; the first that one of several has is said."""


def _folded(deliveries: Sequence[Delivery]) -> list[tuple[list[int], Delivery]]:
    """Return the deliveries with those of the same content and outcome together: their numbers, and one for all.

    They are in the order of the last of each.
    """
    alike: dict[object, list[int]] = {}
    for number_, delivery in enumerate(deliveries):
        outcome = "counts" if delivery.role in _COUNTS else (delivery.role, delivery.because)
        key = (delivery.content, delivery.kind, outcome)
        alike[key] = [*alike.pop(key, ()), number_]
    folded = []
    for numbers in alike.values():
        members = [deliveries[number_] for number_ in numbers]
        role = min(
            (delivery.role for delivery in members), key=lambda role: _COUNTS.index(role) if role in _COUNTS else 0
        )
        folded.append((numbers, replace(members[-1], role=role)))
    return folded


def _delivered(group: Sequence[Slot]) -> str:
    """Return what was delivered for the slots of a group, which differs by the row of the file only."""

    def place(number_: int) -> str:
        rows = [slot.deliveries[number_].row_number for slot in group]
        words = f"row {rows[0]}" if len(set(rows)) == 1 else f"rows {min(rows)} to {max(rows)}"
        return f"{group[0].deliveries[number_].drop} {words}"

    lines = [
        _said(alike, _places([place(number_) for number_ in numbers]))
        for numbers, alike in _folded(group[0].deliveries)
    ]
    return "\n".join(lines) or "-"


def _places(places: Sequence[str]) -> str:
    if len(places) == 1:
        return f" [{places[0]}]"
    return f" [{len(places)} times: {places[0]} {'and' if len(places) == 2 else 'to'} {places[-1]}]"


def _said(delivery: Delivery, place: str = "") -> str:
    value = "blank" if delivery.value is None else f"{number(delivery.value)} {delivery.unit}"
    if delivery.kwh is not None and delivery.unit != "kWh":
        value += f" = {number(delivery.kwh)} kWh"
    words = [value]
    if delivery.source_status != "measured":
        words.append(delivery.source_status)
    if delivery.author:
        words.append(f"by {delivery.author}")
    if delivery.remark:
        words.append(f"“{delivery.remark}”")
    role = ": ".join(text for text in (_ROLE_WORDS[delivery.role], delivery.because) if text)
    return f"{', '.join(words)}{place}" + (f" {role}" if role else "")


def sentence(slot: Slot) -> str:
    """Return in one line why a slot's value is what it is: what was delivered, what was found, what came of it."""
    delivered = [f"{_said(delivery)} (row {delivery.row_number})" for delivery in slot.deliveries]
    parts = [f"delivered: {', '.join(delivered)}"] if delivered else []
    if _explained(slot):
        parts += _explained(slot).split("\n")
    return "; ".join([*parts, f"result: {_plain_result(slot.result)}"])


def _explained(slot: Slot) -> str:
    lines = [f"{finding.rule} ({finding.severity}): {finding.text}" for finding in slot.findings]
    if slot.estimate is not None:
        lines.append(slot.estimate.text)
    if slot.published is not None:
        lines.append(f"published: {_plain_result(slot.published)}")
    if slot.correction is not None:
        lines.append(f"correction pending: {_plain_result(slot.correction)}")
    return "\n".join(lines)


def _plain_result(result: Result) -> str:
    words = " ".join([_value(result.value_kwh), result.status, *_methods(result)])
    interval = _between(result.low_kwh, result.high_kwh, "kWh")
    return f"{words}, {interval}" if interval else words


def _between(low: Decimal | None, high: Decimal | None, unit: str) -> str:
    """Return an interval in words; nothing where there is none."""
    return f"between {number(low, 3)} and {number(high, 3)} {unit}" if low is not None and high is not None else ""


def _methods(result: Result) -> list[str]:
    """Return by which method, and of which one it was scaled: one text, or none."""
    if result.method is None:
        return []
    return [f"by {result.method}" + (f" of {result.scaled_method}" if result.scaled_method else "")]


def _value(value: Decimal | None) -> str:
    return "no value" if value is None else f"{number(value)} kWh"


def _result(slot: Slot) -> Text:
    result = slot.result
    text = Text(_value(result.value_kwh), style="bold")
    text.append(f"\n{result.status}", style=_STATUS_STYLE[result.status])
    for method in _methods(result):
        text.append(f" {method}", style="not bold")
    if result.low_kwh is not None and result.high_kwh is not None:
        text.append(f"\n{number(result.low_kwh, 3)} to {number(result.high_kwh, 3)}", style="not bold")
    if result.reason:
        text.append(f"\nreason {result.reason}", style="not bold")
    if slot.refused and slot.delivered_kwh is not None:
        text.append("\ndelivered value refused", style="not bold red")
    return text


def _brackets(channel: Channel, out: Console) -> None:
    if not channel.brackets:
        return
    table = _table(
        "Register brackets that touch the day",
        [
            ("No.", {"no_wrap": True}),
            ("Register", {"no_wrap": True}),
            ("From", {"ratio": 3}),
            ("To", {"ratio": 3}),
            ("Counted", {"ratio": 2}),
            ("Outcome", {"ratio": 8}),
        ],
    )
    for bracket in channel.brackets:
        ends = [
            f"{read.local}\n{number(read.kwh)} kWh" if read.kwh is not None else read.local
            for read in (bracket.opening, bracket.closing)
        ]
        words = f"{bracket.outcome}: {bracket.text}"
        table.add_row(str(bracket.number), bracket.register, *ends, f"{number(bracket.register_kwh)} kWh", Text(words))
    out.print(table)


def _similar_days(channel: Channel, out: Console) -> None:
    if channel.similar_days:
        table = _table("Similar days in the mean", [("Day", {"no_wrap": True}), ("Share", {"ratio": 1})])
        for similar_day in channel.similar_days:
            table.add_row(f"{similar_day.day} {similar_day.day:%a}", similar_day.text)
        out.print(table)


def _like_days(channel: Channel, out: Console) -> None:
    if channel.like_days:
        table = _table("Like days that were looked at", [("Day", {"no_wrap": True}), ("Eligibility", {"ratio": 1})])
        for like_day in channel.like_days:
            table.add_row(f"{like_day.day} {like_day.day:%a}", like_day.text)
        if channel.like_day_level:
            table.add_row("", channel.like_day_level)
        out.print(table)


def _deliveries(title: str, deliveries: Sequence[Delivery], out: Console) -> None:
    if not deliveries:
        return
    table = _table(title, [("Start (UTC)", {"no_wrap": True}), ("Channel", {"no_wrap": True}), ("Value", {"ratio": 1})])
    for numbers, alike in _folded(deliveries):
        rows = [f"{deliveries[number_].drop} row {deliveries[number_].row_number}" for number_ in numbers]
        table.add_row(alike.start, alike.obis_code, Text(f"{_said(alike, _places(rows))} ({alike.minutes} min)"))
    out.print(table)


def _drops(drops: Sequence[DropNote], out: Console) -> None:
    out.print()
    if not drops:
        out.print("No file holds values of the point for the day.")
        return
    table = _table(
        "Where the values came from",
        [
            ("No.", {"no_wrap": True}),
            ("File", {"ratio": 5, "overflow": "fold"}),
            ("Drop", {"ratio": 3, "overflow": "fold"}),
            ("Received (UTC)", {"no_wrap": True}),
            ("Values", {"justify": "right", "no_wrap": True}),
            ("Note", {"ratio": 3}),
        ],
    )
    for drop in drops:
        notes = [] if drop.state == "active" else [drop.state]
        if drop.withdrawn_because:
            notes.append(f"because: {drop.withdrawn_because}")
        if drop.quarantined_rows:
            notes.append(f"{drop.quarantined_rows} rows of the file were quarantined")
        received = drop.received_at.replace("T", " ").removesuffix("Z").split(".")[0]
        table.add_row(
            drop.label,
            escaped(f"{drop.feed}/{drop.name}"),
            drop.drop_id,
            received,
            str(drop.values),
            Text("; ".join(notes)),
        )
    out.print(table)
