"""``/identity``."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from thingport.domain.period import epoch_ms
from thingport.entrypoints.http.access import TenantName
from thingport.entrypoints.http.json_body import Body, JsonObject, parse_object
from thingport.entrypoints.http.object_reader import Faults, ObjectReader
from thingport.entrypoints.http.schemas import (
    ERRORS,
    LoginBean,
    SessionBean,
    request_body,
)
from thingport.entrypoints.http.services import Services

router = APIRouter(tags=["Identity"])

_MAX_SECRET_CHARACTERS = 1000


@router.post(
    "/identity/users/patLogin",
    response_model=SessionBean,
    responses=ERRORS,
    openapi_extra=request_body(LoginBean),
    summary="Logs in with a personal access token",
)
def log_in_with_token(
    services: Services, tenant_name: TenantName, body: Body
) -> JSONResponse:
    """Begin a session."""
    api_key, pat = _parse_login(parse_object(body))
    session = services.identity.log_in_with_token(tenant_name, api_key, pat)
    return JSONResponse(
        {
            "token": session.token,
            "tokenExpirationTimestamp": epoch_ms(session.expires_at),
            "refreshToken": session.refresh_token,
            "userId": session.user_id,
            "tenantId": session.tenant_id,
        }
    )


def _parse_login(body: JsonObject) -> tuple[str, str]:
    faults = Faults()
    fields = ObjectReader(body, faults)
    secrets: list[str] = []
    for name in ("apiKey", "pat"):
        secret = fields.find_text(name, least=1, most=_MAX_SECRET_CHARACTERS)
        if fields.find(name) is None:
            fields.add_fault(name, "is required")
        secrets.append(secret or "")
    fields.refuse_unknown()
    faults.refuse_if_any()
    api_key, pat = secrets
    return api_key, pat
