"""What holds for all tests."""

from hypothesis import settings

# A deadline for one example is a timing assertion, which a busy machine fails.
settings.register_profile("thingport", deadline=None)
settings.load_profile("thingport")
