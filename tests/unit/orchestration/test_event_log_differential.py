"""The event log of our own against Dagster's: the same runs, every question, the same answers."""

from itertools import chain, zip_longest

import dagster as dg
import pytest

from tests.unit.orchestration.event_log_answers import NOT_COMPARED, answers, reading_methods
from tests.unit.orchestration.event_logs import history, range_tags, table

pytestmark = pytest.mark.seldom

PARTITIONS = ["2026-03-01", "2026-03-02", "2026-03-03"]
ASSETS = [dg.AssetKey("table"), dg.AssetKey("dimension"), dg.AssetKey("never")]
CHECKS = [
    dg.AssetCheckKey(dg.AssetKey("table"), "whole"),
    dg.AssetCheckKey(dg.AssetKey("dimension"), "keys"),
    dg.AssetCheckKey(dg.AssetKey("table"), "never"),
]
ALL_DAYS = range_tags(PARTITIONS[0], PARTITIONS[-1])
MONDAY = range_tags(PARTITIONS[1], PARTITIONS[1])
BROKEN, EMPTY, UNFINISHED = {"break": "yes"}, {"break early": "yes"}, {"break dimension": "yes"}


@dg.asset(check_specs=[dg.AssetCheckSpec("keys", asset="dimension")], code_version="1")
def dimension(context: dg.AssetExecutionContext):
    context.log_event(dg.AssetObservation("dimension", metadata={"rows": 7}))
    context.log.info("prüfe")
    if "break dimension" in context.run.tags:
        raise dg.Failure("broken", allow_retries=False)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(context.run_id[:4]),
        check_results=[dg.AssetCheckResult(check_name="keys", passed="odd" not in context.run.tags)],
    )


DEFINITIONS = dg.Definitions(
    [table, dimension], jobs=[dg.define_asset_job("days", "table"), dg.define_asset_job("dimensions", "dimension")]
)


def events_of(instance: dg.DagsterInstance, job: str, tags: dict[str, str]) -> list[dg.EventLogEntry]:
    result = DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    return instance.all_logs(result.run_id)


def events_of_cancelled_run(instance: dg.DagsterInstance) -> list[dg.EventLogEntry]:
    created = instance.create_run_for_job(DEFINITIONS.resolve_job_def("dimensions"))
    instance.report_run_canceled(created)
    return instance.all_logs(created.run_id)


def alternating(first: list, second: list) -> list:
    """The events of two runs that work at the same time."""
    return [event for event in chain.from_iterable(zip_longest(first, second)) if event is not None]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """What happens, and what both storages answer after each stage of it."""
    base = tmp_path_factory.mktemp("logs")
    with history(base / "source", stock=True) as source:
        happened = {
            "days are computed": events_of(source, "days", ALL_DAYS),
            "a run of days fails": events_of(source, "days", {**ALL_DAYS, **EMPTY}),
            "a day of them is computed again": events_of(source, "days", MONDAY),
            "a dimension fails": events_of(source, "dimensions", UNFINISHED),
            "it is built after all": events_of(source, "dimensions", {}),
            "its check fails": events_of(source, "dimensions", {"odd": "yes"}),
            "a run is cancelled": events_of_cancelled_run(source),
            "two runs work at once": alternating(
                events_of(source, "days", MONDAY), events_of(source, "days", {**ALL_DAYS, **BROKEN})
            ),
            "all of it is computed": alternating(
                events_of(source, "days", ALL_DAYS), events_of(source, "dimensions", {})
            ),
        }
    seen = {}
    for kind in ("ours", "stock"):
        with history(base / kind, stock=kind == "stock") as instance:
            log = instance.event_log_storage
            log.add_dynamic_partitions("areas", ["north", "south"])
            log.set_concurrency_slots("warehouse", 1)
            for step in ("first", "second"):
                log.claim_concurrency_slot("warehouse", "a run", step, priority=1)
            for stage, events in happened.items():
                for event in events:
                    log.store_event(event)
                of_stage = sorted({event.run_id for event in events})
                seen.setdefault(stage, {})[kind] = answers(log, of_stage, ASSETS, CHECKS, PARTITIONS)
    return seen


def test_every_method_that_reads_is_compared_or_said_not_to_be(stages):
    for stage in stages.values():
        assert stage["ours"].keys() | NOT_COMPARED == reading_methods()
        assert stage["ours"].keys().isdisjoint(NOT_COMPARED)


def test_the_same_runs_give_the_same_answers(stages):
    different = [
        (stage, method)
        for stage, of_kind in stages.items()
        for method, answer in of_kind["stock"].items()
        if of_kind["ours"][method] != answer
    ]
    assert different == []


def test_the_answers_that_are_compared_say_something(stages):
    failed = stages["a run of days fails"]["stock"], stages["its check fails"]["stock"]
    empty = {name for name in failed[0] if not any(str(answers[name]).strip("[]{}(), None") for answers in failed)}
    assert empty == {"get_freshness_state_records"}
