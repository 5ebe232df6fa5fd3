"""Texts of others, as they may be shown: names of files, and what is found in them.

Belongs here: telling, and escaping, characters that forge what a person reads: line ends, escape sequences of
terminals, marks that turn the direction of writing. Does not belong here: where texts are shown.
"""

from __future__ import annotations

import re

_FORGING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"  # control, bidi, lone surrogates
)


def escaped(text: str) -> str:
    """Return a text in one line, with ``\\n``, ``\\x1b`` or ``\\u202e`` for characters that forge what is read."""
    return _FORGING.sub(lambda found: repr(found.group())[1:-1], text)


def forges(text: str) -> bool:
    """Return whether a text holds characters that forge what is read."""
    return _FORGING.search(text) is not None
