"""Metrics: named quantities with a unit and a type, and the values they take."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from thingport.domain.ids import (
    MetricId,
    ProductModelId,
    ProductModelPartId,
    ThingDefinitionId,
)

Value = bool | int | float | str
"""A value of a metric, in the Python type of its value type."""

MAX_TEXT_BYTES = 64 * 1024
"""Longest text value, in UTF-8 bytes; it bounds the memory that a row can take."""

MAX_FLOAT32 = 3.4028234663852886e38
"""Largest finite 32-bit float (IEEE 754)."""

END_OF_FLOAT32 = 2.0**128 - 2.0**103
"""From here on numbers are nearer to infinity, in 32 bits, than to the largest
finite float: ``3.4028235e+38``, as that one is written, lies below it."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_INTEGER_DIGITS = 19
"""Most digits of a 64-bit integer. A text of thousands is not even converted."""


class ValueType(StrEnum):
    """The type of a metric's values, by the platform's names."""

    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    INTEGER = "INTEGER"
    LONG = "LONG"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"


class MetricType(StrEnum):
    """Where a metric's values come from, by the platform's names."""

    SIMPLE = "SIMPLE"
    BLOB = "BLOB"
    RECORD = "RECORD"
    COUNTER = "COUNTER"
    DERIVED = "DERIVED"
    DELTA = "DELTA"
    ALGORITHM = "ALGORITHM"
    WEAR = "WEAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A named quantity that a thing definition owns.

    Attributes:
        name: What the API takes; unique along a definition's chain; free text.
        label: What people read, where there is one.
        unit: As the maker wrote it; values are never converted.
        is_retired: Whether it takes no new values; those that it has stay, and an
            import may bring more of its past.
    """

    id: MetricId
    thing_definition_id: ThingDefinitionId
    name: str
    label: str | None = None
    unit: str | None = None
    group: str | None = None
    description: str | None = None
    type: MetricType = MetricType.SIMPLE
    value_type: ValueType
    is_retired: bool = False

    @property
    def is_exportable(self) -> bool:
        """Whether its values are plain ones, with a place in a CSV cell."""
        return self.type not in {MetricType.BLOB, MetricType.RECORD}


@dataclass(frozen=True, slots=True)
class MetricAnywhere:
    """A metric, wherever it exists."""

    metric_id: MetricId


@dataclass(frozen=True, slots=True)
class MetricOfDefinition:
    """A metric of the things whose definition is this one or inherits from it."""

    metric_id: MetricId
    thing_definition_id: ThingDefinitionId


@dataclass(frozen=True, slots=True)
class MetricOfPart:
    """A metric of a product model's root thing, or of one of its parts."""

    metric_id: MetricId
    product_model_id: ProductModelId
    product_model_part_id: ProductModelPartId | None = None


QualifiedMetric = MetricAnywhere | MetricOfDefinition | MetricOfPart
"""A metric *and where it comes from*."""


def retired_message(metric: Metric) -> str:
    """Say why a metric takes no value."""
    return f"the metric {metric.name!r} is retired and takes no more values"


class ValueDoesNotFit(ValueError):
    """A value is not one of its metric's type; says what was expected."""

    def __init__(self, value_type: ValueType, reason: str) -> None:
        super().__init__(f"not a {value_type}: {reason}")
        self.value_type = value_type
        self.reason = reason


def parse_value(value_type: ValueType, given: object) -> Value:
    """Read a value as a metric's type wants it, or refuse it.

    Takes JSON values of the right kind, and the platform's own form, where every
    value is a string. Refuses what would have to be rounded, cut or guessed:
    never loses a digit of an integer, and never stores what is not finite.

    Returns:
        ``str``, ``bool``, ``int`` (64-bit) or ``float``. A ``FLOAT`` is a float
        whose nearest 32-bit neighbour is finite; rounding to it is the store's.

    Raises:
        ValueDoesNotFit: With the reason, in words for the caller.
    """
    match value_type:
        case ValueType.STRING:
            return _parse_text(given)
        case ValueType.BOOLEAN:
            return _parse_boolean(given)
        case ValueType.INTEGER | ValueType.LONG:
            return _parse_integer(value_type, given)
        case ValueType.FLOAT | ValueType.DOUBLE:
            return _parse_decimal(value_type, given)


def _parse_text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueDoesNotFit(ValueType.STRING, "a text in quotes is due")
    try:
        size = len(given.encode())
    except UnicodeEncodeError:
        raise ValueDoesNotFit(
            ValueType.STRING, "it has half of a surrogate pair, which is no character"
        ) from None
    if size > MAX_TEXT_BYTES:
        raise ValueDoesNotFit(
            ValueType.STRING, f"{size} bytes, but at most {MAX_TEXT_BYTES} are kept"
        )
    return given


def _parse_boolean(given: object) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given in {"true", "false"}:
        return given == "true"
    raise ValueDoesNotFit(ValueType.BOOLEAN, "true or false is due")


def _parse_integer(value_type: ValueType, given: object) -> int:
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        digits = given.lstrip("+-").lstrip("0") or "0"
        if len(digits) > _MAX_INTEGER_DIGITS:
            raise ValueDoesNotFit(value_type, "it does not fit 64 bits")
        given = -int(digits) if given.startswith("-") else int(digits)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueDoesNotFit(value_type, "a whole number is due")
    if not -(2**63) <= given < 2**63:
        raise ValueDoesNotFit(value_type, "it does not fit 64 bits")
    return given


def _parse_decimal(value_type: ValueType, given: object) -> float:
    if isinstance(given, str) and _DECIMAL.fullmatch(given):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueDoesNotFit(value_type, "a number is due")
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueDoesNotFit(value_type, "it is not finite")
    if value_type is ValueType.FLOAT and abs(number) >= END_OF_FLOAT32:
        raise ValueDoesNotFit(value_type, "it does not fit 32 bits")
    return number
