"""The web console: pages and a JSON API about models, their versions, deployments and live accuracy.

A FastAPI app without a login of its own: who the user is and who may change things are parameters of `create_app`.
"""

from giornata.console.app import create_app

__all__ = ["create_app"]
