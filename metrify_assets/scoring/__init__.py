"""How well the platform does on a simulated utility: what was injected against what was found, estimates against truth.

Belongs here: measures, baselines and goals, and the one function that runs a simulation through the platform
(``run.py``). Does not belong here: anything that the platform itself uses; nothing outside the command line and the
tests may depend on this package.
"""
