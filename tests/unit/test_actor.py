"""Who asks, and what they may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingport.domain.actor import Actor, OrganizationEntity
from thingport.domain.errors import PermissionDenied
from thingport.domain.ids import OrganizationId, TenantId, UserId
from thingport.domain.permissions import Permission

permissions = st.frozensets(st.sampled_from(list(Permission)))


def an_actor(allowed: frozenset[Permission]) -> Actor:
    return Actor(
        tenant_id=TenantId("tenant"),
        user_id=UserId("user"),
        entity=OrganizationEntity(OrganizationId("organization")),
        permissions=allowed,
    )


@given(allowed=permissions, required=permissions)
def test_an_actor_is_refused_exactly_when_a_permission_is_missing(
    allowed: frozenset[Permission], required: frozenset[Permission]
) -> None:
    try:
        an_actor(allowed).require(*required)
    except PermissionDenied:
        assert required - allowed
    else:
        assert not required - allowed


def test_the_refusal_says_what_the_platform_says() -> None:
    with pytest.raises(PermissionDenied, match=r"^User not authorized$"):
        an_actor(frozenset()).require(Permission.EXPORT_DATA)
