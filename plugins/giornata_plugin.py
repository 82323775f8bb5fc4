"""Mounts the console in Airflow's web server, behind Airflow's own login, and checks the days of new runs."""

from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from giornata.console import create_app
from giornata.console.day_ranges import DayRanges
from giornata.settings import load_settings

PREFIX = "/giornata"


def current_user(
    user: GetUserDep, _: Annotated[None, Depends(requires_access_view(AccessView.WEBSITE))]
) -> str:
    """The name of the user who is signed in to Airflow and may see its pages."""
    return user.get_name()


def require_editor(user: GetUserDep) -> str:
    """The name of a user who may trigger DAG runs: whoever may train a model may also deploy one."""
    if not get_auth_manager().is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, user=user):
        raise HTTPException(403, "To deploy you need a role that may trigger DAG runs in Airflow.")
    return user.get_name()


async def to_login(request: Request, _: Exception) -> Response:
    """Send a browser to Airflow's login and back; a program gets 401."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/auth/login?next={quote(str(request.url), safe='')}")
    return JSONResponse({"detail": "Not authenticated"}, 401)


settings = load_settings()
app = create_app(settings, current_user, require_editor)
app.add_exception_handler(401, to_login)


class GiornataPlugin(AirflowPlugin):
    """The console as part of Airflow: an entry in its navigation, the pages in its frame."""

    name = "giornata"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Giornata"}]  # noqa: RUF012 (Airflow's convention)
    fastapi_root_middlewares = [  # noqa: RUF012
        {
            "middleware": DayRanges,
            "args": [],
            "kwargs": {"projects": settings.projects},
            "name": "Days of runs",
        }
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Models",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "giornata-models",
            "nav_top_level": True,
            "icon": f"{PREFIX}/static/icon.svg",
        }
    ]
