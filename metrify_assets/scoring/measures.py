"""How a rule is scored: what it should find against what it found.

Belongs here: the comparison, slot by slot or item by item. Does not belong here: which rules there are (``rules.py``)
and where labels and findings are taken from (``findings.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from metrify_assets.scoring.run import Evidence
from metrify_assets.simulator.population import IMPORT_OBIS


@dataclass(frozen=True)
class Score:
    """How a rule did.

    Attributes
    ----------
    rule : str
    found_by : str
        What counts as found.
    unit : str
        What is counted: slots, rows, reads or files.
    injected, found, true_positives : int
    false_in : dict of str to int
        Kind of channel to findings without a label.
    missed_in : dict of str to int
        Kind of channel to labels that were not found.
    """

    rule: str
    found_by: str
    unit: str
    injected: int
    found: int
    true_positives: int
    false_in: dict[str, int]
    missed_in: dict[str, int]

    @property
    def precision(self) -> float | None:
        """Share of the findings that were injected; None without any finding."""
        return self.true_positives / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of what was injected that was found; None if nothing was."""
        return self.true_positives / self.injected if self.injected else None


@dataclass(frozen=True)
class SlotRule:
    """A rule whose findings lie on slots.

    Attributes
    ----------
    rule, found_by : str
    expected, found, neutral : callable
        From the evidence to bool planes, shape (C, T).
    """

    rule: str
    found_by: str
    expected: Callable[[Evidence], np.ndarray]
    found: Callable[[Evidence], np.ndarray]
    neutral: Callable[[Evidence], np.ndarray] | None = None

    def score(self, evidence: Evidence) -> Score:
        """Compare label and finding of every slot."""
        expected, flagged = self.expected(evidence), self.found(evidence)
        if self.neutral is not None:
            counts = ~self.neutral(evidence)
            expected, flagged = expected & counts, flagged & counts
        kinds = channel_kinds(evidence)
        return Score(
            self.rule,
            self.found_by,
            "slots",
            int(expected.sum()),
            int(flagged.sum()),
            int((expected & flagged).sum()),
            _by_kind(kinds, flagged & ~expected),
            _by_kind(kinds, expected & ~flagged),
        )


@dataclass(frozen=True)
class ItemRule:
    """A rule whose findings are rows, reads or files.

    Attributes
    ----------
    rule, found_by, unit : str
    expected, found : callable
        From the evidence to counts of items.
    """

    rule: str
    found_by: str
    unit: str
    expected: Callable[[Evidence], Counter[Hashable]]
    found: Callable[[Evidence], Counter[Hashable]]

    def score(self, evidence: Evidence) -> Score:
        """Compare the counts of every item."""
        expected, reported = self.expected(evidence), self.found(evidence)
        common = (expected & reported).total()
        return Score(self.rule, self.found_by, self.unit, expected.total(), reported.total(), common, {}, {})


def channel_kinds(evidence: Evidence) -> list[str]:
    """Return the kind of each channel: the class of its point, with the direction where it feeds in."""
    rows = evidence.simulation.registries["points"].select(["point_id", "obis_code", "point_class"]).to_pylist()
    classes = {(row["point_id"], row["obis_code"]): row["point_class"] for row in rows}
    return [classes[key] + ("" if key[1] == IMPORT_OBIS else " export") for key in evidence.axes.keys]


def _by_kind(kinds: list[str], plane: np.ndarray) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for kind, count in zip(kinds, plane.sum(axis=1).tolist(), strict=True):
        counts[kind] += count
    return {kind: count for kind, count in counts.most_common() if count}
