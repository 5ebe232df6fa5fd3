"""A process that ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import subprocess, sys, time
from metrify_assets.storage.child import child_command
process = subprocess.Popen(child_command("sleeper", "an argument"), env={"PYTHONPATH": sys.argv[1]})
print(process.pid, flush=True)
time.sleep(600)
"""
SLEEPER = "import sys, time\nassert sys.argv[1:] == ['an argument'] and __name__ == '__main__'\ntime.sleep(600)\n"


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        child = Path(f"/proc/{parent.stdout.readline().strip()}")
        time.sleep(1)
        assert child.exists()
        parent.kill()
    until = time.monotonic() + 60
    while child.exists() and " Z" not in (child / "stat").read_text():
        assert time.monotonic() < until, "the child is still there"
        time.sleep(0.1)
