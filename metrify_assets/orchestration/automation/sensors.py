"""Sensors: what arrived, and which days are dirty.

Belongs here: finding out what is known (inbox, ledger, manifests, runs) and turning decisions into run requests.
Does not belong here: the decisions themselves (``decisions.py``).
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from functools import cache
from itertools import takewhile
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from metrify_assets.days.day import parked_days
from metrify_assets.days.digests import CLEAN_TABLES
from metrify_assets.digest import digest_of
from metrify_assets.drops.inbox import InboxFile, InboxState, StillChangingError
from metrify_assets.errors import DropError
from metrify_assets.landing.ingest import inbox_digest, recognise
from metrify_assets.orchestration.assets.common import ALL_TRIED, SENSOR_TAG
from metrify_assets.orchestration.automation.decisions import (
    Failures,
    Plan,
    Work,
    batches,
    day_ranges,
    days_to_compute,
    plan_work,
    should_wait,
    work_digest,
)
from metrify_assets.orchestration.automation.jobs import DAYS_JOB, DIMENSIONS_JOB, INGEST_JOB, PUBLISH_JOB, STREAM_JOB
from metrify_assets.orchestration.automation.reasons import (
    FILES_TAG,
    REASON_TAG,
    Change,
    attempted,
    day_tags,
    file_reason,
    names_of,
    reason_of,
)
from metrify_assets.orchestration.disk import shortage
from metrify_assets.orchestration.run_launcher import STOPPED_TAG, end_dead_runs
from metrify_assets.platform import Platform
from metrify_assets.published.publish import stale_publication
from metrify_assets.registry.registries import stale_registries
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.settings import Settings
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.digests import MARTS, MartDigests
from metrify_assets.warehouse.warehouse import Warehouse

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
FINISHED = [dg.DagsterRunStatus.SUCCESS, *FAILED]
FAILED_RUNS_LOOKED_AT = 200
REPETITIONS_LOOKED_AT = 10
ATTEMPT_TAG = "metrify/attempt"
REASONS_WITHOUT_DAYS = {
    DIMENSIONS_JOB: "what the dimensions are made from changed",
    PUBLISH_JOB: "marts were built and not published",
}
DAY_TABLES = ("validated_readings", *CLEAN_TABLES, MARTS)


def runs_under_way(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    """Return a job's runs that are queued or running."""
    return list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED)))


def no_room(platform: Platform) -> str | None:
    """Return why no run may begin for want of room on the disk; None if there is enough.

    Runs that meet a full disk would use up the attempts that their work has.
    """
    return shortage(platform.settings.root, platform.settings.min_free_mb)


def failures_of(instance: dg.DagsterInstance, job: str) -> dict[str, Failures]:
    """Return the runs of a job that left their work undone, by the digest of the work.

    These are the runs that failed or were cancelled. A run that succeeded counts only while it is the job's latest: if
    its work is still to be done then, doing it at once again would never end.

    A run that tried each of its files counts for each of them alone. The files of a run that went down before are there
    too: with no failure of their own, because any of them may be why. A run that ended because Metrify did is told
    apart: it counts as an attempt only after some of its kind.
    """
    failed = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=FAILED),
        limit=FAILED_RUNS_LOOKED_AT,
    )
    latest = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=FINISHED), limit=REPETITIONS_LOOKED_AT)
    same = takewhile(lambda record: _work_of(record) == _work_of(latest[0]), latest)
    idle = [record for record in same if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS]
    ends: dict[str, list[float]] = defaultdict(list)
    stops: Counter[str] = Counter()
    for record in [*failed, *idle]:
        if work := _work_of(record):
            files = _files_of(record)
            tried_each = ALL_TRIED in record.dagster_run.tags
            for piece in files if tried_each else [work]:
                ends[piece].append(record.end_time or 0.0)
                stops[piece] += STOPPED_TAG in record.dagster_run.tags
            for file in files:
                ends.setdefault(file, [])
    return {
        work: Failures.of_runs(len(times) - stops[work], stops[work], max(times, default=0.0))
        for work, times in ends.items()
    }


def _files_of(record: dg.RunRecord) -> list[str]:
    """Return the files of an ingest run, each by the digest of the work of reading it alone."""
    if record.dagster_run.job_name != INGEST_JOB:
        return []
    return [work_digest(_file_identity(file)) for file in _requested_files(record.dagster_run)]


def _requested_files(run: dg.DagsterRun) -> list[InboxFile]:
    """Return the files that an ingest run is to read."""
    # What a run was asked for is a tree of JSON, which ``_ingest_request`` has made.
    ops: Any = run.run_config["ops"]
    return [InboxFile(**drop) for drop in ops["ingest_drops"]["config"]["drops"]]


def _file_identity(file: InboxFile) -> str:
    return digest_of(file.feed, *file.source)


def _latest_succeeded(instance: dg.DagsterInstance, job: str) -> bool:
    latest = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=[*FINISHED]), limit=1)
    return any(record.dagster_run.status is dg.DagsterRunStatus.SUCCESS for record in latest)


def cut_short(instance: dg.DagsterInstance, job: str, since: float) -> dg.DagsterRun | None:
    """Return a job's latest failed run if it was ended since an instant, before it had tried all of its drops."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job, statuses=FAILED), limit=1):
        if ALL_TRIED not in record.dagster_run.tags and (record.end_time or 0.0) >= since:
            return record.dagster_run
    return None


def rest_is_unread(instance: dg.DagsterInstance, platform: Platform, since: float) -> bool:
    """Return whether drops of a run that was cut short since an instant are still to be read.

    They are asked for again soon, in smaller pieces; until then what was read is a part of what the senders delivered.
    A file that takes run after run down is waited for once: from the first of these runs on.
    """
    reading = cut_short(instance, INGEST_JOB, since)
    if reading is not None:
        recorded = platform.ledger.view().sources
        unread = {(file.feed, file.source) for file in _requested_files(reading)} - recorded
        if unread - _cut_short_before(instance, since):
            return True
    landing = cut_short(instance, STREAM_JOB, since)
    latest = instance.get_runs(dg.RunsFilter(job_name=STREAM_JOB), limit=1)
    return landing is not None and latest[0].run_id == landing.run_id


def _cut_short_before(instance: dg.DagsterInstance, since: float) -> set[tuple[str, Any]]:
    """Return the files of ingest runs that were cut short before an instant."""
    failed = instance.get_run_records(dg.RunsFilter(job_name=INGEST_JOB, statuses=FAILED), limit=FAILED_RUNS_LOOKED_AT)
    return {
        (file.feed, file.source)
        for record in failed
        if ALL_TRIED not in record.dagster_run.tags and (record.end_time or 0.0) < since
        for file in _requested_files(record.dagster_run)
    }


def _work_of(record: dg.RunRecord) -> str | None:
    return record.dagster_run.tags.get(SENSOR_TAG)


def run_key(instance: dg.DagsterInstance, job: str, work: str) -> str:
    """Return a key for the next run of a piece of work.

    A key counts for ever, and the same work may come again: a registry that is changed there and back, a warehouse file
    that is deleted twice. So the key says how many runs of the work there have been, however they ended.
    """
    return f"{work}-{1 + instance.get_runs_count(dg.RunsFilter(job_name=job, tags={SENSOR_TAG: work}))}"


def pending_files(platform: Platform) -> tuple[list[InboxFile], list[str]]:
    """Return all files of the inbox that hold something new, and what cannot be taken in."""
    state = scan_inbox(platform, None)
    return state.files, state.problems


def scan_inbox(platform: Platform, position: str | None) -> InboxState:
    """Return what the inbox holds that is new; with a position, of the part that is looked at now.

    A file that repeats known bytes is recorded as a redelivery here and starts nothing, as far as
    ``Inbox.hashed_bytes`` go; what lies beyond them is left to the ingest run, which recognises redeliveries too.
    """
    view = platform.ledger.view()
    state = platform.inbox.scan(platform.feeds, platform.clock.now(), view.sources, position)
    sizes = {(drop.feed, drop.size) for drop in view.active.values()} if state.files else set()
    news = []
    left = platform.inbox.hashed_bytes
    for file in state.files:
        if (file.feed, file.size) in sizes and file.size <= left:
            left -= file.size
            try:
                digest = inbox_digest(platform.inbox, file)
            except (FileNotFoundError, StillChangingError):
                continue
            except DropError:
                # The run that tries to read it says so.
                news.append(file)
                continue
            repeated = recognise(view, platform.feed(file.feed), file.name, digest)
            if repeated is not None:
                platform.ledger.record_redelivery(file.feed, repeated.drop_id, file.source)
                continue
        news.append(file)
    state.files = news
    return state


def drops_sensor(default_status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Return the sensor that asks for new files to be read."""

    @dg.sensor(
        name="drops",
        job_name=INGEST_JOB,
        minimum_interval_seconds=5,
        default_status=default_status,
        description="Reads new files of the inbox, oldest first, one batch at a time. A redelivery starts nothing. The "
        "cursor says where the pass through a large inbox is; what was seen is in the ledger.",
    )
    def drops(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        end_dead_runs(context.instance)
        if runs_under_way(context.instance, INGEST_JOB):
            return dg.SensorResult(skip_reason="an ingest run is under way; files that arrive wait for its end")
        if too_little := no_room(platform):
            return dg.SensorResult(skip_reason=too_little, cursor=context.cursor)
        position = context.cursor or ""
        platform.look_at_feeds()
        for problem in platform.feeds.broken.values():
            context.log.warning(problem)
        state = scan_inbox(platform, position)
        platform.ledger.compact()
        for problem in state.problems[:20]:
            context.log.warning(problem)
        failures = failures_of(context.instance, INGEST_JOB)
        # In turns, so that neither new files nor those that are tried again wait for all of the others.
        retry_first = _latest_succeeded(context.instance, INGEST_JOB)
        plan = plan_files(platform.settings, state.files, failures, time.time(), retry_first=retry_first)
        for file in plan.given_up:
            context.log.error(
                f"{file.feed}/{file.name} was given up: read the failed runs, then launch `ingest` for it"
            )
        files = list(plan.work[0].items) if plan.work else []
        # The pass goes on when all that it found is dealt with; until then the same part is looked at. What waits for
        # its next attempt is met again in the next pass: this one waits for no file.
        cursor = position if set(state.files).difference(files, plan.given_up, plan.waiting) else state.position
        if files:
            request = _ingest_request(context.instance, platform, plan.work[0], files=files)
            return dg.SensorResult(run_requests=[request], cursor=cursor)
        registries = plan_registries(platform, failures, time.time())
        if registries.work:
            work = registries.work[0]
            request = _ingest_request(context.instance, platform, work, registries=work.items)
            return dg.SensorResult(run_requests=[request], cursor=cursor)
        problems = [*platform.feeds.broken.values(), *state.problems]
        return dg.SensorResult(skip_reason=_nothing_to_do(plan, "files", problems), cursor=cursor)

    return drops


def _ingest_request(
    instance: dg.DagsterInstance,
    platform: Platform,
    work: Work[object],
    *,
    files: Sequence[InboxFile] = (),
    registries: Sequence[str] = (),
) -> dg.RunRequest:
    """Return the request to read files, or to build registries without any."""
    if files:
        view = platform.ledger.view()
        corrected = sum(bool(view.named(file.feed, file.name)) for file in files if _replaces(platform, file))
        tags = {FILES_TAG: names_of([f"{file.feed}/{file.name}" for file in files])}
        reason = file_reason(len(files) - corrected, corrected)
    else:
        tags, reason = {}, f"registries to build: {names_of(registries)}"
    config = {"drops": [asdict(file) for file in files]}
    return dg.RunRequest(
        run_key=run_key(instance, INGEST_JOB, work.digest),
        run_config={"ops": {"ingest_drops": {"config": config}}},
        tags={**_work_tags(work), **tags, REASON_TAG: _attempted(platform.settings, work, reason)},
    )


def _replaces(platform: Platform, file: InboxFile) -> bool:
    return platform.feed(file.feed).same_name == "replace"


def _work_tags(work: Work[object]) -> dict[str, str]:
    return {SENSOR_TAG: work.digest, ATTEMPT_TAG: str(work.attempt)}


def _attempted(settings: Settings, work: Work[object], reason: str) -> str:
    return attempted(reason, work.attempt, settings.max_run_attempts)


def _changes(digests: MartDigests, dirty: dict[str, set[date]], days: Sequence[date]) -> Iterator[Change]:
    """Yield what differs from what some days were computed from."""
    for table, days_of_table in dirty.items():
        for day in days_of_table.intersection(days):
            yield from (Change(table, *changed) for changed in digests.changed_inputs(table, day))


def plan_registries(platform: Platform, failures: dict[str, Failures], now: float) -> Plan[str]:
    """Return the registries to build although no file is new: a drop was withdrawn, or a run died before it built them.

    Every ingest run builds all of them, so a run without files does.
    """
    stale = stale_registries(platform)
    return plan_work(
        list(stale),
        identity=lambda entity: digest_of(entity, stale[entity]),
        group=batches(len(REGISTRIES)),
        failures=lambda work: failures.get(work, Failures()),
        now=now,
        max_attempts=platform.settings.max_run_attempts,
        max_pieces=1,
    )


def plan_files(
    settings: Settings, news: list[InboxFile], failures: dict[str, Failures], now: float, *, retry_first: bool = False
) -> Plan[InboxFile]:
    """Return which of the new files to read in the next run: those that failed by feed, and never with others."""
    return plan_work(
        news,
        identity=_file_identity,
        group=batches(settings.max_drops_per_run),
        failures=lambda work: failures.get(work, Failures()),
        now=now,
        max_attempts=settings.max_run_attempts,
        max_pieces=1,
        kin=lambda file: file.feed,
        suspected=lambda file: work_digest(_file_identity(file)) in failures,
        retry_first=retry_first,
    )


def dirty_by_table(digests: MartDigests) -> dict[str, set[date]]:
    """Return the dirty days of every table, those of tables without any left out."""
    dirty = {table: digests.dirty_days(table) for table in DAY_TABLES}
    return {table: days for table, days in dirty.items() if days}


def plan_days(
    platform: Platform, digests: MartDigests, failures_of_work: dict[str, Failures], now: float
) -> tuple[Plan[date], dict[str, set[date]]]:
    """Return which days to compute next, and the dirty days of every table."""
    settings = platform.settings
    dirty = dirty_by_table(digests)
    parked = {(entry.table, entry.day): entry.inputs for entry in parked_days(platform.store, DAY_TABLES)}

    @cache
    def identity(day: date) -> str:
        return digest_of(
            day.isoformat(),
            digests.inputs_digest(day),
            *(digests.current(f"{table}@{day}", 0) for table in CLEAN_TABLES),
            tuple(sorted(table for table, days in dirty.items() if day in days)),
            digests.models,
            _neighbours(digests, day),
        )

    def failures(work: str) -> Failures:
        return failures_of_work.get(work, Failures())

    days = days_to_compute(dirty, parked, digests.inputs_digest)
    # A clean day that used a validated day which is about to be computed may be dirty after it: one run does both. What
    # failed before is not followed, or its followers would be asked for in vain.
    sources = {
        day
        for day in dirty.get("validated_readings", set()).intersection(days)
        if not failures(work_digest(identity(day))).count
    }
    followers = digests.followers(sources) & digests.wanted_days("clean_readings")
    plan = plan_work(
        sorted(followers.union(days)),
        identity=identity,
        group=day_ranges(settings.max_days_per_run),
        failures=failures,
        now=now,
        max_attempts=settings.max_run_attempts,
        max_pieces=1,
    )
    return plan, dirty


def _neighbours(digests: MartDigests, day: date) -> str:
    """Return the digest of all that a clean day was and would be computed from; empty if it never was."""
    manifest = digests.days("clean_readings").get(day)
    if manifest is None:
        return ""
    return digest_of(
        *(
            (number, name, digests.current(name, number))
            for number, shard in sorted(manifest.shards.items())
            for name in sorted(shard.inputs)
        )
    )


def dirty_days_sensor(
    jobs: Sequence[UnresolvedAssetJobDefinition],
    dimensions: Sequence[dg.AssetKey],
    daily: Sequence[dg.AssetKey],
    default_status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """Return the sensor that asks for dirty days to be computed, through to the ``daily`` models, published.

    ``jobs`` compute days, build dimensions, and publish. The models without days, ``dimensions``, are asked for when
    they are not made from what is there now.
    """

    @dg.sensor(
        name="dirty_days",
        jobs=list(jobs),
        minimum_interval_seconds=5,
        default_status=default_status,
        description="Computes the days whose inputs changed, as ranges, through to the marts. Compares digests, so "
        "nothing is lost, and nothing unchanged is computed.",
    )
    def dirty_days(
        context: dg.SensorEvaluationContext,
        platform: dg.ResourceParam[Platform],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.SensorResult:
        end_dead_runs(context.instance)
        if runs_under_way(context.instance, DAYS_JOB) or runs_under_way(context.instance, DIMENSIONS_JOB):
            return dg.SensorResult(skip_reason="a run is under way; what became dirty meanwhile comes after it")
        if too_little := no_room(platform):
            return dg.SensorResult(skip_reason=too_little, cursor=context.cursor)
        marts.invalidate_if_warehouse_changed(platform.store, warehouse)
        now = time.time()
        digests = MartDigests(platform)
        plan, dirty = plan_days(platform, digests, failures_of(context.instance, DAYS_JOB), now)
        for (table, day), error in digests.damage(DAY_TABLES).items():
            context.log.error(f"{error.key} is missing or damaged: {day} of {table} is computed again")
        since = json.loads(context.cursor or "{}").get("dirty_since") or now
        cursor = json.dumps({"dirty_since": since if plan.work else None})
        for day in plan.given_up:
            context.log.error(
                f"{day} was given up after failed runs: read their errors, remove the cause, materialise the day"
            )
        longest = platform.settings.ingest_wait_seconds
        is_read = any(runs_under_way(context.instance, job) for job in (INGEST_JOB, STREAM_JOB))
        if should_wait(is_read, since, now, longest):
            return dg.SensorResult(skip_reason="drops are being read; dirty days wait for them", cursor=cursor)
        if rest_is_unread(context.instance, platform, now - longest):
            reason = "a run that read drops was cut short; dirty days wait for the rest of its drops"
            return dg.SensorResult(skip_reason=reason, cursor=cursor)
        if plan.work:
            work = plan.work[0]
            reason = reason_of(_changes(digests, dirty, work.items))
            tags = _work_tags(work) | day_tags(work.items, _attempted(platform.settings, work, reason))
            key = run_key(context.instance, DAYS_JOB, work.digest)
            tables = {table for table, dimensions_plan in dirty.items() if not dimensions_plan.isdisjoint(work.items)}
            models = [*(dimensions if marts.dimensions_stale(platform.lake, digests, work.items) else ()), *daily]
            request = range_request(work.items, key, tags, selected_assets(tables, models))
            return dg.SensorResult(run_requests=[request], cursor=cursor)
        problems: list[str] = []
        for job, digest in _stale_without_days(platform, digests):
            dimensions_plan = _plan_without_days(context.instance, platform, job, digest, now)
            for whole in dimensions_plan.work:
                key = run_key(context.instance, job, whole.digest)
                tags = _work_tags(whole) | {REASON_TAG: _attempted(platform.settings, whole, REASONS_WITHOUT_DAYS[job])}
                return dg.SensorResult(run_requests=[dg.RunRequest(key, job_name=job, tags=tags)], cursor=cursor)
            for _ in dimensions_plan.given_up:
                context.log.error(
                    f"job {job} was given up after failed runs: read their errors, remove the cause, launch it"
                )
            problems += [f"job {job} waits for its next attempt" for _ in dimensions_plan.waiting]
            problems += [f"job {job} was given up after failed runs" for _ in dimensions_plan.given_up]
        return dg.SensorResult(skip_reason=_nothing_to_do(plan, "days", problems), cursor=cursor)

    return dirty_days


def _stale_without_days(platform: Platform, digests: MartDigests) -> Iterator[tuple[str, str]]:
    """Yield the jobs without days that have something to do, in order, each with the digest of what it should do."""
    if marts.dimensions_stale(platform.lake, digests):
        yield DIMENSIONS_JOB, marts.dimensions_digest(platform.lake, digests)
    # What a run has built and, after a crash, not published.
    state = stale_publication(platform)
    if state is not None:
        yield PUBLISH_JOB, state


def _plan_without_days(
    instance: dg.DagsterInstance, platform: Platform, job: str, digest: str, now: float
) -> Plan[str]:
    """Return whether a job is to run for the state that a digest names."""
    if runs_under_way(instance, job):
        return Plan()
    failures = failures_of(instance, job)
    return plan_work(
        [job],
        identity=lambda _: digest,
        group=batches(1),
        failures=lambda piece: failures.get(piece, Failures()),
        now=now,
        max_attempts=platform.settings.max_run_attempts,
        max_pieces=1,
    )


def selected_assets(tables: set[str], models: Sequence[dg.AssetKey]) -> list[dg.AssetKey]:
    """Return the assets that a run has to materialise: the dirty tables, what follows from them, and the models."""
    if "validated_readings" in tables:
        tables = tables | {"clean_readings"}
    return [dg.AssetKey(table) for table in sorted(tables - {"marts"})] + list(models)


def range_request(
    days: tuple[date, ...], run_key: str | None, tags: dict[str, str], assets: Sequence[dg.AssetKey] | None = None
) -> dg.RunRequest:
    """Return the request to compute contiguous days in one run: of some assets, or of all that the job has."""
    chosen = list(assets) if assets is not None else None
    if len(days) == 1:
        key = days[0].isoformat()
        return dg.RunRequest(run_key=run_key, job_name=DAYS_JOB, partition_key=key, tags=tags, asset_selection=chosen)
    span = {RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat()}
    return dg.RunRequest(run_key=run_key, job_name=DAYS_JOB, tags={**tags, **span}, asset_selection=chosen)


def _nothing_to_do(plan: Plan[object], what: str, problems: list[str]) -> str:
    parts = []
    if plan.waiting:
        parts.append(f"{len(plan.waiting)} {what} wait for their next attempt")
    if plan.given_up:
        parts.append(f"{len(plan.given_up)} {what} were given up after failed runs")
    parts.extend(problems[:3])
    return "; ".join(parts) or f"no new {what}"
