"""Record anew what the platform makes of the small utility, and its asset graph: ``python -m tests.golden``.

For a change that is meant to change them; its commit says why each entry moved.
"""

import json
import tempfile
from pathlib import Path

from tests.golden import graph, utility

with tempfile.TemporaryDirectory() as folder:
    values = utility.describe(Path(folder) / "utility")
    utility.RECORDED.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    graph.RECORDED.write_text(graph.describe(Path(folder) / "graph"), encoding="utf-8")
print(f"recorded in {utility.RECORDED.name} and {graph.RECORDED.name}")
