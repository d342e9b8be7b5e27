"""The application: routes, guard, errors and description put together from the parts it is given."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from messaging.http import Doorkeeper, Reading, install_error_handlers
from voice.api import (
    admin,
    calls,
    chaos,
    events,
    feed,
    finding,
    health,
    media,
    reference,
    routes,
    sandbox,
    selftest,
    sendvoice,
    tolls,
    trunk_standing,
    trunks,
    why,
)
from voice.api.openapi import describe
from voice.api.parts import Api

ROUTERS = (
    sendvoice.router,
    calls.router,
    finding.router,
    why.router,
    events.router,
    media.router,
    trunks.router,
    tolls.router,
    selftest.router,
    trunk_standing.router,
    feed.router,
    routes.router,
    sandbox.router,
    chaos.router,
    admin.router,
    health.router,
)


def create_app(parts: Api) -> FastAPI:
    """The whole HTTP API as one ASGI application. Nothing is started and nothing is read from the environment."""
    app = FastAPI(
        title="Tocsin",
        version=parts.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.api = parts
    install_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = describe(app, parts.version)  # type: ignore[method-assign]  # the way FastAPI documents it
    if parts.settings.http.docs:
        _add_docs(app)
    http = parts.settings.http
    app.add_middleware(
        Doorkeeper,
        reading=Reading(http.body_max_bytes, http.read_timeout_s),
        draining=parts.draining.is_set,
        methods=_methods(app),
        observe=health.Figures(parts.registry).observe,
    )
    return app


def _add_docs(app: FastAPI) -> None:
    pages: dict[str, str] = {}

    async def openapi() -> Response:
        return JSONResponse(app.openapi())

    async def docs() -> Response:
        html = pages.setdefault("docs", "") or reference.page(app.openapi())
        pages["docs"] = html
        return HTMLResponse(html, headers={"Content-Security-Policy": reference.CSP})

    async def front() -> Response:
        return RedirectResponse("/docs")

    app.add_api_route("/", front, include_in_schema=False)
    app.add_api_route("/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)


def _methods(app: FastAPI) -> Callable[[str], set[str]]:
    """Which methods the routes take at a path; empty where there is nothing."""
    own = [route for router in (app.router, *ROUTERS) for route in router.routes]
    routes = [route for route in own if isinstance(route, APIRoute)]

    def methods(path: str) -> set[str]:
        return {method for route in routes if route.path_regex.match(path) for method in (route.methods or ())}

    return methods
