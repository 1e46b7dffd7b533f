"""``/health``, for operators: no tenant, no token."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from thingport.entrypoints.http.schemas import ERRORS
from thingport.entrypoints.http.services import Services

router = APIRouter(tags=["Health"], prefix="/health")


@router.get("/live", responses=ERRORS, summary="Whether the process answers")
@router.head("/live", include_in_schema=False)
async def live() -> JSONResponse:
    """Answer, which is all that there is to it."""
    return JSONResponse({"status": "UP"})


@router.get("/ready", responses=ERRORS, summary="Whether the stores answer too")
@router.head("/ready", include_in_schema=False)
def ready(services: Services) -> JSONResponse:
    """Answer 503 while a store is away."""
    with services.control.for_service(read_only=True) as tx:
        # Any question will do, as long as it must be looked up.
        tx.tenants.find_by_name("")
    return JSONResponse({"status": "UP"})
