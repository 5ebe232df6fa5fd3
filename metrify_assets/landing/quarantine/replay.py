"""Reading a drop again after its feed was corrected: what would change, and doing it.

Belongs here: the comparison of what was refused with what would be refused now, and the choice of drops. Does not
belong here: reading and recording (``ingest.py``), where the ledger's record, written last, is the one step by which
rows leave the quarantine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metrify_assets.drops.ledger import Drop, LedgerView
from metrify_assets.errors import DropError
from metrify_assets.feeds.reader import ReadReport
from metrify_assets.landing.ingest import batches_of, is_outdated, read_again
from metrify_assets.landing.quarantine.counts import chosen_drops, count_rejects
from metrify_assets.landing.quarantine.files import read_quarantine
from metrify_assets.platform import Platform
from metrify_assets.storage.object_store import ObjectStore


@dataclass(frozen=True)
class Reading:
    """What one reading of a drop accepted and refused.

    Attributes
    ----------
    counts : mapping of str to int
        As in the drop's record: ``rows``, ``delivered_values``, ``raw_values``, ``quarantined_rows``,
        ``quarantined_values``.
    reasons : mapping of str to int
        Refused rows by reason.
    refused : frozenset of int
        Data rows of which at least one value was refused; 0 stands for the file as a whole.
    """

    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    refused: frozenset[int]


@dataclass(frozen=True)
class Replay:
    """What reading a drop again changes.

    Attributes
    ----------
    drop : Drop
        As it is recorded.
    before, after : Reading
    """

    drop: Drop
    before: Reading
    after: Reading

    @property
    def freed(self) -> int:
        """Rows that were refused, wholly or in part, and are read now."""
        was, remains = self.before.refused, self.after.refused
        if 0 in was and 0 not in remains:
            return self.after.counts["rows"] - len(remains)
        return len(was - remains)

    @property
    def refused_again(self) -> int:
        """Rows that stay in the quarantine, with the reasons of now."""
        return len(self.after.refused) - self.newly_refused

    @property
    def newly_refused(self) -> int:
        """Rows that were read and would be refused now."""
        return 0 if 0 in self.before.refused else len(self.after.refused - self.before.refused)

    @property
    def loses(self) -> bool:
        """Whether values that count now would be refused or no longer be found."""
        return self.newly_refused > 0 or self.after.counts["raw_values"] < self.before.counts["raw_values"]


@dataclass
class Outcome:
    """What became of the drops that were chosen.

    Attributes
    ----------
    replayed : list of Replay
        Done, or to be done if it was a trial.
    held_back : list of Replay
        Left as they are, because values that count now would be lost.
    unchanged : list of Drop
        Read under the definition of now already: nothing to do.
    """

    replayed: list[Replay] = field(default_factory=list)
    held_back: list[Replay] = field(default_factory=list)
    unchanged: list[Drop] = field(default_factory=list)


def drops_to_replay(
    platform: Platform,
    view: LedgerView,
    drop_ids: Sequence[str] = (),
    *,
    feed: str | None = None,
    reason: str | None = None,
) -> list[Drop]:
    """Return the drops that were named, or those of a feed that have refused rows (of one reason).

    Raises
    ------
    DropError
        If a drop that was named does not count, or nothing was named.
    """
    if drop_ids:
        chosen = list({(drop.feed, drop.drop_id): drop for drop in map(view.find, drop_ids)}.values())
        for drop in chosen:
            if view.state(drop) != "active":
                raise DropError(f"{drop.feed}/{drop.drop_id} was {view.state(drop)}: it does not count, leave it out")
    elif feed is not None:
        chosen = chosen_drops(platform, view, feed=feed)
    else:
        raise DropError("nothing was chosen: name a drop, or a feed with --feed")
    if feed is not None:
        chosen = [drop for drop in chosen if drop.feed == feed]
    if drop_ids and reason is None:
        return chosen
    refused = [drop for drop in chosen if drop.quarantine]
    return refused if reason is None else [d for d in refused if count_rejects(platform.store, [d], reason=reason)]


def recorded(store: ObjectStore, drop: Drop) -> Reading:
    """Return what the recorded reading of a drop accepted and refused."""
    rows = read_quarantine(store, drop, ["row_number", "reason"])
    return Reading(drop.counts, Counter(rows["reason"].to_pylist()), frozenset(rows["row_number"].to_pylist()))


def tried(platform: Platform, drop: Drop) -> Reading:
    """Read a drop's landed bytes under the feed definition of now, keep what it refuses and write nothing."""
    report = ReadReport()
    reasons: Counter[str] = Counter()
    refused: set[int] = set()
    with platform.store.reading(drop.landed) as path:
        for batch in batches_of(platform, drop, path, report):
            reasons.update(batch.quarantine["reason"].to_pylist())
            refused.update(batch.quarantine["row_number"].to_pylist())
    return Reading(report.counts, reasons, frozenset(refused))


def replay(platform: Platform, drops: Sequence[Drop], *, trial: bool = False, accept_losses: bool = False) -> Outcome:
    """Read drops again under the feed definitions of now. Doing it twice, or again after a crash, changes nothing.

    Every drop is tried first; one that would lose values that count is held back unless losses are accepted. The
    record of a drop is replaced in one step: before it the old rows count, after it the new ones.

    Parameters
    ----------
    trial : bool
        Only say what would be done.
    accept_losses : bool
        Also replay drops of which values that are read now would be refused.

    Raises
    ------
    FeedError
        If a drop's feed is not defined any more.
    DropError
        If the landed bytes of a drop are gone.
    """
    outcome = Outcome()
    for drop in drops:
        if not is_outdated(platform, drop):
            outcome.unchanged.append(drop)
            continue
        if not platform.store.exists(drop.landed):
            raise DropError(f"{drop.landed} is gone: deliver {drop.feed}/{drop.name} again")
        repeated = Replay(drop, recorded(platform.store, drop), tried(platform, drop))
        if repeated.loses and not accept_losses:
            outcome.held_back.append(repeated)
            continue
        if not trial:
            read_again(platform, drop)
        outcome.replayed.append(repeated)
    return outcome
