"""The audit of a table's rows before they are published.

Belongs here: running the pandera schemas and summing up what they found, in numbers and examples. Does not belong
here: what a schema demands (``schemas/``) and how Dagster shows it (``results.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from metrify_assets.errors import MetrifyError
from metrify_assets.schemas.table import Table

if TYPE_CHECKING:
    from pandera.errors import SchemaErrors

EXAMPLES = 5


class AuditError(MetrifyError):
    """A day's rows break their table's structure: the day must not be published."""


@dataclass
class Finding:
    """What one check of a schema found: how many rows fail it, and the first few of them."""

    check: str
    count: int
    examples: list[str] = field(default_factory=list)


@dataclass
class Audit:
    """Result of a table's two schemas on some rows.

    Attributes
    ----------
    rows : int
        Rows looked at.
    structure, plausibility : list of Finding
        Empty where all rows pass.
    """

    rows: int = 0
    structure: list[Finding] = field(default_factory=list)
    plausibility: list[Finding] = field(default_factory=list)

    def as_numbers(self) -> dict[str, Any]:
        """Return the audit as a manifest stores it."""
        return asdict(self)

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any]) -> Audit:
        """Return the audit that ``as_numbers`` made."""
        return cls(
            numbers["rows"],
            [Finding(**finding) for finding in numbers["structure"]],
            [Finding(**finding) for finding in numbers["plausibility"]],
        )

    @classmethod
    def merged(cls, audits: Iterable[Audit]) -> Audit:
        """Return the sum of several audits of one table."""
        total = cls()
        for audit in audits:
            total.rows += audit.rows
            for mine, theirs in ((total.structure, audit.structure), (total.plausibility, audit.plausibility)):
                for finding in theirs:
                    same = next((other for other in mine if other.check == finding.check), None)
                    if same is None:
                        mine.append(Finding(finding.check, finding.count, list(finding.examples)))
                    else:
                        same.count += finding.count
                        same.examples = [*same.examples, *finding.examples][:EXAMPLES]
        return total

    def require_structure(self, what: str) -> None:
        """Raise ``AuditError`` if the structure is broken."""
        if self.structure:
            worst = self.structure[0]
            raise AuditError(
                f"{what} is not published: {worst.count} rows fail {worst.check}, e.g. {worst.examples[:1]}"
            )


def audit(table: Table, data: pa.Table) -> Audit:
    """Run both schemas of a table on rows."""
    # pandera and pandas take over a second to import, which loading the code location must not pay.
    from pandera.errors import SchemaErrors

    from metrify_assets.schemas.pandera_models import to_frame

    frame = to_frame(table, data)
    result = Audit(rows=len(frame))
    for schema, findings in ((table.structure, result.structure), (table.plausibility, result.plausibility)):
        if not schema.columns and not schema.checks:
            continue
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as error:
            findings.extend(_findings(error, frame, table))
    return result


def _findings(error: SchemaErrors, frame: Any, table: Table) -> list[Finding]:
    cases = error.failure_cases
    # A check of the whole frame is reported once per column: it is one finding on its rows.
    whole_frame = (cases["schema_context"] != "Column") | ~cases["column"].isin(frame.columns)
    names = (
        cases["check"].astype(str).where(whole_frame, cases["column"].astype(str) + ": " + cases["check"].astype(str))
    )
    findings = []
    for name, group in cases.groupby(names, sort=False):
        rows = group["index"].dropna().astype(int).unique()
        column = None if whole_frame[group.index[0]] else group["column"].iloc[0]
        examples = [_example(frame, table, row, column) for row in rows[:EXAMPLES]]
        findings.append(Finding(str(name), max(len(rows), 1), examples))
    return findings


def _example(frame: Any, table: Table, row: int, column: str | None) -> str:
    names = [*table.key, *([column] if column and column not in table.key else [])]
    return ", ".join(f"{name}={frame.at[row, name]}" for name in names if name in frame.columns)
