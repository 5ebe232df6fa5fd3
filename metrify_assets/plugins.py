"""What other packages bring along by entry points: importing it, with errors that a person can act on.

Belongs here: loading one entry point. Does not belong here: which groups there are and what their entries must be
(``feeds/plugins.py``, ``reference/rule_plugins.py``).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from metrify_assets.errors import escaped


def load_entry(entry: EntryPoint, what: str) -> Any:
    """Return the object that an entry point names.

    Parameters
    ----------
    entry : EntryPoint
    what : str
        What it brings along, for the error: ``rule``, ``reader``.

    Raises
    ------
    ValueError
        If its package cannot be imported, or has no such object; in one line.
    """
    try:
        return entry.load()
    except Exception as error:  # The code of another package may raise anything: it is named, and nothing is hidden.
        reason = escaped(f"{type(error).__name__}: {error}")
        detail = f"{what} {entry.name} ({entry.value}) cannot be loaded ({reason})"
        raise ValueError(f"{detail}: correct its package") from error
