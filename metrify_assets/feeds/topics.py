"""MQTT topics as a feed declares them: filters whose levels may have names.

Belongs here: reading a declared topic, the filter to subscribe to, and the named levels of a topic. Does not belong
here: receiving messages (``sources/mqtt/``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")
MAX_TOPIC_BYTES = 65_535


@dataclass(frozen=True)
class TopicPattern:
    """A topic filter such as ``meters/{point}/energy``: ``{point}`` stands for any one level and names it.

    Attributes
    ----------
    text : str
        As declared.
    levels : tuple of str
    """

    text: str
    levels: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> TopicPattern:
        """Read a declared topic; raise ``ValueError`` that says what is wrong with it."""
        levels = tuple(text.split("/"))
        if not text or len(text.encode()) > MAX_TOPIC_BYTES or "\0" in text:
            raise ValueError(f"{text!r} is no topic: write levels with slashes between them, such as meters/+/energy")
        if text.startswith("$share/"):
            raise ValueError(f"{text!r} shares its messages out, which loses their order: use a topic of one bridge")
        for position, level in enumerate(levels):
            if level == "#" and position == len(levels) - 1:
                continue
            if level != "+" and not _NAMED.fullmatch(level) and set(level) & set("+#{}"):
                raise ValueError(
                    f"{text!r}: {level!r} is no level: +, # (the last) and {{name}} each take the place of a whole one"
                )
        pattern = cls(text, levels)
        if len(set(pattern.names)) != len(pattern.names):
            raise ValueError(f"{text!r} has two levels of one name: name them differently")
        return pattern

    @property
    def names(self) -> list[str]:
        """Names of the levels that have one."""
        return [match.group(1) for level in self.levels if (match := _NAMED.fullmatch(level))]

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return "/".join("+" if _NAMED.fullmatch(level) else level for level in self.levels)

    def match(self, topic: str) -> dict[str, str] | None:
        """Return the named levels of a topic, or None if it is not of this pattern."""
        values: dict[str, str] = {}
        levels = topic.split("/")
        if topic.startswith("$") and self.levels[0] != levels[0]:
            # Wildcards do not reach the broker's own topics.
            return None
        for position, level in enumerate(self.levels):
            if level == "#":
                return values
            if position >= len(levels):
                return None
            named = _NAMED.fullmatch(level)
            if named:
                values[named.group(1)] = levels[position]
            elif level not in ("+", levels[position]):
                return None
        return values if len(levels) == len(self.levels) else None
