"""The beans of the wire, for the OpenAPI document; nothing is parsed with these."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Bean(BaseModel):
    """An object of the wire."""

    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


class ErrorBean(Bean):
    """What went wrong."""

    message: str
    """One sentence that says what to change."""


class QualifiedMetricBean(Bean):
    """A metric, and the thing definition or the product model that it is taken from."""

    metric_id: str
    thing_definition_id: str | None = None
    product_model_id: str | None = None
    product_model_part_id: str | None = None


class ProgressBean(Bean):
    """How much of a data export is done."""

    phase: Literal["QUEUED", "CUTTING", "RENDERING", "SEALING", "DONE"]
    things_done: int
    things_total: int
    rows_done: int
    rows_total: int
    bytes_written: int
    percent: int
    remaining_seconds: int | None = None
    """How long rendering may still take, at its pace so far."""


class ExportErrorBean(Bean):
    """Why there is no archive."""

    code: str
    message: str


class DataExportBean(Bean):
    """A data export."""

    id: str | None = None
    """Its identifier; ignored in requests."""

    name: str | None = None
    """1 to 200 characters, not unique."""

    date_time: int | None = None
    """When it was scheduled, in UTC ms; ignored in requests."""

    thing_file_name: str | None = None
    """Mask of the files' names, such as `${thing.serialNumber}`, without extension."""

    hash_thing_file_name: bool | None = None
    """Whether names are replaced by their MD5."""

    state: Literal["PENDING", "COMPLETED", "ERROR"] | None = None
    """Ignored in requests."""

    customer_id: str | None = None
    location_id: str | None = None
    thing_id: str | None = None
    qualified_metric_ids: list[QualifiedMetricBean] | None = None
    start_timestamp: int | None = None
    """First instant of the period, in UTC ms."""

    end_timestamp: int | None = None
    """The instant that the period ends before, in UTC ms."""

    include_unit: bool | None = None
    """Whether headers are followed by `[unit]`."""

    timestamp_format: Literal["ISO_8601", "EPOCH_MILLIS"] | None = None
    url: str | None = None
    """Where the archive is; only in the details of a COMPLETED export."""

    expired: bool | None = None
    """There and true when the archive was deleted; ignored in requests."""

    progress: ProgressBean | None = None
    """Ignored in requests."""

    error: ExportErrorBean | None = None
    """There when the state is ERROR; ignored in requests."""


class ImportProgressBean(Bean):
    """How much of a data import is done."""

    phase: Literal["QUEUED", "READING", "STORING", "DONE"]
    rows_read: int
    percent: int


class RejectedRowBean(Bean):
    """A row that was not stored."""

    line: int
    """Where it begins in the CSV file, from 1."""

    reason: str


class ImportErrorBean(Bean):
    """Why nothing was stored."""

    code: str
    message: str


class DataImportBean(Bean):
    """A data import."""

    id: str
    date_time: int
    """When it was scheduled, in UTC ms."""

    state: Literal["PENDING", "COMPLETED", "ERROR"]
    thing_id: str
    csv_header_row: int
    text_guard: Literal["NONE", "FORMULA"]
    progress: ImportProgressBean
    completed_at: int | None = None
    """When it ended, in UTC ms."""

    rows_accepted: int | None = None
    """Rows of which everything is stored; there when the state is COMPLETED."""

    rows_rejected: int | None = None
    """Rows of which nothing is stored; there when the state is COMPLETED."""

    rejected_rows: list[RejectedRowBean] | None = None
    """The first 100 of them, by line."""

    error: ImportErrorBean | None = None
    """There when the state is ERROR."""


class LoginBean(Bean):
    """An API key and a personal access token."""

    api_key: str
    pat: str


class SessionBean(Bean):
    """A session that has begun."""

    token: str
    token_expiration_timestamp: int
    refresh_token: str
    user_id: str
    tenant_id: str


class ValueBean(Bean):
    """A value, as JSON has it or as a text."""

    value: str | float | bool


class ValuesAtBean(Bean):
    """The values of one instant, in UTC ms."""

    timestamp: int
    values: list[ValueBean]


class ValuesBean(Bean):
    """Values of one metric of one thing."""

    data: list[ValuesAtBean]


class ReadingBean(Bean):
    """The values of one instant, in UTC ms, by the names of their metrics."""

    timestamp: int
    values: dict[str, str | float | bool]


class ReadingsOfThingBean(Bean):
    """Readings of one thing."""

    thing_id: str
    data: list[ReadingBean]


REQUEST_BEANS = (LoginBean, ValuesBean, ReadingsOfThingBean)
"""What occurs in requests only."""

ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorBean, "description": "What went wrong."}
}


def request_body(
    bean: type[Bean],
    *,
    is_list: bool = False,
    others: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Describe a route whose body is a bean, a list of it, or of another type."""
    reference = {"$ref": f"#/components/schemas/{bean.__name__}"}
    schema = {"type": "array", "items": reference} if is_list else reference
    content = {"application/json": {"schema": schema}, **(others or {})}
    return {"requestBody": {"required": True, "content": content}}
