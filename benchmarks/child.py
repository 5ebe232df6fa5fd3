"""A child process of a benchmark: ``python -m benchmarks.child module:function ARGUMENTS RESULT``.

Calls the function with the arguments (a JSON object) and writes what it returns as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(function: str, arguments: str, result: str) -> None:
    """Call ``module:function`` and store its answer."""
    module, _, name = function.partition(":")
    answer = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    Path(result).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
