"""What all commands share: the platform of the environment, days and files as people name them, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from metrify_assets.clock import instant
from metrify_assets.errors import DropError, OutputError
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    from metrify_assets.platform import Platform

with_logs = click.option("--verbose", is_flag=True, help="Show the logs of the run instead of its steps.")
as_json = click.option("--json", "to_json", is_flag=True, help="Print a machine-readable result.")


def platform_of_environment() -> Platform:
    """Return the platform that the environment names."""
    from metrify_assets.platform import Platform

    return Platform(Settings.from_env())


def print_json(record: Any) -> None:
    """Print a record; dates and the like as text."""
    click.echo(json.dumps(record, indent=2, default=str, sort_keys=True))


def aligned(lines: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return lines of texts with their columns side by side; those whose numbers are in ``right`` end at the right."""
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    placed = [
        [text.rjust(width) if number in right else text.ljust(width) for number, (text, width) in enumerate(pairs)]
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]
    return ["  ".join(texts).rstrip() for texts in placed]


def stamp(microseconds: int) -> str:
    """Return an instant as text."""
    return instant(microseconds).isoformat(timespec="seconds")


def require_folder_of(path: Path) -> None:
    """Raise ``OutputError`` unless a file can lie there: better before the work than after it."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"{folder} is no folder: make it first, or name another file")


def day_of(text: str) -> date:
    """Return the day that a text names; raise ``DropError`` that says how to write one."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DropError(f"{text!r} is no day: write it as 2026-03-29") from error


def instant_of(text: str, zone: str) -> datetime:
    """Return the instant that a text names; without an offset it is wall-clock time of ``zone``.

    Raises
    ------
    DropError
        If it is no instant, or names two or none on a day on which the clocks change.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DropError(f"{text!r} is no instant: write it as 2026-03-29T14:15 or 2026-03-29T14:15+02:00") from error
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    candidates = {moment.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    meant = {
        candidate for candidate in candidates if candidate.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment
    }
    if len(meant) != 1:
        if not meant:
            raise DropError(f"{text} never happens in {zone}, the clocks skip it: write another time")
        raise DropError(f"{text} happens twice in {zone}: write it with its offset, such as {text}+02:00")
    return meant.pop()
