"""Plans and chunks as compressed JSON."""

import gzip
import zlib
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import Chunk, ExportPlan, ThingSpan, WholeThings

_T = TypeVar("_T")

_PLAN: TypeAdapter[ExportPlan] = TypeAdapter(ExportPlan)
_CHUNKS: TypeAdapter[tuple[ThingSpan | WholeThings, ...]] = TypeAdapter(
    tuple[ThingSpan | WholeThings, ...]
)
_LEVEL = 1
"""Plans are written once and read a few times; the fastest level is enough."""


def encode_plan(plan: ExportPlan) -> bytes:
    """Give a plan as bytes; equal plans give equal bytes."""
    return gzip.compress(_PLAN.dump_json(plan), _LEVEL, mtime=0)


def decode_plan(content: bytes) -> ExportPlan:
    """Give a plan back.

    Raises:
        CorruptData: The bytes are not those of a plan.
    """
    return _decode(_PLAN, content, "plan")


def encode_chunks(chunks: tuple[Chunk, ...]) -> bytes:
    """Give the chunks of an export as bytes."""
    return gzip.compress(_CHUNKS.dump_json(chunks), _LEVEL, mtime=0)


def decode_chunks(content: bytes) -> tuple[Chunk, ...]:
    """Give the chunks of an export back.

    Raises:
        CorruptData: The bytes are not those of chunks.
    """
    return _decode(_CHUNKS, content, "list of chunks")


def _decode(adapter: TypeAdapter[_T], content: bytes, what: str) -> _T:
    try:
        return adapter.validate_json(gzip.decompress(content))
    except (OSError, EOFError, zlib.error, ValidationError) as error:
        raise CorruptData(f"a stored {what} is damaged") from error
