"""Value objects of a data export as JSON, and back.

Decoding raises ``CorruptData`` for whatever encoding did not make.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from thingport.domain.data_export import (
    Archive,
    ExportError,
    Phase,
    Progress,
    Rendition,
    Selection,
    TimestampFormat,
)
from thingport.domain.errors import CorruptData
from thingport.domain.metric import (
    MetricAnywhere,
    MetricOfDefinition,
    MetricOfPart,
    QualifiedMetric,
)
from thingport.domain.period import Period
from thingport.domain.segment import SegmentIndex, SegmentMember

Json = dict[str, Any]
"""A JSON object, as ``json`` reads it."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def decoder(decode: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a function raise ``CorruptData`` for what it cannot decode."""

    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return decode(*args, **kwargs)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptData(
                f"a stored JSON value is damaged ({decode.__name__}: {error})"
            ) from error

    return checked


def encode_selection(selection: Selection) -> Json:
    """Give a selection as JSON."""
    return {
        "customer_id": selection.customer_id,
        "location_id": selection.location_id,
        "thing_id": selection.thing_id,
        "qualified_metrics": [
            _encode_qualified_metric(it) for it in selection.qualified_metrics
        ],
        "start_ms": selection.period.start_ms,
        "end_ms": selection.period.end_ms,
    }


@decoder
def decode_selection(value: Json) -> Selection:
    """Give a selection back."""
    return Selection(
        customer_id=value["customer_id"],
        location_id=value["location_id"],
        thing_id=value["thing_id"],
        qualified_metrics=tuple(
            _decode_qualified_metric(it) for it in value["qualified_metrics"]
        ),
        period=Period(value["start_ms"], value["end_ms"]),
    )


def _encode_qualified_metric(metric: QualifiedMetric) -> Json:
    match metric:
        case MetricAnywhere():
            return {"source": "anywhere", "metric_id": metric.metric_id}
        case MetricOfDefinition():
            return {
                "source": "definition",
                "metric_id": metric.metric_id,
                "thing_definition_id": metric.thing_definition_id,
            }
        case MetricOfPart():
            return {
                "source": "part",
                "metric_id": metric.metric_id,
                "product_model_id": metric.product_model_id,
                "product_model_part_id": metric.product_model_part_id,
            }


def _decode_qualified_metric(value: Json) -> QualifiedMetric:
    match value["source"]:
        case "anywhere":
            return MetricAnywhere(value["metric_id"])
        case "definition":
            return MetricOfDefinition(value["metric_id"], value["thing_definition_id"])
        case "part":
            return MetricOfPart(
                value["metric_id"],
                value["product_model_id"],
                value["product_model_part_id"],
            )
        case unknown:
            raise ValueError(f"metrics from {unknown!r}")


def encode_rendition(rendition: Rendition) -> Json:
    """Give a rendition as JSON."""
    return {
        "thing_file_name": rendition.thing_file_name,
        "hash_thing_file_name": rendition.hash_thing_file_name,
        "include_unit": rendition.include_unit,
        "timestamp_format": rendition.timestamp_format.value,
    }


@decoder
def decode_rendition(value: Json) -> Rendition:
    """Give a rendition back."""
    return Rendition(
        thing_file_name=value["thing_file_name"],
        hash_thing_file_name=value["hash_thing_file_name"],
        include_unit=value["include_unit"],
        timestamp_format=TimestampFormat(value["timestamp_format"]),
    )


def encode_progress(progress: Progress) -> Json:
    """Give a progress as JSON."""
    return {**asdict(progress), "phase": progress.phase.value}


@decoder
def decode_progress(value: Json) -> Progress:
    """Give a progress back."""
    counts = {name: count for name, count in value.items() if name != "phase"}
    return Progress(phase=Phase(value["phase"]), **counts)


def encode_archive(archive: Archive | None) -> Json | None:
    """Give what is known of an archive as JSON."""
    return None if archive is None else asdict(archive)


@decoder
def decode_archive(value: Json | None) -> Archive | None:
    """Give what is known of an archive back."""
    return None if value is None else Archive(**value)


def encode_error(error: ExportError | None) -> Json | None:
    """Give the reason of a failure as JSON."""
    return None if error is None else asdict(error)


@decoder
def decode_error(value: Json | None) -> ExportError | None:
    """Give the reason of a failure back."""
    return None if value is None else ExportError(**value)


def encode_segment_index(index: SegmentIndex) -> Json:
    """Give the index of a segment as JSON."""
    return {
        "size_bytes": index.size_bytes,
        "sha256": index.sha256,
        "members": [asdict(it) for it in index.members],
    }


@decoder
def decode_segment_index(chunk_number: int, value: Json) -> SegmentIndex:
    """Give the index of the segment of a chunk back."""
    return SegmentIndex(
        chunk_number=chunk_number,
        size_bytes=value["size_bytes"],
        sha256=value["sha256"],
        members=tuple(SegmentMember(**it) for it in value["members"]),
    )
