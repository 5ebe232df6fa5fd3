"""A process that ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import subprocess, sys, time
from metrify_assets.storage.child import child_command
process = subprocess.Popen(child_command("sleeper", "an argument"), env={"PYTHONPATH": sys.argv[1]})
print(process.pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""
LEADING = """
import subprocess, sys, time
from metrify_assets.storage.child import child_command
command = child_command("stubborn", stop_seconds=float(sys.argv[2]))
subprocess.Popen(command, env={"PYTHONPATH": sys.argv[1]}, start_new_session=True)
time.sleep(600)
"""
SLEEPER = "import sys, time\nassert sys.argv[1:] == ['an argument'] and __name__ == '__main__'\ntime.sleep(600)\n"


def wait_for_end(process: Path) -> None:
    until = time.monotonic() + 60
    while process.exists() and " Z" not in (process / "stat").read_text():
        assert time.monotonic() < until, "the process is still there"
        time.sleep(0.1)


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        child = Path(f"/proc/{parent.stdout.readline().strip()}")
        time.sleep(1)
        assert child.exists()
        parent.kill()
    wait_for_end(child)


@pytest.mark.parametrize("stop_seconds", ["0.1", "0"])
def test_a_child_that_does_not_end_when_told_is_killed_with_its_group(tmp_path: Path, stop_seconds: str):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    command = [sys.executable, "-c", LEADING, str(tmp_path), stop_seconds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        grandchild = Path(f"/proc/{parent.stdout.readline().strip()}")
        assert grandchild.exists()
        parent.kill()
        wait_for_end(grandchild)


def test_a_child_whose_parent_was_gone_before_it_looked_ends_as_well(tmp_path: Path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    command = [sys.executable, "-m", "metrify_assets.storage.child", str(gone.pid), "10", "sleeper", "an argument"]
    with subprocess.Popen(command, env={"PYTHONPATH": str(tmp_path)}) as child:
        assert child.wait(60) != 0
