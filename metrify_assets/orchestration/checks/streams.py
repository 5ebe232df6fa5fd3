"""Checks of the streams: how far behind, and what is lost.

Belongs here: the verdicts on a survey, and the checks of the stream's asset. Does not belong here: finding out where
the partitions stand (``sources/kafka/lag.py``).
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from metrify_assets.errors import StreamError
from metrify_assets.orchestration.assets.sources import METER_STREAM
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import KafkaCluster
from metrify_assets.sources.kafka.lag import Loss, Survey, losses, stream_feeds, survey

LAG = "lag"
LOSS = "loss"
EXAMPLES = 10

SPECS = [
    dg.AssetCheckSpec(
        LAG,
        asset=METER_STREAM,
        description="Offsets that the broker has and that are not landed stay below METRIFY_STREAM_MAX_LAG, and every "
        "topic can be read. If it fails, see the problems named, the failed runs of `land_stream`, and whether the "
        "broker runs.",
    ),
    dg.AssetCheckSpec(
        LOSS,
        asset=METER_STREAM,
        description="Records that expired before they were landed, or went with a topic that was created again, stay "
        "within METRIFY_STREAM_MAX_LOST. If it fails, ask the sender for them, lengthen the topic's retention, and "
        "acknowledge each loss: `metrify drop withdraw ID --reason ...`.",
    ),
]


def lag_result(survey: Survey, settings: Settings) -> dg.AssetCheckResult:
    """Return whether the streams are landed fast enough, and can be read at all."""
    return dg.AssetCheckResult(
        check_name=LAG,
        asset_key=METER_STREAM,
        passed=survey.lag <= settings.stream_max_lag and not survey.problems,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "lag": survey.lag,
            "allowed": settings.stream_max_lag,
            "partitions": len(survey.partitions),
            "problems": "; ".join(survey.problems[:EXAMPLES]),
            "by_partition": partition_table(survey),
        },
    )


def unreachable_result(error: StreamError) -> dg.AssetCheckResult:
    """Return that nobody knows the lag."""
    return dg.AssetCheckResult(
        check_name=LAG,
        asset_key=METER_STREAM,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"problems": str(error)},
    )


def loss_result(survey: Survey | None, losses: Sequence[Loss], settings: Settings) -> dg.AssetCheckResult:
    """Return whether records are lost: recorded ones, and those that the survey (if there is one) finds expired."""
    alarming = [loss for loss in losses if not loss.range.is_before_the_first_read]
    expired = sum(partition.expired for partition in survey.partitions if partition.end) if survey else 0
    lost = sum(len(loss.range) for loss in alarming) + expired
    ended = [loss for loss in alarming if loss.range.is_superseded]
    return dg.AssetCheckResult(
        check_name=LOSS,
        asset_key=METER_STREAM,
        passed=lost <= settings.stream_max_lost and not ended,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "lost_offsets": lost,
            "allowed": settings.stream_max_lost,
            "logs_created_again": len(ended),
            "expired_before_the_first_read": sum(len(loss.range) for loss in losses if loss not in alarming),
            "losses": dg.MetadataValue.md("\n".join(f"- `{loss.drop.drop_id}`" for loss in alarming[:EXAMPLES])),
        },
    )


def partition_table(survey: Survey) -> dg.TableMetadataValue:
    """Return where every partition stands, as a table."""
    names = ("feed", "topic", "partition", "last_offset", "high_watermark", "lag")
    kinds = ("string", "string", "int", "int", "int", "int")
    rows = [(s.feed.name, s.log.topic, s.log.partition, s.end - 1, s.high, s.lag) for s in survey.partitions]
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in zip(names, kinds, strict=True)]),
    )


def stream_results(platform: Platform, kafka: KafkaCluster) -> list[dg.AssetCheckResult]:
    """Look at all streams and return both verdicts; a broker that does not answer is one of them."""
    lost = list(losses(platform.ledger, stream_feeds(platform.feeds)))
    try:
        lag = survey(platform, kafka)
    except StreamError as error:
        return [unreachable_result(error), loss_result(None, lost, platform.settings)]
    return [lag_result(lag, platform.settings), loss_result(lag, lost, platform.settings)]


def stream_checks() -> dg.AssetChecksDefinition:
    """Return the checks of the stream's asset, for those who want to know now."""

    @dg.multi_asset_check(name="stream_checks", specs=SPECS)
    def check_streams(
        platform: dg.ResourceParam[Platform], kafka: dg.ResourceParam[KafkaCluster]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from stream_results(platform, kafka)

    return check_streams
