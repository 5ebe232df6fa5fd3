"""Side-by-side measurements of the platform with what a user could take instead.

Belongs here: one module per benchmark, found by its name (``python -m benchmarks NAME``); a benchmark is a module
with a function ``measure``. Beside them: the frame that runs them, seeded data, and the peers that they are compared
with. Does not belong here: tests; a benchmark fails only where two sides that do the same work disagree.
"""
