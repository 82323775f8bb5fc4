"""Assembles the console: routes, authorisation, error responses."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cassandra.cluster import NoHostAvailable
from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from giornata.console import api, features, pages
from giornata.console.answers import JsonAnswer
from giornata.console.rendering import page
from giornata.console.sources import Sources
from giornata.errors import (
    GateError,
    GiornataError,
    InvalidNameError,
    NotFoundError,
    SignatureError,
    StoreError,
)
from giornata.settings import Settings

STATIC = Path(__file__).parent / "static"

# A page may load nothing from elsewhere, run no inline script, and be framed by its own host (Airflow) alone.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

# What a person's mistake, or a server's absence, is in HTTP. Anything else is 500.
STATUS: dict[type[GiornataError], int] = {
    NotFoundError: 404,
    GateError: 409,
    SignatureError: 409,
    InvalidNameError: 422,
    StoreError: 503,
}

Dependency = Callable[..., Any]


def create_app(settings: Settings, current_user: Dependency, require_editor: Dependency) -> FastAPI:
    """The console of one installation.

    `current_user` is a FastAPI dependency that returns the name of the user, or raises HTTPException 401;
    `require_editor` returns the name of a user who may deploy, or raises 401 or 403. Every route but the static files
    depends on the first, every change on the second. Cassandra is connected at the first request; a page that needs it
    while it is away answers with status 503.
    """
    app = FastAPI(title="Giornata", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.sources = Sources(settings)
    authenticated = [Depends(current_user)]
    app.include_router(pages.router(require_editor), dependencies=authenticated)
    app.include_router(features.router(), dependencies=authenticated)
    app.include_router(
        api.router(require_editor),
        prefix="/api",
        dependencies=authenticated,
        default_response_class=JsonAnswer,
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(GiornataError, _on_giornata_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


def _is_api(request: Request) -> bool:
    return request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/api/")


async def _on_giornata_error(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error.__cause__, NoHostAvailable):
        # The driver waits longer and longer before it tries again; a new connection is there once the server
        # is.
        await run_in_threadpool(request.app.state.sources.close)
    return _problem(request, status, str(error))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if _is_api(request):
        return await http_exception_handler(request, error)
    return _problem(request, error.status_code, str(error.detail))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if _is_api(request):
        # Without the values that were sent, which may be such as no answer can hold.
        wrong = [{name: problem[name] for name in ("type", "loc", "msg")} for problem in error.errors()]
        return JsonAnswer({"detail": wrong}, 422)
    told = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return _problem(request, 422, told)


def _problem(request: Request, status: int, text: str) -> Response:
    if _is_api(request):
        return JsonAnswer({"detail": text}, status)
    return page(request, "problem.html", {"status": status, "text": text}, status)
