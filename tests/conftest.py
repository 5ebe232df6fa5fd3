"""What holds for every test."""

from tests.examples import load_profile

load_profile()
