"""Self-consumption and feed-in of a point with generation: what of the generation stayed, and what went to the grid.

Belongs here: the balance of a slot. Does not belong here: which points belong together (the file of tariffs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.tariffs.charges import Readings


@dataclass(frozen=True)
class SelfUse:
    """Energy of a month in micro-kWh, of the slots that all three channels have.

    Attributes
    ----------
    generated, fed_in, self_consumed, drawn : int
        ``self_consumed`` = ``generated`` - ``fed_in``; ``drawn`` from the grid.
    estimated : int
        Part of ``self_consumed`` in slots where generation or feed-in is estimated.
    missing_minutes : int
        Time in which a channel has no value.
    contradicting_slots, contradicting_minutes, contradicting_micro_kwh : int
        Slots in which more was fed in than generated, their length, and by how much: their self-consumption is none.
    """

    generated: int
    fed_in: int
    self_consumed: int
    drawn: int
    estimated: int
    missing_minutes: int
    contradicting_slots: int
    contradicting_minutes: int
    contradicting_micro_kwh: int

    @property
    def self_consumption_share(self) -> float | None:
        """Share of the generation that was used on the spot; None if a value is missing or nothing was generated."""
        return None if self.missing_minutes or not self.generated else self.self_consumed / self.generated

    @property
    def self_sufficiency_share(self) -> float | None:
        """Share of the use that came from own generation; None if a value is missing or nothing was used."""
        used = self.self_consumed + self.drawn
        return None if self.missing_minutes or not used else self.self_consumed / used


def self_use(generated: Readings, fed_in: Readings, drawn: Readings, expected_minutes: int) -> SelfUse:
    """Return the balance of three channels; only slots of one start and length in all of them count.

    Parameters
    ----------
    generated, fed_in, drawn : Readings
        Generation meter, export and import of the point.
    expected_minutes : int
        Length of the days in question.
    """
    channels = [channel.where(channel.present) for channel in (generated, fed_in, drawn)]
    keys = [channel.start * 2_048 + channel.minutes for channel in channels]
    common = np.intersect1d(np.intersect1d(keys[0], keys[1]), keys[2])
    places = [np.argsort(key)[np.searchsorted(np.sort(key), common)] for key in keys]
    generation, export, used = (channel.micro_kwh[at] for channel, at in zip(channels, places, strict=True))
    kept = generation - export
    wrong = kept < 0
    guessed = channels[0].estimated[places[0]] | channels[1].estimated[places[1]]
    own = np.where(wrong, 0, kept)
    return SelfUse(
        generated=int(generation.sum()),
        fed_in=int(export.sum()),
        self_consumed=int(own.sum()),
        drawn=int(used.sum()),
        estimated=int(own[guessed].sum()),
        missing_minutes=expected_minutes - int((common % 2_048).sum()),
        contradicting_slots=int(wrong.sum()),
        contradicting_minutes=int((common[wrong] % 2_048).sum()),
        contradicting_micro_kwh=int(-kept[wrong].sum()),
    )
