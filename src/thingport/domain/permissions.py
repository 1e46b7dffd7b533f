"""What a user may do, by the platform's names."""

from enum import StrEnum


class Permission(StrEnum):
    """A right that a user and an API key must both have.

    Source: the platform's *User Permissions* page, as far as Thingport needs it.
    """

    EXPORT_DATA = "EXPORT_DATA"
    IMPORT_DATA = "IMPORT_DATA"
    READ_THING = "READ_THING"
    WRITE_METRIC_VALUE = "WRITE_METRIC_VALUE"
    DELETE_METRIC_VALUE = "DELETE_METRIC_VALUE"
