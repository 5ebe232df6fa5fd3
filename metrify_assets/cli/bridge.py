"""``metrify bridge ...``: receiving messages into the inbox."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import click

from metrify_assets.cli.common import as_json, platform_of_environment
from metrify_assets.errors import BridgeError

if TYPE_CHECKING:
    from metrify_assets.feeds.model import Feed
    from metrify_assets.feeds.topics import TopicPattern
    from metrify_assets.sources.mqtt.progress import Progress


@click.group()
def bridge() -> None:
    """What publishes instead of writing files."""


@bridge.command("mqtt")
@click.option("--feed", "feed_name", required=True, help="Feed that the messages are for.")
@click.option("--topic", "topics", multiple=True, help="Topic such as meters/{point}/energy; else those of the feed.")
@click.option("--url", help="mqtt://host:1883 or mqtts://host:8883; else METRIFY_MQTT_URL.")
@click.option("--client-id", help="Name of the session at the broker.  [default: metrify-FEED]")
@click.option("--max-messages", type=click.IntRange(1), default=10_000, show_default=True, help="Of one file.")
@click.option("--max-bytes", type=click.IntRange(1), default=16 << 20, show_default=True, help="Of one file.")
@click.option("--max-age", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Of one file, seconds.")
@click.option("--receive-maximum", type=int, default=20_000, show_default=True, help="Messages not yet acknowledged.")
@click.option(
    "--session-days", type=click.FloatRange(0, 40_000), default=7.0, show_default=True, help="Kept while away."
)
@click.option("--show-seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Between two looks.")
@as_json
def mqtt(
    feed_name: str,
    topics: tuple[str, ...],
    url: str | None,
    client_id: str | None,
    max_messages: int,
    max_bytes: int,
    max_age: float,
    receive_maximum: int,
    session_days: float,
    show_seconds: float,
    to_json: bool,
) -> None:
    """Turn MQTT messages into files of the inbox, until SIGTERM or Ctrl-C.

    A message is acknowledged once the file that holds it is durable: what is published at QoS 1 arrives at least once,
    and counts once, because the same value again changes nothing.
    """
    from metrify_assets.drops.inbox_s3 import S3Inbox
    from metrify_assets.sources.mqtt.batches import Limits
    from metrify_assets.sources.mqtt.broker import Broker
    from metrify_assets.sources.mqtt.inbox_files import InboxFiles, InboxObjects
    from metrify_assets.sources.mqtt.mqtt import Bridge
    from metrify_assets.sources.mqtt.session import Session

    platform = platform_of_environment()
    feed = platform.feed(feed_name)
    name = client_id or f"metrify-{feed_name}"
    inbox = platform.inbox
    files: InboxObjects | InboxFiles
    if isinstance(inbox, S3Inbox):
        files = InboxObjects(inbox, feed, name)
    else:
        files = InboxFiles(platform.settings.inbox, feed, name)

    def show(progress: Progress) -> None:
        if to_json:
            click.echo(json.dumps(progress.as_record(), sort_keys=True))
        else:
            report(progress.as_text())

    work = Bridge(
        broker=Broker.from_env(url=url),
        session=Session(name, _patterns(feed, topics), receive_maximum, round(session_days * 86_400)),
        limits=Limits(max_messages, max_bytes, max_age),
        write=files.write,
        report=report,
        show=show,
        show_seconds=show_seconds,
        resumes=files.exist(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: work.stop())
    files.remove_leftovers()
    report(f"{name}: {work.broker.url}, {', '.join(p.text for p in work.session.patterns)} -> inbox/{feed_name}/")
    work.run()


def report(text: str) -> None:
    """Print a line for people, beside the result."""
    click.echo(text, err=True)


def _patterns(feed: Feed, topics: tuple[str, ...]) -> list[TopicPattern]:
    """Return the topics asked for, or those that the feed declares; raise ``BridgeError`` if there are none."""
    from metrify_assets.feeds.model import JsonLinesFeed
    from metrify_assets.feeds.topics import TopicPattern

    if not isinstance(feed, JsonLinesFeed):
        raise BridgeError(
            f"messages become lines of JSON: feed {feed.name} has the format {feed.format}, choose another"
        )
    declared = topics or (feed.mqtt.topics if feed.mqtt else ())
    if not declared:
        raise BridgeError(f"feed {feed.name} declares no topics: add mqtt: {{topics: [...]}} to it, or say --topic")
    try:
        patterns = [TopicPattern.parse(text) for text in declared]
    except ValueError as error:
        raise BridgeError(str(error)) from error
    for pattern in patterns:
        missing = feed.unnamed_levels(pattern)
        if missing:
            raise BridgeError(
                f"feed {feed.name} reads the level {missing[0]}: name it, such as meters/{{{missing[0]}}}"
            )
    return patterns
