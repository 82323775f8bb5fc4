"""Run in a process of its own, with Airflow's settings in its environment: asks the mounted plugin as several
users.

Prints JSON: the routes, and for each user the status of every route.
"""

import json
import re
import runpy
from pathlib import Path

from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.db import initdb
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "giornata_plugin.py"


def main() -> None:
    initdb()
    manager = init_auth_manager()
    plugin = runpy.run_path(str(PLUGIN))
    (mount,) = plugin["GiornataPlugin"].fastapi_apps
    outer = FastAPI()
    outer.mount(mount["url_prefix"], mount["app"])
    routes = [
        (method, mount["url_prefix"] + re.sub("{.*?}", "none", route.path))
        for route in mount["app"].routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]
    found = {"views": plugin["GiornataPlugin"].external_views, "routes": routes, "statuses": {}}
    with TestClient(outer, follow_redirects=False, raise_server_exceptions=False) as client:
        for role in (None, "VIEWER", "USER"):
            client.cookies.clear()
            if role:
                user = SimpleAuthManagerUser(username=role.lower(), role=role, teams=None)
                client.cookies.set("_token", manager.generate_jwt(user))
            headers = {"sec-fetch-site": "same-origin"}
            body = {"uuid": "none", "reason": "a test"}
            found["statuses"][str(role)] = {
                f"{method} {path}": client.request(
                    method, path, headers=headers, json=body if method == "POST" else None
                ).status_code
                for method, path in routes
            }
        client.cookies.clear()
        page = client.get("/giornata/models/a/b?window=7d", headers={"accept": "text/html"})
        found["login"] = [page.status_code, page.headers.get("location")]
        found["unlisted"] = {
            path: client.get(f"/giornata{path}").status_code for path in ("/docs", "/redoc", "/openapi.json")
        }
        found["icon"] = client.get(found["views"][0]["icon"]).status_code
    print(json.dumps(found))


main()
