"""Types of arrays by what they hold; shapes are in the docstrings.

Belongs here: names of array types. Does not belong here: anything that runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
"""Instants in microseconds, energies in micro-kWh, day numbers."""
Int32Array = npt.NDArray[np.int32]
Int16Array = npt.NDArray[np.int16]
Int8Array = npt.NDArray[np.int8]
UInt64Array = npt.NDArray[np.uint64]
"""Digests of rows."""
UInt8Array = npt.NDArray[np.uint8]
"""Codes."""
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]
"""Texts, or None."""
AnyArray = npt.NDArray[Any]
"""Arrays of any type, where a function only moves rows."""
