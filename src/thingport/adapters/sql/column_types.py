"""Column types: how instants and words of the domain are stored."""

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from sqlalchemy import BigInteger, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from thingport.domain.period import epoch_ms, instant_of

_Word = TypeVar("_Word", bound=StrEnum)


class Instant(TypeDecorator[datetime]):
    """An aware UTC ``datetime``, stored as whole milliseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> int | None:
        """Give what is stored."""
        return None if value is None else epoch_ms(value)

    def process_result_value(
        self,
        value: int | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> datetime | None:
        """Give what was stored."""
        return None if value is None else instant_of(value)


class Word(TypeDecorator[_Word], Generic[_Word]):
    """A member of a ``StrEnum``, stored as its text.

    Not the database's own enumerations: a new member needs no migration.
    """

    impl = String
    cache_ok = True

    def __init__(self, words: type[_Word]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(
        self,
        value: _Word | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> str | None:
        """Give what is stored."""
        return None if value is None else value.value

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> _Word | None:
        """Give what was stored."""
        return None if value is None else self.words(value)
