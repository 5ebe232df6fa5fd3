"""What a file would become, without landing it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from metrify_assets.errors import DropError
from metrify_assets.feeds.model import Feed
from metrify_assets.feeds.reader import ReadReport, read_drop
from metrify_assets.ledger import now
from metrify_assets.settings import Settings


@dataclass
class Preview:
    """Counts, and the first rows of what would be read and of what would be rejected."""

    counts: dict[str, int]
    days: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """Return the preview as plain values, for JSON."""
        return {
            **self.counts,
            "days": self.days,
            "reasons": self.reasons,
            "first": self.rows,
            "rejected": self.rejected,
        }

    def as_text(self) -> str:
        """Return the preview for people."""
        counts = self.counts
        span = f" of {len(self.days)} days, {self.days[0]} to {self.days[-1]}" if self.days else ""
        lines = [
            f"{counts['rows']} rows, {counts['delivered_values']} values: {counts['raw_values']} would be read{span}, "
            f"{counts['quarantined_values']} quarantined"
        ]
        lines += [f"  {reason}: {count} rows" for reason, count in self.reasons.items()]
        lines += ["would be read:"] if self.rows else []
        lines += [f"  {_line(row)}" for row in self.rows]
        lines += ["would be quarantined:"] if self.rejected else []
        lines += [
            f"  row {r['row_number']}: {r['reason']}: {r['detail']}: {r['payload'][:120]!r}" for r in self.rejected
        ]
        return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    left_out = ("feed", "drop_id", "received_at", "row_number")
    return " ".join(f"{name}={value}" for name, value in row.items() if name not in left_out and value is not None)


def preview(settings: Settings, feed: Feed, path: Path, shown: int) -> Preview:
    """Read a file as its feed would, and throw the rows away.

    Raises
    ------
    DropError
        If there is no such file.
    """
    if not path.is_file():
        raise DropError(f"{path} is no file: give the path of the file to check")
    moment = now()
    report = ReadReport()
    found = Preview({})
    days: set[str] = set()
    reasons: Counter[str] = Counter()
    for batch in read_drop(
        feed,
        path,
        name=path.name,
        drop_id="preview",
        received_at=moment,
        zone=settings.timezone,
        first_day=settings.first_day,
        last_day=settings.last_day(datetime.fromtimestamp(moment / 1_000_000, ZoneInfo(settings.timezone)).date()),
        report=report,
    ):
        if "day" in batch.rows.column_names:
            days |= {str(day) for day in batch.rows["day"].unique().to_pylist()}
        reasons.update(batch.quarantine["reason"].to_pylist())
        found.rows += batch.rows.slice(0, max(shown - len(found.rows), 0)).to_pylist()
        found.rejected += batch.quarantine.slice(0, max(shown - len(found.rejected), 0)).to_pylist()
    found.counts = report.counts
    found.days = sorted(days)
    found.reasons = dict(reasons.most_common())
    return found
