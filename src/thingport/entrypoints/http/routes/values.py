"""``/data/values``."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from thingport.entrypoints.http.access import ValueWriter
from thingport.entrypoints.http.json_body import Body, parse_object
from thingport.entrypoints.http.schemas import ERRORS, ValuesBean, request_body
from thingport.entrypoints.http.services import Services
from thingport.entrypoints.http.value_request import parse_metric_of_thing, parse_values

router = APIRouter(tags=["Values"])

_QUERY = {
    "parameters": [
        {"name": name, "in": "query", "required": True, "schema": {"type": "string"}}
        for name in ("thingId", "metricName")
    ]
}


@router.put(
    "/data/values",
    status_code=HTTPStatus.CREATED,
    responses=ERRORS,
    openapi_extra={**request_body(ValuesBean), **_QUERY},
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
