"""How far behind every partition is: what is landed, what waits, what is lost.

Belongs here: comparing the ledger with the broker, and what to land next; nothing is remembered between two looks. Does
not belong here: landing (``landing.py``) and how Dagster shows it (``orchestration/checks/streams.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from metrify_assets.drops.ledger import Drop, Ledger, LedgerView
from metrify_assets.drops.offsets import Log, OffsetRange, faults, in_turns, incarnation_of, landed_end, next_ranges
from metrify_assets.feeds.catalogue import Feeds
from metrify_assets.feeds.model import Feed, StreamFeed
from metrify_assets.platform import Platform
from metrify_assets.sources.kafka.cluster import KafkaCluster, Topic, Watermarks
from metrify_assets.sources.kafka.landing import ranges_of


@dataclass(frozen=True)
class PartitionLag:
    """One partition, as a feed reads it.

    Attributes
    ----------
    feed : StreamFeed
    log : Log
    end : int
        The landed end: offset that is landed next.
    landed_at : int
        When the last drop was taken in (UTC microseconds); 0 if there is none.
    low, high : int
        The broker's watermarks.
    """

    feed: StreamFeed
    log: Log
    end: int
    landed_at: int
    low: int
    high: int

    @property
    def lag(self) -> int:
        """Offsets that the broker has and that are not landed."""
        return max(0, self.high - max(self.end, self.low))

    @property
    def expired(self) -> int:
        """Offsets behind the landed end that the broker no longer has."""
        return max(0, self.low - self.end)

    def is_due(self, now: int) -> bool:
        """Return whether there is something to land, and enough of it or for long enough (UTC microseconds)."""
        if self.expired or self.lag >= self.feed.stream.max_records_per_drop:
            return True
        return self.lag > 0 and now - self.landed_at >= self.feed.stream.wait_seconds * 1_000_000


@dataclass
class Survey:
    """All streams at one moment.

    Attributes
    ----------
    partitions : list of PartitionLag
        Every partition that can be landed.
    superseded : list of (Feed, OffsetRange)
        Notes to make: logs whose topic was created again since.
    problems : list of str
        What keeps a topic or a partition from being landed, one line each that says what to do.
    """

    partitions: list[PartitionLag] = field(default_factory=list)
    superseded: list[tuple[Feed, OffsetRange]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def lag(self) -> int:
        """Offsets that wait in all partitions."""
        return sum(partition.lag for partition in self.partitions)


def stream_feeds(feeds: Feeds) -> list[StreamFeed]:
    """Return the feeds that are streams."""
    return [feed for feed in feeds.values() if isinstance(feed, StreamFeed)]


def survey(platform: Platform, cluster: KafkaCluster) -> Survey:
    """Look at the ledger and ask the broker; raise ``StreamError`` if it does not answer."""
    feeds = stream_feeds(platform.feeds)
    view = platform.ledger.view()
    names = sorted({topic for feed in feeds for topic in feed.stream.topics})
    topics = cluster.topics(names) if names else {}
    partitions = [(topic.name, number) for topic in topics.values() for number in topic.partitions]
    marks = cluster.watermarks(partitions)
    result = Survey()
    for feed in feeds:
        _add(result, feed, view, topics, marks)
    return result


def _add(
    survey: Survey,
    feed: StreamFeed,
    view: LedgerView,
    topics: Mapping[str, Topic],
    marks: Mapping[tuple[str, int], Watermarks],
) -> None:
    """Add what is known of one feed's topics."""
    held = ranges_of(view, feed)
    for name in feed.stream.topics:
        if name not in topics:
            survey.problems.append(
                f"topic {name} does not exist, or may not be read: create it or grant read access, "
                f"or remove it from feed {feed.name}"
            )
            continue
        incarnation = incarnation_of(topics[name].topic_id, feed.stream.generation)
        for log, ranges in held.items():
            if (
                log.topic == name
                and log.incarnation != incarnation
                and not any(held_range.is_superseded for held_range in ranges)
            ):
                end = landed_end(ranges)
                survey.superseded.append((feed, OffsetRange(log, end, end, lost=True)))
        for number in topics[name].partitions:
            log = Log(name, incarnation, number)
            ranges = held.get(log, [])
            survey.problems += faults(ranges)
            mark = marks.get((name, number))
            if mark is None:
                survey.problems.append(f"{log}: its leader does not answer: see that every broker runs")
                continue
            end = landed_end(ranges)
            if mark.high < end:
                survey.problems.append(
                    f"{log} ends at {mark.high}, but {end} offsets are landed: the broker lost records; raise the "
                    f"generation of feed {feed.name} to read its topics again"
                )
                continue
            drops = (view.drops[feed.name, held_range.drop_id] for held_range in ranges)
            landed_at = max((drop.ingested_at for drop in drops), default=0)
            survey.partitions.append(PartitionLag(feed, log, end, landed_at, mark.low, mark.high))


def ranges_to_land(survey: Survey, now: int, most: int) -> list[tuple[Feed, OffsetRange]]:
    """Return at most so many ranges to land now, partitions in turn; those of one partition follow each other."""
    queues = [_queue(partition) for partition in survey.partitions if partition.is_due(now)]
    return [*survey.superseded[:most], *islice(in_turns(queues), max(0, most - len(survey.superseded)))]


def _queue(partition: PartitionLag) -> Iterator[tuple[Feed, OffsetRange]]:
    longest = partition.feed.stream.max_records_per_drop
    for next_range in next_ranges(partition.log, partition.end, partition.low, partition.high, longest):
        yield partition.feed, next_range


@dataclass(frozen=True)
class Loss:
    """A range of offsets that nobody can read any more, as the ledger records it."""

    drop: Drop
    range: OffsetRange


def losses(ledger: Ledger, feeds: Iterable[Feed]) -> Iterator[Loss]:
    """Yield the recorded losses that nobody has acknowledged: withdrawing the drop of a loss acknowledges it."""
    names = {feed.name for feed in feeds}
    for (name, drop_id), drop in ledger.view().active.items():
        held = OffsetRange.of_drop(drop_id) if name in names else None
        if held is not None and held.lost:
            yield Loss(drop, held)
