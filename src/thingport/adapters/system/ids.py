"""New ids."""

import uuid_utils


class Uuid7Source:
    """Ids that grow with time."""

    def new_id(self) -> str:
        """Give a new UUIDv7 as 32 lower-case hex digits."""
        return uuid_utils.uuid7().hex
