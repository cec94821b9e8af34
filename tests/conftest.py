"""What all tests share."""

from hypothesis import settings

# The same examples at every run, and no clock: a slow machine fails nothing.
settings.register_profile("hven", deadline=None, derandomize=True)
settings.load_profile("hven")
