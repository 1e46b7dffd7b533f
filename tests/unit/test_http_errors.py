"""Every error of ours has its status."""

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus

import pytest

import thingport
from thingport.domain.errors import (
    CallerError,
    ExportAlreadyActive,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    StoreUnavailable,
    ThingportError,
    TransientError,
    Unauthenticated,
)
from thingport.entrypoints.http.errors import STATUS_OF, retry_after, status_of
from thingport.entrypoints.http.routes.downloads import content_disposition

ABSTRACT = {ThingportError, CallerError}
"""Never raised as they are."""

SERVED = (
    "thingport.domain",
    "thingport.application",
    "thingport.adapters",
    "thingport.entrypoints.http",
)
"""Where errors come from that a request can end in; others end a command."""


def iter_served_errors() -> Iterator[type[ThingportError]]:
    for path in SERVED:
        module = importlib.import_module(path)
        for it in pkgutil.walk_packages(module.__path__, f"{path}."):
            importlib.import_module(it.name)
    waiting = [ThingportError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(SERVED):
                yield kind


def test_every_error_has_a_status() -> None:
    assert thingport.__path__
    found = [it for it in iter_served_errors() if it not in ABSTRACT]
    without = [
        it.__name__ for it in found if not any(up in STATUS_OF for up in it.__mro__)
    ]

    assert without == []
    assert len(found) > 10


def test_a_callers_error_is_below_500_and_any_other_one_is_not() -> None:
    for kind in iter_served_errors():
        if kind not in ABSTRACT:
            is_callers = issubclass(kind, CallerError)
            assert (status_of(kind) < HTTPStatus.INTERNAL_SERVER_ERROR) is is_callers


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidRequest, 400),
        (Unauthenticated, 401),
        (PermissionDenied, 403),
        (NotFound, 404),
        (ExportAlreadyActive, 429),
        (StoreUnavailable, 503),
        (TransientError, 503),
    ],
)
def test_errors_have_the_documented_statuses(
    kind: type[ThingportError], status: int
) -> None:
    assert status_of(kind) == status


def test_an_error_without_a_status_is_a_bug() -> None:
    with pytest.raises(KeyError):
        status_of(ThingportError)


@pytest.mark.parametrize(("pause_s", "text"), [(0, "1"), (0.2, "1"), (1.2, "2")])
def test_a_pause_is_whole_seconds_and_never_too_short(
    pause_s: float, text: str
) -> None:
    assert retry_after(timedelta(seconds=pause_s)) == text


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (
            "May 2020",
            "attachment; filename=\"May_2020.zip\"; filename*=UTF-8''May%202020.zip",
        ),
        (
            'Ü/"\r\n',
            "attachment; filename=\"data-export.zip\"; filename*=UTF-8''%C3%9C____.zip",
        ),
    ],
)
def test_a_saved_archive_is_called_like_its_export(name: str, header: str) -> None:
    assert content_disposition(name) == header
