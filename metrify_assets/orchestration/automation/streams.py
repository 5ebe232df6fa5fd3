"""Streams: the job that lands ranges of offsets, and the sensor that asks for it.

Belongs here: turning where the partitions stand into runs, and a run into drops and events. Does not belong here: the
ranges (``drops/offsets.py``), the landing (``sources/kafka/landing.py``) and the verdicts
(``orchestration/checks/streams.py``).
"""

import json
import time
from collections import defaultdict
from dataclasses import replace

import dagster as dg

from metrify_assets.digest import digest_of
from metrify_assets.drops.offsets import Log, OffsetRange
from metrify_assets.errors import LakeError, MetrifyError, StreamError
from metrify_assets.feeds.model import Feed
from metrify_assets.orchestration.assets.common import ALL_TRIED, SENSOR_TAG, retry_policy
from metrify_assets.orchestration.assets.sources import METER_STREAM
from metrify_assets.orchestration.automation.decisions import Failures, Plan, batches, plan_work
from metrify_assets.orchestration.automation.jobs import STREAM_JOB, report_drops
from metrify_assets.orchestration.automation.reasons import REASON_TAG, names_of
from metrify_assets.orchestration.automation.sensors import ATTEMPT_TAG, failures_of, no_room, run_key, runs_under_way
from metrify_assets.orchestration.checks.results import log_evaluation, whole_evaluation
from metrify_assets.orchestration.checks.streams import lag_result, loss_result, partition_table, unreachable_result
from metrify_assets.orchestration.run_launcher import end_dead_runs
from metrify_assets.platform import Platform
from metrify_assets.sources.kafka.cluster import KafkaCluster
from metrify_assets.sources.kafka.lag import losses, ranges_to_land, stream_feeds, survey
from metrify_assets.sources.kafka.landing import Landed, land

OFFSETS_TAG = "metrify/offsets"
LONGEST_BACKOFF = 5
"""Failures from which on the wait no longer grows (about five minutes). A stream is never given up: unlike a file it
does not wait, and what it holds expires."""

Wanted = tuple[Feed, OffsetRange]


class RangeConfig(dg.Config):
    """Offsets of one partition, as the sensor wants them landed."""

    feed: str
    topic: str
    incarnation: str
    partition: int
    start: int
    end: int
    lost: bool = False

    def range(self) -> OffsetRange:
        """Return the range of offsets."""
        return OffsetRange(Log(self.topic, self.incarnation, self.partition), self.start, self.end, self.lost)


class StreamConfig(dg.Config):
    """The ranges of one run."""

    ranges: list[RangeConfig]


@dg.op(pool="ingest", retry_policy=retry_policy())
def land_ranges(
    context: dg.OpExecutionContext,
    config: StreamConfig,
    platform: dg.ResourceParam[Platform],
    kafka: dg.ResourceParam[KafkaCluster],
) -> None:
    """Land ranges of offsets and take them in.

    A partition that cannot be read does not stop the others; the run fails at the end and names it.
    """
    landed: list[Landed] = []
    failed: dict[tuple[str, Log], str] = {}
    for wanted_range in config.ranges:
        wanted = wanted_range.range()
        if (wanted_range.feed, wanted.log) in failed:
            # What follows a range that failed has to wait for it.
            continue
        try:
            for landing in land(platform, kafka, platform.feed(wanted_range.feed), wanted):
                landed.append(landing)
                context.log.info(f"{wanted_range.feed}: {_summary(landing)}")
        except (LakeError, OSError):
            # The store's trouble is that of every partition: it may pass, and the step is tried again.
            raise
        except MetrifyError as error:
            failed[wanted_range.feed, wanted.log] = str(error)
            context.log.error(f"{wanted_range.feed}: {error}")
        except Exception as error:
            # A fault of one feed's reader stops no other feed. It is logged whole, and the run fails at its end.
            failed[wanted_range.feed, wanted.log] = f"{type(error).__name__}: {error}"
            context.log.error(f"{wanted_range.feed}: {failed[wanted_range.feed, wanted.log]}", exc_info=error)
    report_drops(context, platform, [landing.drop for landing in landed])
    _report_stream(context, platform, kafka, landed)
    if failed:
        context.instance.add_run_tags(context.run_id, {ALL_TRIED: "true"})
        # The sensor asks again, from where the landed ranges end.
        raise dg.Failure(
            f"{len(failed)} partitions were not landed: {'; '.join(list(failed.values())[:3])}", allow_retries=False
        )


def _summary(landed: Landed) -> str:
    if landed.range.lost:
        return f"{landed.range.name}: {len(landed.range)} offsets are LOST (drop {landed.drop.drop_id})"
    counts = landed.drop.counts
    return (
        f"offsets {landed.range.start} to {landed.range.end - 1} of {landed.range.log}: {counts['rows']} records, "
        f"{counts['raw_values']} values, {counts['quarantined_values']} quarantined (drop {landed.drop.drop_id})"
    )


def _report_stream(
    context: dg.OpExecutionContext, platform: Platform, kafka: KafkaCluster, landed: list[Landed]
) -> None:
    """Log what was landed and how far behind that leaves the stream, and both verdicts."""
    lost = list(losses(platform.ledger, stream_feeds(platform.feeds)))
    records = sum(landing.drop.counts["rows"] for landing in landed)
    read = [landing for landing in landed if landing.seconds]
    seconds = sum(landing.seconds for landing in read)
    metadata: dict[str, float | dg.TableMetadataValue] = {
        "dagster/row_count": records,
        "drops": len(landed),
        "quarantined_records": sum(landing.drop.counts["quarantined_rows"] for landing in landed),
        "lost_offsets": sum(len(landing.range) for landing in landed if landing.range.lost),
        "landing_seconds": round(seconds, 3),
    }
    if seconds:
        metadata["records_per_second"] = round(sum(landing.drop.counts["rows"] for landing in read) / seconds)
    try:
        landing = survey(platform, kafka)
    except StreamError as error:
        context.log.warning(str(error))
        results = [unreachable_result(error), loss_result(None, lost, platform.settings)]
    else:
        metadata |= {"lag": landing.lag, "partitions": partition_table(landing)}
        results = [lag_result(landing, platform.settings), loss_result(landing, lost, platform.settings)]
    if landed:
        context.log_event(dg.AssetMaterialization(METER_STREAM, metadata=metadata))
    for result in results:
        log_evaluation(context, whole_evaluation(METER_STREAM, result))


@dg.job(
    name=STREAM_JOB,
    executor_def=dg.in_process_executor,
    description="Read ranges of offsets from Kafka into raw tables.",
)
def stream_job() -> None:
    land_ranges()


def plan_ranges(wanted: list[Wanted], failures_of_work: dict[str, Failures], now: float, most: int) -> Plan[Wanted]:
    """Return which ranges the next run lands.

    A range is known by where it starts: it grows while it waits, and its failures must count all the same. Ranges that
    follow it in its partition come with it or wait with it; those of other partitions wait for none of them.
    """
    queues: dict[tuple[str, Log], list[Wanted]] = defaultdict(list)
    for feed, offset_range in wanted:
        queues[feed.name, offset_range.log].append((feed, offset_range))

    def failures(work: str) -> Failures:
        failure = failures_of_work.get(work, Failures())
        return replace(failure, count=min(failure.count, LONGEST_BACKOFF))

    plan = plan_work(
        [queue[0] for queue in queues.values()],
        identity=_identity,
        group=batches(most),
        failures=failures,
        now=now,
        max_attempts=LONGEST_BACKOFF + 1,
        max_pieces=1,
    )

    def with_followers(heads: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
        chosen = {(feed.name, offset_range.log) for feed, offset_range in heads}
        return tuple((feed, offset_range) for feed, offset_range in wanted if (feed.name, offset_range.log) in chosen)

    work = tuple(replace(piece, items=with_followers(piece.items)[:most]) for piece in plan.work)
    return Plan(work, plan.given_up, with_followers(plan.waiting))


def _identity(wanted: Wanted) -> str:
    feed, offset_range = wanted
    return digest_of(feed.name, str(offset_range.log), offset_range.log.incarnation, offset_range.start)


def stream_sensor(default_status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Return the sensor that asks for new records to be landed."""

    @dg.sensor(
        name="stream",
        job_name=STREAM_JOB,
        minimum_interval_seconds=5,
        default_status=default_status,
        description="Compares the watermarks of Kafka's partitions with what is landed and lands what is due, as "
        "explicit ranges of offsets, one run at a time.",
    )
    def stream(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform], kafka: dg.ResourceParam[KafkaCluster]
    ) -> dg.SensorResult:
        end_dead_runs(context.instance)
        if runs_under_way(context.instance, STREAM_JOB):
            return dg.SensorResult(skip_reason="ranges are being landed; what arrives meanwhile comes after them")
        if too_little := no_room(platform):
            return dg.SensorResult(skip_reason=too_little, cursor=context.cursor)
        platform.look_at_feeds()
        settings = platform.settings
        lost = list(losses(platform.ledger, stream_feeds(platform.feeds)))
        try:
            lag = survey(platform, kafka)
        except StreamError as error:
            results = [unreachable_result(error), loss_result(None, lost, settings)]
            return _result(context, results, skip_reason=str(error))
        for problem in lag.problems:
            context.log.warning(problem)
        results = [lag_result(lag, settings), loss_result(lag, lost, settings)]
        wanted = ranges_to_land(lag, platform.clock.now(), settings.max_stream_drops_per_run)
        plan = plan_ranges(
            wanted, failures_of(context.instance, STREAM_JOB), time.time(), settings.max_stream_drops_per_run
        )
        if plan.work:
            return _result(context, results, run_requests=[_request(context.instance, plan)])
        reasons = [f"{lag.lag} offsets wait", *lag.problems[:1]]
        if plan.waiting:
            reasons.insert(1, f"{len(plan.waiting)} ranges wait for their next attempt")
        return _result(context, results, skip_reason="; ".join(reasons))

    return stream


def _request(instance: dg.DagsterInstance, plan: Plan[Wanted]) -> dg.RunRequest:
    work = plan.work[0]
    ranges = [
        {
            "feed": feed.name,
            "topic": offset_range.log.topic,
            "incarnation": offset_range.log.incarnation,
            "partition": offset_range.log.partition,
            "start": offset_range.start,
            "end": offset_range.end,
            "lost": offset_range.lost,
        }
        for feed, offset_range in work.items
    ]
    first = work.items[0][1]
    return dg.RunRequest(
        run_key=f"{first.log}-{first.start}-{run_key(instance, STREAM_JOB, work.digest)}",
        run_config={"ops": {"land_ranges": {"config": {"ranges": ranges}}}},
        tags={
            SENSOR_TAG: work.digest,
            ATTEMPT_TAG: str(work.attempt),
            OFFSETS_TAG: names_of(
                [f"{offset_range.log} {offset_range.start}...{offset_range.end - 1}" for _, offset_range in work.items]
            ),
            REASON_TAG: "new records" if work.attempt == 1 else f"retry, attempt {work.attempt}: new records",
        },
    )


def _result(
    context: dg.SensorEvaluationContext,
    results: list[dg.AssetCheckResult],
    *,
    skip_reason: str | None = None,
    run_requests: list[dg.RunRequest] | None = None,
) -> dg.SensorResult:
    """Return a tick's result; the verdicts are logged only where they changed since the tick before."""
    verdicts = json.dumps({result.check_name: result.passed for result in results}, sort_keys=True)
    events = [] if context.cursor == verdicts else [whole_evaluation(METER_STREAM, result) for result in results]
    return dg.SensorResult(cursor=verdicts, asset_events=events, skip_reason=skip_reason, run_requests=run_requests)
