"""What holds for every test."""

from hypothesis import settings

# A loaded machine is no reason to fail: no test has a time limit for its examples.
settings.register_profile("metrify", deadline=None)
settings.load_profile("metrify")
