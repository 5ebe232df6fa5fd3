"""Jobs that a test starts as processes; each says with a file that it is at work."""

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from metrify_assets.orchestration.assets.common import retry_policy

LONG_QUERY = (
    "select sum(a.range * b.range) from range(2000000) as a, range(2000000) as b where a.range % 7 = b.range % 5"
)


def _at_work(context: dg.OpExecutionContext) -> None:
    Path(context.run.tags["at_work"]).touch()


@dg.op(retry_policy=retry_policy())
def sleep_briefly(context: dg.OpExecutionContext) -> None:
    """Work that the second try would get done at once."""
    if context.retry_number == 0:
        _at_work(context)
        time.sleep(600)
    time.sleep(1)


@dg.op
def sleep_long(context: dg.OpExecutionContext) -> None:
    _at_work(context)
    time.sleep(600)


@dg.op
def query_long(context: dg.OpExecutionContext) -> None:
    import duckdb

    _at_work(context)
    duckdb.sql(LONG_QUERY).fetchall()


@dg.op
def wait_for_stubborn_process(context: dg.OpExecutionContext) -> None:
    """Wait for a process that ignores being asked to end, as a dbt in a long query does."""
    script = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()
    _at_work(context)
    try:
        process.wait()
    except dg.DagsterExecutionInterruptedError:
        process.wait(25)
        raise


@dg.op
def end_at_once(context: dg.OpExecutionContext) -> None:
    _at_work(context)


@dg.job(executor_def=dg.in_process_executor)
def sleeping() -> None:
    sleep_long()


@dg.job(executor_def=dg.in_process_executor)
def retrying() -> None:
    sleep_briefly()


@dg.job(executor_def=dg.in_process_executor)
def querying() -> None:
    query_long()


@dg.job(executor_def=dg.in_process_executor)
def waiting() -> None:
    wait_for_stubborn_process()


@dg.job(executor_def=dg.in_process_executor)
def quick() -> None:
    end_at_once()
