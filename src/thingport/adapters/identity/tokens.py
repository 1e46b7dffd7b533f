"""Access tokens as JSON Web Tokens that we sign and check ourselves."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import jwt

from thingport.application.identity import TokenSubject
from thingport.domain.errors import Unauthenticated
from thingport.domain.ids import ApiKeyId, TenantId, UserId

MIN_KEY_BYTES = 32
"""Shortest key for HMAC-SHA256 (RFC 7518, §3.2)."""

_ALGORITHM = "HS256"
"""The only one accepted, whatever a token's header says."""

_ISSUER = "thingport"
_AUDIENCE = "thingport-api"
_MAX_TOKEN_CHARACTERS = 4096
_LEEWAY = timedelta(seconds=60)
"""How far the clocks of two servers may be apart."""

_CLAIMS = ("iss", "aud", "sub", "tid", "key", "iat", "exp", "jti")


class JwtAccessTokens:
    """Signed tokens, checked without any look-up.

    Source: RFC 7519; what is refused: RFC 8725, *JWT Best Current Practices*.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the token key has fewer than {MIN_KEY_BYTES} bytes")
        self._key = key
        self._key_id = hashlib.sha256(b"key id " + key).hexdigest()[:16]

    def issue(
        self, subject: TokenSubject, *, now: datetime, lifetime: timedelta
    ) -> str:
        """Give a token that says who somebody is, until its time is over."""
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": subject.user_id,
            "tid": subject.tenant_id,
            "key": subject.api_key_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": secrets.token_hex(16),
        }
        header = {"kid": self._key_id}
        return jwt.encode(  # pyright: ignore[reportUnknownMemberType]  # PyJWT names types of a library that we do not need
            claims, self._key, algorithm=_ALGORITHM, headers=header
        )

    def verify(self, token: str, *, now: datetime) -> TokenSubject:
        """Give who a token says somebody is.

        Raises:
            Unauthenticated: It is malformed, altered, expired, or not ours; which
                one is not said.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise Unauthenticated
        try:
            claims = self._decode(token)
        except (jwt.PyJWTError, UnicodeError):
            raise Unauthenticated from None
        if not _is_current(claims, now):
            raise Unauthenticated
        texts = (claims["tid"], claims["sub"], claims["key"])
        if not all(isinstance(it, str) for it in texts):
            raise Unauthenticated
        return TokenSubject(
            tenant_id=TenantId(claims["tid"]),
            user_id=UserId(claims["sub"]),
            api_key_id=ApiKeyId(claims["key"]),
        )

    def _decode(self, token: str) -> dict[str, Any]:
        if jwt.get_unverified_header(token).get("kid") != self._key_id:
            raise jwt.InvalidKeyError
        return jwt.decode(  # pyright: ignore[reportUnknownMemberType]  # as in issue()
            token,
            self._key,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            # Times are checked against our own clock, not the library's.
            options={
                "require": list(_CLAIMS),
                "verify_exp": False,
                "verify_iat": False,
            },
        )


def _is_current(claims: dict[str, Any], now: datetime) -> bool:
    issued_at, expires_at = claims["iat"], claims["exp"]
    if type(issued_at) is not int or type(expires_at) is not int:
        return False
    return issued_at <= (now + _LEEWAY).timestamp() and now.timestamp() < expires_at
