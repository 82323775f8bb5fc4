"""The web console: pages and a JSON API about models, their versions, deployments and live accuracy.

A FastAPI app that knows nobody's login: who asks and who may change things are parameters of `create_app`.
"""

from giornata.console.app import create_app

__all__ = ["create_app"]
