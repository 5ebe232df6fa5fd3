"""Energy drift: what clean intervals add up to against what the register counted.

Belongs here: periods between the reads that are right, and their sums. The simulated counters are exact, so that what a
register counted is the true energy, roll-over and exchange included. Does not belong here: the platform's own brackets
(``vee/brackets.py``), which are what is checked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from metrify_assets.scoring.estimates import OWN_METHODS
from metrify_assets.scoring.run import Evidence
from metrify_assets.simulator.counters import REGISTER_OBIS
from metrify_assets.simulator.delivery import FaultKind
from metrify_assets.simulator.population import IMPORT_OBIS
from metrify_assets.vee.codes import Flag, Method


@dataclass(frozen=True)
class Drift:
    """Sums over all periods between two reads.

    Attributes
    ----------
    scaled : int
        Periods with scaled estimates.
    refused : int
        Periods that were flagged because scaling makes no sense there.
    unscaled : int
        Periods with estimates that are neither scaled nor refused, or with missing slots.
    drifting : int
        Scaled periods whose sum is not the register difference.
    largest_micro_kwh : int
        Largest deviation of a scaled period.
    """

    scaled: int
    refused: int
    unscaled: int
    drifting: int
    largest_micro_kwh: int


def energy_drift(evidence: Evidence) -> Drift:
    """Compare every period between two neighbouring reads that are right."""
    axes, observed = evidence.axes, evidence.final.observed
    wrong = {(row["point_id"], row["interval_start"]) for row in evidence.labels.rows(FaultKind.REGISTER_DECREASE)}
    reads: dict[str, list[int]] = defaultdict(list)
    for row in evidence.final.reads.select(["point_id", "obis_code", "read_at"]).to_pylist():
        if row["obis_code"] == REGISTER_OBIS and (row["point_id"], row["read_at"]) not in wrong:
            instant = pa.scalar(row["read_at"], pa.timestamp("us", "UTC")).cast(pa.int64()).as_py()
            reads[row["point_id"]].append(int(np.searchsorted(axes.starts, instant)))
    scaled = refused = unscaled = drifting = largest = 0
    for point, slots in reads.items():
        row = axes.row[point, IMPORT_OBIS]
        for first, end in pairwise(sorted(slots)):
            span = slice(first, end)
            methods = set(observed.method[row, span].tolist())
            if str(Method.REGISTER_SCALED) in methods:
                deviation = abs(int(observed.value[row, span].sum()) - int(evidence.truth[row, span].sum()))
                scaled += 1
                drifting += deviation != 0
                largest = max(largest, deviation)
            elif (observed.flags[row, span] & np.int32(Flag.SCALE_REFUSED)).any():
                refused += 1
            elif methods & set(map(str, OWN_METHODS)) or not observed.has_value[row, span].all():
                unscaled += 1
    return Drift(scaled, refused, unscaled, drifting, largest)
