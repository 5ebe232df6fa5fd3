"""A seeded, labelled synthetic utility: points, weather, grid status, meter files of four vendors, and their faults.

Belongs here: everything that makes up data; pure functions of a ``SimulationPlan``, apart from ``write_wave``, which
puts files into an inbox. Does not belong here: reading files back (``feeds/``) and judging them (``vee/``). Nothing
outside the demo, the scoring, the benchmarks and the tests may depend on this package.
"""
