"""Refuses changes that another site makes a user's browser send: cookies alone do not prove who sent a request.

Browsers say where a request comes from (Sec-Fetch-Site, or Origin in older ones), and scripts cannot forge it. Programs
with a token of their own send no cookie and need no such header.
"""

from fastapi import HTTPException, Request


def require_same_origin(request: Request) -> None:
    """FastAPI dependency: raise HTTPException 403 unless the request comes from our own pages or has no cookie."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    elif origin is not None:
        allowed = origin.partition("://")[2] == request.headers.get("host")
    else:
        allowed = "cookie" not in request.headers
    if not allowed:
        raise HTTPException(
            403, "This change was asked for by a page of another site. Use the console's own form."
        )
