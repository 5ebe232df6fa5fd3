"""Record anew what the platform makes of the small utility: ``python -m tests.golden``.

For a change that is meant to change values; its commit says why each entry moved.
"""

import json
import tempfile
from pathlib import Path

from tests.golden.utility import RECORDED, describe

with tempfile.TemporaryDirectory() as folder:
    RECORDED.write_text(json.dumps(describe(Path(folder)), indent=1) + "\n", encoding="utf-8")
print(f"recorded in {RECORDED.name}")
