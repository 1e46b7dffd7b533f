"""``/data/dataExports``."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import JSONResponse

from thingport.domain.data_export import DataExport
from thingport.domain.ids import DataExportId
from thingport.entrypoints.http.access import Exporter
from thingport.entrypoints.http.data_export_bean import bean_of
from thingport.entrypoints.http.data_export_request import read_data_export_request
from thingport.entrypoints.http.json_body import Body, parse_object
from thingport.entrypoints.http.schemas import ERRORS, DataExportBean, request_body
from thingport.entrypoints.http.services import Services

_FIRST_LOOK_S = 1
"""When it is worth looking at a PENDING export again; most are small."""

router = APIRouter(tags=["Data exports"])


@router.post(
    "/data/dataExports",
    status_code=HTTPStatus.CREATED,
    response_model=DataExportBean,
    responses=ERRORS,
    openapi_extra=request_body(DataExportBean),
    summary="Schedules a new data-export",
)
def schedule_data_export(
    services: Services, actor: Exporter, body: Body
) -> JSONResponse:
    """Schedule an export; its archive is made in the background."""
    request, faults = read_data_export_request(parse_object(body))
    data_export = services.data_exports.schedule(actor, request, faults)
    return JSONResponse(
        bean_of(data_export),
        HTTPStatus.CREATED,
        {
            "Location": f"/data/dataExports/{data_export.id}",
            "Retry-After": str(_FIRST_LOOK_S),
        },
    )


@router.get(
    "/data/dataExports/{data_export_id}",
    response_model=DataExportBean,
    responses=ERRORS,
    summary="Gets the details of a data-export",
)
def get_data_export(
    services: Services, actor: Exporter, data_export_id: str
) -> JSONResponse:
    """Look at an export; once it is COMPLETED, with the address of its archive."""
    view = services.data_exports.get(actor, DataExportId(data_export_id))
    url = services.downloads.link_for(view.data_export) if view.may_download else None
    return JSONResponse(
        bean_of(view.data_export, url=url, is_gone=view.is_gone),
        headers=_pause(view.data_export),
    )


def _pause(data_export: DataExport) -> dict[str, str]:
    return {"Retry-After": str(_FIRST_LOOK_S)} if data_export.is_active else {}
