"""``/data/dataImports``."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from thingport.domain.data_import import DataImport, TextGuard
from thingport.domain.ids import DataImportId
from thingport.entrypoints.http.access import Importer
from thingport.entrypoints.http.data_import_bean import import_bean_of
from thingport.entrypoints.http.data_import_request import (
    FILE,
    check_form,
    iter_file,
    parse_import_query,
)
from thingport.entrypoints.http.schemas import ERRORS, DataImportBean
from thingport.entrypoints.http.services import Services

_FIRST_LOOK_S = 1
"""When it is worth looking at a PENDING import again; most are small."""

_FORM: dict[str, Any] = {
    "parameters": [
        {
            "name": "thingId",
            "in": "query",
            "required": True,
            "schema": {"type": "string"},
        },
        {
            "name": "csvHeaderRow",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "default": 1},
        },
        {
            "name": "textGuard",
            "in": "query",
            "schema": {"enum": list(TextGuard), "default": TextGuard.NONE},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FILE: {"type": "string", "format": "binary"}},
                    "required": [FILE],
                }
            }
        },
    },
}

router = APIRouter(tags=["Data imports"])


@router.post(
    "/data/dataImports",
    status_code=HTTPStatus.CREATED,
    response_model=DataImportBean,
    responses=ERRORS,
    openapi_extra=_FORM,
    summary="Schedules a new data-import",
)
async def schedule_data_import(
    request: Request, services: Services, actor: Importer
) -> JSONResponse:
    """Take a file of a thing's readings; they are stored in the background."""
    wanted = parse_import_query(request.query_params)
    boundary = check_form(request)
    data_imports, most = services.data_imports, services.settings.max_import_bytes
    upload = await run_in_threadpool(data_imports.begin, actor, wanted)
    try:
        async for block in iter_file(request, boundary, most):
            await run_in_threadpool(upload.file.write, block)
        data_import = await run_in_threadpool(data_imports.schedule, upload)
    finally:
        upload.file.close()
    return JSONResponse(
        import_bean_of(data_import),
        HTTPStatus.CREATED,
        {"Location": f"/data/dataImports/{data_import.id}", **_pause(data_import)},
    )


@router.get(
    "/data/dataImports/{data_import_id}",
    response_model=DataImportBean,
    responses=ERRORS,
    summary="Gets the details of a data-import",
)
def get_data_import(
    services: Services, actor: Importer, data_import_id: str
) -> JSONResponse:
    """Look at an import; once it has ended, with what became of each row."""
    data_import = services.data_imports.get(actor, DataImportId(data_import_id))
    return JSONResponse(import_bean_of(data_import), headers=_pause(data_import))


def _pause(data_import: DataImport) -> dict[str, str]:
    return {"Retry-After": str(_FIRST_LOOK_S)} if data_import.is_active else {}
