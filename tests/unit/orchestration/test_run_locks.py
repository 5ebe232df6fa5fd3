"""The lock of a run: held while its process lives, free when it is gone, judged on its machine alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from metrify_assets.orchestration.run_locks import Holder, Launcher, Machine, RunLocks, this_machine

HERE = Machine("plant", "kernel-1", "pid:[1]")


@pytest.fixture
def locks(tmp_path: Path) -> RunLocks:
    return RunLocks(tmp_path / "locks")


def is_abandoned(locks: RunLocks, run_id: str) -> bool:
    with locks.abandoned(run_id) as abandoned:
        return abandoned


def test_a_lock_is_held_by_the_process_that_inherits_it_until_that_is_killed(locks):
    lock = locks.take("run")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[lock]) as process:
        locks.name_holder(lock, process.pid)
        os.close(lock)
        assert not is_abandoned(locks, "run")
        assert locks.pid("run") == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_abandoned(locks, "run")
    assert locks.run_ids() == ["run"]


def test_who_finds_a_lock_free_holds_it_so_that_others_do_not(locks):
    os.close(locks.take("run"))
    with locks.abandoned("run") as first:
        assert first
        assert not is_abandoned(locks, "run")


@pytest.mark.parametrize("content", [b"", b'{"machine": {"host": "pla', b"[]", b'{"machine": {"planet": 3}, "pid": 7}'])
def test_a_lock_whose_file_names_nobody_is_that_of_a_machine_that_stopped(locks, content):
    held = locks.take("run")
    (locks.folder / "run").write_bytes(content)
    assert not is_abandoned(locks, "run")
    assert locks.pid("run") is None
    os.close(held)
    assert is_abandoned(locks, "run")


def test_a_lock_that_does_not_exist_says_nothing(locks):
    assert not is_abandoned(locks, "run")
    assert locks.pid("run") is None
    assert locks.run_ids() == []


def test_a_run_of_this_process_leaves_no_lock_also_when_it_fails(locks):
    with locks.holding("run"):
        assert locks.pid("run") == os.getpid()
        assert not is_abandoned(locks, "run")
    assert locks.run_ids() == []
    with pytest.raises(ZeroDivisionError), locks.holding("run"):
        raise ZeroDivisionError
    assert locks.run_ids() == []


def test_a_process_that_is_not_started_yet_has_no_number(locks):
    lock = locks.take("run")
    assert locks.pid("run") is None
    assert not is_abandoned(locks, "run")
    os.close(lock)


def test_a_lock_of_another_machine_is_not_judged(locks):
    os.close(locks.take("run"))
    elsewhere = {"host": "another", "kernel": "another", "processes": this_machine().processes}
    holder = {"machine": elsewhere, "pid": 1, "launcher": asdict(Launcher.this_process())}
    (locks.folder / "run").write_text(json.dumps(holder) + "\n")
    assert not is_abandoned(locks, "run")
    assert locks.pid("run") is None


def test_who_started_a_run_lives_or_is_gone(locks):
    taking = (
        "import sys; from pathlib import Path; from metrify_assets.orchestration.run_locks import RunLocks;"
        "RunLocks(Path(sys.argv[1])).take('theirs'); sys.stdin.read()"
    )
    os.close(locks.take("ours"))
    command = [sys.executable, "-c", taking, str(locks.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        until = time.monotonic() + 60
        while "theirs" not in locks.run_ids():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert not locks.launcher_is_gone("theirs")
        other.stdin.close()
    assert locks.launcher_is_gone("theirs")
    assert not locks.launcher_is_gone("ours")


@pytest.mark.parametrize(
    ("machine", "launcher"),
    [
        # Its number belongs to another process by now.
        (this_machine(), replace(Launcher.this_process(), began=1)),
        # The machine was started anew.
        (replace(this_machine(), kernel="before"), Launcher.this_process()),
    ],
)
def test_a_number_that_means_another_process_now_is_not_who_started_a_run(locks, machine, launcher):
    lock = locks.take("run")
    os.ftruncate(lock, 0)
    Holder(machine, None, launcher).write(lock)
    os.close(lock)
    assert locks.launcher_is_gone("run")


@pytest.mark.parametrize(
    ("other", "shares_locks", "shares_processes"),
    [
        (HERE, True, True),
        # The machine was started anew: its locks are free, its numbers mean other processes.
        (replace(HERE, kernel="kernel-2"), True, False),
        # Another container of the same host.
        (Machine("container", "kernel-1", "pid:[2]"), True, False),
        (Machine("another", "kernel-3", "pid:[1]"), False, False),
        # Systems that do not name their kernel are told apart by their names.
        (Machine("another", "", ""), False, False),
    ],
)
def test_what_can_be_judged_depends_on_the_kernel_and_the_numbering_of_processes(other, shares_locks, shares_processes):
    assert HERE.shares_locks_with(other) is shares_locks
    assert HERE.shares_processes_with(other) is shares_processes


def test_machines_without_a_known_kernel_share_nothing_but_with_themselves():
    here = Machine("mac", "", "")
    assert here.shares_processes_with(here)
    assert not here.shares_locks_with(Machine("another", "", ""))
