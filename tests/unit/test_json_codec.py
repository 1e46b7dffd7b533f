"""Value objects of data exports survive being stored as JSON."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.adapters.sql import json_codec
from thingport.domain.data_export import (
    Archive,
    ExportError,
    Progress,
    Rendition,
    Selection,
)
from thingport.domain.errors import CorruptData
from thingport.domain.metric import MetricAnywhere, MetricOfDefinition, MetricOfPart
from thingport.domain.period import Period
from thingport.domain.segment import SegmentIndex, SegmentMember

counts = st.integers(0, 2**63)
instants = st.none() | st.integers(-(2**53), 2**53)
members = st.builds(SegmentMember, first_ms=instants, last_ms=instants)
VALUES: list[tuple[st.SearchStrategy[Any], Callable[..., Any], Callable[..., Any]]] = [
    (
        st.builds(
            Selection,
            qualified_metrics=st.lists(
                st.builds(MetricAnywhere)
                | st.builds(MetricOfDefinition)
                | st.builds(MetricOfPart)
            ).map(tuple),
            period=st.builds(Period, instants, instants),
        ),
        json_codec.encode_selection,
        json_codec.decode_selection,
    ),
    (
        st.builds(Rendition),
        json_codec.encode_rendition,
        json_codec.decode_rendition,
    ),
    (
        st.builds(Progress, rows_done=counts, bytes_written=counts),
        json_codec.encode_progress,
        json_codec.decode_progress,
    ),
    (
        st.none() | st.builds(Archive, size_bytes=counts),
        json_codec.encode_archive,
        json_codec.decode_archive,
    ),
    (
        st.none() | st.builds(ExportError),
        json_codec.encode_error,
        json_codec.decode_error,
    ),
]


@given(data=st.data(), case=st.sampled_from(VALUES))
def test_what_was_encoded_decodes_to_the_same(
    data: st.DataObject,
    case: tuple[st.SearchStrategy[Any], Callable[..., Any], Callable[..., Any]],
) -> None:
    values, encode, decode = case
    value = data.draw(values)

    assert decode(json.loads(json.dumps(encode(value)))) == value


@given(
    index=st.builds(
        SegmentIndex, size_bytes=counts, members=st.lists(members).map(tuple)
    )
)
def test_an_index_decodes_to_the_same(index: SegmentIndex) -> None:
    stored = json.loads(json.dumps(json_codec.encode_segment_index(index)))

    assert json_codec.decode_segment_index(index.chunk_number, stored) == index


@pytest.mark.parametrize(
    ("decode", "value"),
    [
        (json_codec.decode_selection, {}),
        (json_codec.decode_selection, None),
        (json_codec.decode_rendition, {"timestamp_format": "ROMAN"}),
        (json_codec.decode_progress, {"phase": "ASLEEP"}),
        (json_codec.decode_progress, {"phase": "DONE", "sheep": 1}),
        (json_codec.decode_archive, {"rows": 1}),
        (json_codec.decode_error, [1]),
        (
            json_codec.decode_selection,
            {
                **json_codec.encode_selection(Selection()),
                "qualified_metrics": [{"source": "elsewhere", "metric_id": "m"}],
            },
        ),
    ],
)
def test_what_was_never_encoded_is_called_damaged(
    decode: Callable[[object], object], value: object
) -> None:
    with pytest.raises(CorruptData, match="damaged"):
        decode(value)
