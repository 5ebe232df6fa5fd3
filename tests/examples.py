"""How many random examples a test draws: one environment variable makes a run shorter or deeper.

Belongs here: the profiles of Hypothesis, and the weight of one test among the others. A test has no number of
its own.
"""

from __future__ import annotations

import os

from hypothesis import settings

VARIABLE = "METRIFY_TEST_PROFILE"
EXAMPLES = {"fast": 8, "default": 50, "all": 100, "deep": 5_000}
"""Examples of a test of weight 1, by profile."""


def load_profile() -> None:
    """Choose the profile that the environment names; without one it is ``default``.

    Raises
    ------
    KeyError
        If there is no profile of that name.
    """
    for name, number in EXAMPLES.items():
        # A loaded machine is no reason to fail: no test has a time limit for its examples.
        settings.register_profile(f"metrify-{name}", deadline=None, max_examples=number)
    settings.load_profile(f"metrify-{os.environ.get(VARIABLE) or 'default'}")


def examples(weight: float = 1.0, *, least: int = 1) -> int:
    """Return the examples of a test whose weight is relative to that of the others."""
    return max(least, round(settings.default.max_examples * weight))
