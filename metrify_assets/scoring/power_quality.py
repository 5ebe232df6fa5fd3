"""Faults of power quality against what the ranges find, kind by kind.

Belongs here: which clean values count as a finding of which kind. Does not belong here: rules on energy (``rules.py``),
the ranges (``schemas/power_quality.py``), and the faults (``simulator/power_quality.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.scoring.measures import ItemRule
from metrify_assets.scoring.run import Evidence
from metrify_assets.simulator.power_quality import PowerQualityFault
from metrify_assets.vee.channels import Quantity

Mask = Callable[[pa.Table], pa.ChunkedArray]


def _of_quantity(rows: pa.Table, quantity: Quantity) -> pa.ChunkedArray:
    return pc.equal(rows["quantity"], str(quantity))


def _out_of_range(rows: pa.Table) -> pa.ChunkedArray:
    return pc.equal(rows["status"], "out_of_range")


def _voltage_beyond(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_(_of_quantity(rows, Quantity.VOLTAGE), _out_of_range(rows))


def _no_voltage(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_(_voltage_beyond(rows), pc.equal(pc.cast(rows["value"], pa.float64()), 0))


def _wrong_voltage(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_not(_voltage_beyond(rows), _no_voltage(rows))


def _low_power_factor(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_(_of_quantity(rows, Quantity.POWER_FACTOR), rows["is_anomalous"])


def _labelled(kind: PowerQualityFault) -> Callable[[Evidence], Counter[Hashable]]:
    def labels(evidence: Evidence) -> Counter[Hashable]:
        rows = evidence.simulation.power_quality_labels
        return _slots(rows.filter(pc.equal(rows["kind"], str(kind))))

    return labels


def _reported(mask: Mask) -> Callable[[Evidence], Counter[Hashable]]:
    def findings(evidence: Evidence) -> Counter[Hashable]:
        rows = evidence.final.power_quality
        return _slots(rows.filter(mask(rows)))

    return findings


def _slots(rows: pa.Table) -> Counter[Hashable]:
    names = ("point_id", "obis_code", "interval_start")
    return Counter(zip(*(rows[name].to_pylist() for name in names), strict=True))


POWER_QUALITY_RULES = tuple(
    ItemRule(str(kind), found_by, "values", _labelled(kind), _reported(mask))
    for kind, found_by, mask in (
        (PowerQualityFault.UNDERVOLTAGE, "a voltage out of its valid range, and not zero", _wrong_voltage),
        (PowerQualityFault.PHASE_LOSS, "a voltage of zero", _no_voltage),
        (PowerQualityFault.LOW_POWER_FACTOR, "a power factor beyond its normal range", _low_power_factor),
    )
)
"""Every kind of fault of power quality that the simulator has."""
