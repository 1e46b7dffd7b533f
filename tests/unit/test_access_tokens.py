"""Access tokens that we sign, and everything that is none of ours."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON
from thingport.adapters.identity.tokens import JwtAccessTokens
from thingport.application.identity import TokenSubject
from thingport.domain.errors import Unauthenticated
from thingport.domain.ids import ApiKeyId, TenantId, UserId

KEY = b"0123456789abcdef0123456789abcdef"
HOUR = timedelta(hours=1)
SUBJECT = TokenSubject(
    tenant_id=TenantId("t"), user_id=UserId("u"), api_key_id=ApiKeyId("k")
)


def issued() -> str:
    return JwtAccessTokens(KEY).issue(SUBJECT, now=NOON, lifetime=HOUR)


def forged(secret: bytes = KEY, algorithm: str = "HS256", **changes: object) -> str:
    """Give a token like ours, with some claims changed; ``None`` leaves one out."""
    token = issued()
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    present = {name: it for name, it in claims.items() if it is not None}
    key_id = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(present, secret, algorithm, {"kid": key_id})


def verify(token: str) -> TokenSubject:
    return JwtAccessTokens(KEY).verify(token, now=NOON)


def test_a_token_stands_for_whom_it_was_issued_to() -> None:
    assert verify(issued()) == SUBJECT
    assert verify(forged()) == SUBJECT


def test_no_two_tokens_are_the_same() -> None:
    assert issued() != issued()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"exp": int(NOON.timestamp())},
        {"exp": "9999999999"},
        {"exp": 9e9},
        {"exp": True},
        {"iat": int((NOON + HOUR).timestamp())},
        {"tid": 7},
        {"key": ["k"]},
        {"sub": 7},
        *(
            {claim: None}
            for claim in ("iss", "aud", "sub", "tid", "key", "iat", "exp", "jti")
        ),
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(Unauthenticated):
        verify(forged(**changes))


def test_another_key_or_algorithm_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        verify(forged(secret=b"f" * 32))
    with pytest.raises(Unauthenticated):
        verify(forged(algorithm="HS384", secret=KEY + KEY))
    with pytest.raises(Unauthenticated):
        verify(JwtAccessTokens(b"o" * 32).issue(SUBJECT, now=NOON, lifetime=HOUR))


def test_the_algorithm_none_is_refused() -> None:
    header, claims, _ = issued().split(".")
    fields = json.loads(base64.urlsafe_b64decode(header + "=="))
    for algorithm in ("none", "None", "HS512"):
        text = json.dumps({**fields, "alg": algorithm}).encode()
        unsigned = base64.urlsafe_b64encode(text).decode().rstrip("=")
        for signature in ("", "x", issued().split(".")[2]):
            with pytest.raises(Unauthenticated):
                verify(f"{unsigned}.{claims}.{signature}")


@given(text=st.text(max_size=50))
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(text)


@given(index=st.integers(0, 200), character=st.sampled_from("AZaz09-_.=\n"))
def test_a_token_with_any_character_changed_is_refused(
    index: int, character: str
) -> None:
    token = issued()
    changed = token[:index] + character + token[index + 1 :]
    if changed != token:
        with pytest.raises(Unauthenticated):
            verify(changed)


def test_a_token_of_unreasonable_length_is_refused_unread() -> None:
    with pytest.raises(Unauthenticated):
        verify(forged(note="x" * 5000))


def test_a_token_of_a_server_whose_clock_is_a_little_ahead_is_taken() -> None:
    ahead = NOON + timedelta(seconds=59)
    token = JwtAccessTokens(KEY).issue(SUBJECT, now=ahead, lifetime=HOUR)

    assert verify(token) == SUBJECT


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 32 bytes"):
        JwtAccessTokens(b"x" * 31)
