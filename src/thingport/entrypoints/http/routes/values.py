"""``/data/values``."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from thingport.application.reading_batches import AcceptedReadings
from thingport.domain.actor import Actor
from thingport.entrypoints.http.access import ValueDeleter, ValueWriter
from thingport.entrypoints.http.batch_body import (
    ARROW_STREAM,
    BatchBody,
    ReceivedBatch,
)
from thingport.entrypoints.http.batch_request import parse_batch
from thingport.entrypoints.http.json_body import Body, parse_array, parse_object
from thingport.entrypoints.http.schemas import (
    ERRORS,
    ReadingsOfThingBean,
    ValuesBean,
    request_body,
)
from thingport.entrypoints.http.services import BatchTurn, HttpServices, Services
from thingport.entrypoints.http.value_request import (
    parse_deletion,
    parse_metric_of_thing,
    parse_values,
)

router = APIRouter(tags=["Values"])


def _required(name: str, kind: str = "string") -> dict[str, object]:
    return {"name": name, "in": "query", "required": True, "schema": {"type": kind}}


_METRIC_OF_THING = [_required("thingId"), _required("metricName")]
_BATCH_BODY = request_body(
    ReadingsOfThingBean,
    is_list=True,
    others={ARROW_STREAM: {"schema": {"type": "string", "format": "binary"}}},
)
_BOUNDS = [
    _required("startTimestamp", "integer"),
    _required("endTimestamp", "integer"),
]


@router.put(
    "/data/values",
    status_code=HTTPStatus.CREATED,
    responses=ERRORS,
    openapi_extra={**request_body(ValuesBean), "parameters": _METRIC_OF_THING},
    response_class=Response,
    summary="Writes values of a metric of a thing",
)
def write_values(
    request: Request, services: Services, actor: ValueWriter, body: Body
) -> Response:
    """Store values; answered when they are durable, all of them or none."""
    target = parse_metric_of_thing(request.query_params)
    values = parse_values(parse_object(body))
    services.readings.write(actor, target.thing_id, target.metric_name, values)
    return Response(status_code=HTTPStatus.CREATED)


@router.post(
    "/data/values/batch",
    status_code=HTTPStatus.CREATED,
    responses=ERRORS,
    openapi_extra=_BATCH_BODY,
    response_class=Response,
    summary="Writes values of many things",
)
async def write_batch(
    services: Services, actor: ValueWriter, body: ReceivedBatch, turn: BatchTurn
) -> Response:
    """Store readings; answered when they are durable, all of them or none.

    An Arrow stream has a column `thing` (serial numbers) or `thingId`, a column
    `timestamp`, and one for each metric, by its name.
    """
    # Reading takes memory, so it is one at a time; then many may wait for the disk.
    async with turn:
        accepted = await run_in_threadpool(_accept, services, actor, body)
    await run_in_threadpool(services.reading_batches.store, accepted)
    return Response(status_code=HTTPStatus.CREATED)


def _accept(services: HttpServices, actor: Actor, body: BatchBody) -> AcceptedReadings:
    if body.is_arrow:
        return services.reading_batches.accept_table(actor, body.read())
    incoming = parse_batch(parse_array(body.read()))
    return services.reading_batches.accept(actor, incoming)


@router.delete(
    "/data/values",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ERRORS,
    openapi_extra={"parameters": [*_METRIC_OF_THING, *_BOUNDS]},
    response_class=Response,
    summary="Deletes values of a metric of a thing",
)
def delete_values(
    request: Request, services: Services, actor: ValueDeleter
) -> Response:
    """Delete the values of `[startTimestamp, endTimestamp)`, for good.

    Exports that were scheduled before still have them; what is written later stays.
    """
    target, period = parse_deletion(request.query_params)
    services.readings.delete(actor, target.thing_id, target.metric_name, period)
    return Response(status_code=HTTPStatus.NO_CONTENT)
