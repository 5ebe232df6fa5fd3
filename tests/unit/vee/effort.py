"""How many random days are compared with the oracles.

Belongs here: the one number that makes a run deeper. ``METRIFY_EXAMPLES=50`` takes fifty times as many examples as an
ordinary run, which has to be fast (`make test-deep`).
"""

from __future__ import annotations

import os

EFFORT = int(os.environ.get("METRIFY_EXAMPLES", "1"))


def examples(ordinary: int) -> int:
    """Return how many examples or seeds a test takes that ordinarily takes so many."""
    return ordinary * EFFORT
