"""What a file would become, without landing it.

Belongs here: reading a file as its feed would, and what a person should know before it is delivered. Does not belong
here: how slots are counted (``feeds/rows/coverage.py``, ``feeds/rows/contradictions.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from metrify_assets.clock import Clock, instant
from metrify_assets.drops.inbox import name_problem
from metrify_assets.errors import DropError, escaped
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.archives import members
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.files import last_lines
from metrify_assets.feeds.model import UNIX_FACTORS, DelimitedValues, Feed, FeedKind, MeasuredFeed, StreamFeed
from metrify_assets.feeds.reader import ReadReport, read_drop
from metrify_assets.feeds.rows.batch import Batch
from metrify_assets.feeds.rows.coverage import Coverage, CoverageWatch
from metrify_assets.landing.setup import planned
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings

SHOWN_EXAMPLES = 5
ANOTHER_ZONE = "Etc/GMT-9"
"""A zone that no feed declares: stamps that it moves have no offset of their own."""
_NUMBER_AT_END = re.compile(rb"[0-9]+(?:[.,]([0-9]*))?$")
_STARTS = {
    FeedKind.READINGS: "interval_start",
    FeedKind.GRID_STATUS: "interval_start",
    FeedKind.WEATHER: "observed_at",
    FeedKind.POWER_QUALITY: "interval_start",
}


@dataclass
class Unknown:
    """What no registry of the installation knows: its values would wait in ``raw_readings`` until one does.

    Attributes
    ----------
    of : int
        Points (stations) in the file.
    unknown : int
    examples : list of str
    """

    of: int
    unknown: int
    examples: list[str]


@dataclass
class Preview:
    """Counts, what stands out, and the first rows of what would be read and of what would be rejected.

    Attributes
    ----------
    warnings : list of str
        What a person should look at although the file can be read, the gravest first.
    name_problem : str or None
        Why the file would not be delivered under its name.
    """

    feed: Feed
    zone: str
    counts: dict[str, int] = field(default_factory=dict)
    days: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    coverage: Coverage | None = None
    unknown: Unknown | None = None
    warnings: list[str] = field(default_factory=list)
    name_problem: str | None = None

    def as_record(self) -> dict[str, Any]:
        """Return the preview as plain values, for JSON."""
        return {
            **self.counts,
            "days": self.days,
            "reasons": self.reasons,
            "first": self.rows,
            "rejected": self.rejected,
            "coverage": None if self.coverage is None else self._coverage_record(self.coverage),
            "unknown_points": None if self.unknown is None else asdict(self.unknown),
            "warnings": self.warnings,
            "name_problem": self.name_problem,
        }

    def _coverage_record(self, coverage: Coverage) -> dict[str, Any]:
        gaps = [
            {"series": list(gap.series), "start": self._at(gap.start), "end": self._at(gap.end), "slots": gap.slots}
            for gap in coverage.gaps
        ]
        return {
            "first": None if coverage.first is None else self._at(coverage.first),
            "end": None if coverage.end is None else self._at(coverage.end),
            "series": coverage.series,
            "series_looked_at": coverage.series_looked_at,
            "whole_days": {str(slots): days for slots, days in sorted(coverage.whole_days.items())},
            "days_in_part": coverage.days_in_part,
            "missing_slots": coverage.missing_slots,
            "longest_gaps": gaps,
            "broken_changes": coverage.broken_changes,
        }

    def as_text(self) -> str:
        """Return the preview for people, what stands out first."""
        counts = self.counts
        span = f" of {len(self.days)} days, {self.days[0]} to {self.days[-1]}" if self.days else ""
        lines = [f"WARNING: {warning}" for warning in self.warnings]
        lines += [
            f"{counts['rows']} rows, {counts['delivered_values']} values: {counts['raw_values']} would be read{span}, "
            f"{counts['quarantined_values']} quarantined"
        ]
        lines += [f"  {reason}: {count} rows" for reason, count in self.reasons.items()]
        lines += self._coverage_lines(self.coverage) if self.coverage is not None else []
        lines += ["would be read:"] if self.rows else []
        lines += [f"  {_line(row)}" for row in self.rows]
        lines += ["would be quarantined:"] if self.rejected else []
        lines += [
            f"  {_place(row)}: {row['reason']}: {row['detail']}: {row['payload'][:120]!r}" for row in self.rejected
        ]
        return "\n".join(escaped(line) for line in lines)

    def _coverage_lines(self, coverage: Coverage) -> list[str]:
        if coverage.first is None or coverage.end is None:
            return []
        is_whole = coverage.series_looked_at == coverage.series
        looked_at = "" if is_whole else f" (days and gaps of {coverage.series_looked_at})"
        whole = ", ".join(f"{days} of {slots} slots" for slots, days in sorted(coverage.whole_days.items()))
        lines = [f"span:   {self._at(coverage.first)} to {self._at(coverage.end)}, {coverage.series} series{looked_at}"]
        if not isinstance(self.feed, StreamFeed):
            lines.append(
                f"slots:  {self.counts['repeated_slots']} come more than once, "
                f"{self.counts['contradicting_slots']} of them with different values"
            )
        lines.append(f"days:   {whole or 'none'} whole, {coverage.days_in_part} in part")
        lines.append(f"gaps:   {coverage.missing_slots} slots missing" + (", the longest:" if coverage.gaps else ""))
        for gap in coverage.gaps:
            series = " ".join(str(part) for part in gap.series[:2])
            lines.append(f"        {self._at(gap.start)} to {self._at(gap.end)}, {gap.slots} slots of {series}")
        if self.unknown is not None:
            lines.append(f"points: {self.unknown.of}, {self.unknown.unknown} of them in no registry")
        return lines

    def _at(self, microseconds: int) -> str:
        return instant(microseconds).astimezone(ZoneInfo(self.zone)).isoformat(timespec="minutes")


def _line(row: dict[str, Any]) -> str:
    left_out = ("feed", "drop_id", "received_at", "row_number")
    return " ".join(f"{name}={value}" for name, value in row.items() if name not in left_out and value is not None)


def _place(row: dict[str, Any]) -> str:
    return f"row {row['row_number']}" if row["row_number"] else "the file as a whole"


def preview(
    platform: Platform, feed: Feed, path: Path, shown: int, registered: Callable[[str, str], set[str]]
) -> Preview:
    """Read a file as its feed would, and throw the rows away; memory is bounded whatever the size of the file.

    Parameters
    ----------
    platform : Platform
    feed : Feed
    path : Path
    shown : int
        Rows to show of each kind.
    registered : callable
        From a registry and a column of it to the values that it holds.

    Raises
    ------
    DropError
        If there is no such file.
    """
    if not path.is_file():
        raise DropError(f"{path} is no file: give the path of the file to check")
    settings = platform.settings.model_copy(update={"first_day": planned(platform)})
    report = ReadReport()
    result = Preview(feed, settings.timezone, name_problem=name_problem(feed, path.name))
    watch = CoverageWatch(feed, settings.timezone) if isinstance(feed, MeasuredFeed) else None
    days: set[date] = set()
    points: set[str] = set()
    reasons: Counter[str] = Counter()
    for batch in _batches(settings, platform.clock, feed, path, report):
        if watch is not None:
            watch.add(batch.rows)
            days.update(batch.rows["day"].unique().to_pylist())
            points.update(batch.rows[_point_column(feed)].unique().to_pylist())
        reasons.update(batch.quarantine["reason"].to_pylist())
        result.rows += batch.rows.slice(0, max(shown - len(result.rows), 0)).to_pylist()
        result.rejected += batch.quarantine.slice(0, max(shown - len(result.rejected), 0)).to_pylist()
    result.counts = report.counts | {
        "repeated_slots": report.repeated_slots,
        "contradicting_slots": report.contradicting_slots,
    }
    result.days = [str(day) for day in sorted(days)]
    result.reasons = dict(reasons.most_common())
    if watch is not None:
        result.coverage = watch.finish()
        result.unknown = _unknown(feed, points, registered)
    result.warnings = list(_warnings(settings, platform.clock, result, path))
    return result


def _batches(settings: Settings, clock: Clock, feed: Feed, path: Path, report: ReadReport) -> Iterator[Batch]:
    return read_drop(
        feed,
        path,
        name=path.name,
        drop_id="preview",
        received_at=clock.now(),
        zone=settings.timezone,
        first_day=settings.first_day,
        last_day=settings.last_day(clock.today(settings.timezone)),
        report=report,
    )


def _point_column(feed: Feed) -> str:
    columns = {
        FeedKind.READINGS: "point_id",
        FeedKind.POWER_QUALITY: "point_id",
        FeedKind.WEATHER: "station_id",
    }
    return columns.get(feed.kind, "source_id")


def _unknown(feed: Feed, points: set[str], registered: Callable[[str, str], set[str]]) -> Unknown | None:
    """Return which points of a file no registry knows; None where none is needed."""
    registries = {
        FeedKind.READINGS: ("points", "registers"),
        FeedKind.POWER_QUALITY: ("points",),
        FeedKind.WEATHER: ("weather_stations",),
    }.get(feed.kind)
    if registries is None or not points:
        return None
    unknown = sorted(points.difference(*(registered(name, _point_column(feed)) for name in registries)))
    return Unknown(len(points), len(unknown), unknown[:SHOWN_EXAMPLES])


def _warnings(settings: Settings, clock: Clock, preview: Preview, path: Path) -> Iterator[str]:
    """Yield what stands out, the gravest first."""
    feed, coverage = preview.feed, preview.coverage
    if refused := preview.counts["refused_files"]:
        files = "the file is" if refused == 1 else f"{refused} files are"
        yield f"{files} refused as a whole: see below what would be quarantined, and why"
    if preview.counts["contradicting_slots"]:
        yield (
            f"{preview.counts['contradicting_slots']} slots come with different values: check the time zone and the "
            "format of the stamp, and the column of the point, before you trust one of them"
        )
    if outside := preview.reasons.get(RejectReason.DAY_OUT_OF_RANGE):
        yield (
            f"{outside} rows lie outside of the days that are taken in, which begin with {settings.first_day}: move "
            "that day with `metrify first-day DAY`"
        )
    yield from _breaking_off(feed, path)
    if coverage is not None and coverage.broken_changes:
        shown = ", ".join(str(day) for day in coverage.broken_changes[:SHOWN_EXAMPLES])
        yield (
            f"the clocks of {settings.timezone} change on {shown}: slots are missing there while the days beside are "
            "whole; check the time zone of the stamp"
        )
    if _takes_utc_for_granted(settings, clock, feed, path):
        yield (
            "stamp.timezone is not declared, and stamps have no offset: they are taken for UTC; declare the time zone "
            f"of the sender, such as {settings.timezone}, or UTC"
        )
    if preview.unknown is not None and preview.unknown.unknown:
        yield (
            f"{preview.unknown.unknown} of {preview.unknown.of} {_point_column(feed).removesuffix('_id')}s are in no "
            f"registry ({', '.join(preview.unknown.examples)}): their values wait until a registry feed names them"
        )


def _takes_utc_for_granted(settings: Settings, clock: Clock, feed: Feed, path: Path) -> bool:
    """Return whether stamps are read as UTC only because the definition is silent."""
    if not isinstance(feed, MeasuredFeed):
        return False
    stamp = feed.stamp
    if "timezone" in stamp.model_fields_set or stamp.format in UNIX_FACTORS or "%z" in stamp.format:
        return False
    moved = feed.model_copy(update={"stamp": stamp.model_copy(update={"timezone": ANOTHER_ZONE})})
    as_declared, as_moved = (_first_starts(settings, clock, declared, path) for declared in (feed, moved))
    both = as_declared.keys() & as_moved.keys()
    return any(as_declared[row] != as_moved[row] for row in both) or (not both and bool(as_declared))


def _first_starts(settings: Settings, clock: Clock, feed: MeasuredFeed, path: Path) -> dict[int, Any]:
    """Return the starts of the first rows of a file that can be read, by row number."""
    for batch in _batches(settings, clock, feed.model_copy(update={"repeated_rows": "last"}), path, ReadReport()):
        rows = batch.rows.slice(0, 1_000)
        if rows.num_rows:
            return dict(zip(rows["row_number"].to_pylist(), rows[_STARTS[feed.kind]].to_pylist(), strict=True))
    return {}


def _breaking_off(feed: Feed, path: Path) -> Iterator[str]:
    """Yield a warning if the last line of a delimited file may end in the middle of a number."""
    if not isinstance(feed, DelimitedValues):
        return
    try:
        for member in members(path, feed.members, feed.encoding):
            problem = _broken_number(feed, last_lines(member.path))
            if problem:
                yield f"{member.name}: {problem}" if member.name else problem
    except UnreadableFile:
        # Reading the file says so.
        return


def _broken_number(feed: Feed, lines: list[bytes]) -> str | None:
    """Say why the last of some lines, which keep their line ends, may break off in a number; None if it does not."""
    if not lines or lines[-1].endswith((b"\n", b"\r")):
        return None
    last = _NUMBER_AT_END.search(lines[-1])
    if last is None:
        return None
    before = [_NUMBER_AT_END.search(line.rstrip(b"\r\n")) for line in lines[:-1]]
    decimals = {len(match.group(1) or b"") for match in before if match is not None}
    shown = last.group().decode("ascii")
    if decimals and len(last.group(1) or b"") < min(decimals):
        return (
            f"the last line breaks off in a number: it ends with {shown}, without a line end and with fewer decimals "
            "than every line before it; ask for the whole file"
        )
    return f"the last line ends with {shown} and without a line end: whether the number is whole cannot be told"
