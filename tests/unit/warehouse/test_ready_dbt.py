"""dbt is run by a process that has imported it, and by itself where there is none."""

import os
import subprocess

import pytest

from metrify_assets.warehouse.dbt_client import SOCKET
from metrify_assets.warehouse.ready_dbt import ReadyDbt, dbt_command

pytestmark = pytest.mark.slow


def dbt(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*dbt_command(), *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def ready():
    process = ReadyDbt("duckdb")
    yield process
    process.close()


def test_a_ready_process_runs_each_command_as_dbt_alone_does(ready):
    alone = dbt("--help")
    assert (alone.returncode, "Usage:" in alone.stdout) == (0, True)
    for _ in range(2):
        done = dbt("--help", **ready.environment)
        # The first line names the program.
        assert (done.returncode, done.stdout.splitlines()[1:]) == (0, alone.stdout.splitlines()[1:])


def test_the_exit_code_and_the_words_of_an_error_are_those_of_dbt(ready):
    by_ready, alone = dbt("nonsense", **ready.environment), dbt("nonsense")
    assert by_ready.returncode == alone.returncode == 2
    assert by_ready.stderr.splitlines()[-1] == alone.stderr.splitlines()[-1] == "Error: No such command 'nonsense'."


def test_a_process_that_ended_leaves_nothing_and_dbt_runs_alone():
    process = ReadyDbt("duckdb")
    process.close()
    assert not os.path.exists(os.path.dirname(process.socket))
    assert dbt("--help", **{SOCKET: process.socket}).returncode == 0


def test_a_process_that_cannot_import_its_adapter_leaves_dbt_to_run_alone():
    process = ReadyDbt("no_such_adapter")
    try:
        assert dbt("--help", **process.environment).returncode == 0
    finally:
        process.close()
