"""Renders HTML from templates: escaping, links that work wherever the app is mounted, format of numbers and times."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def number(value: float | int | None) -> str:
    """A number for a table: a float with about four significant digits, `–` for None."""
    if value is None or math.isnan(value):
        return "–"
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    if 1e-3 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:#.4g}".removesuffix(".") if abs(value) >= 1 else f"{value:.2g}"


def parameter(value: float | int | bool | str | None) -> str:
    """A parameter as written in a document, with at most six significant digits; None means the type's default."""
    if value is None:
        return "unstated"
    return (
        f"{value:.6g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def moment(value: datetime) -> str:
    """A moment to the minute, with its zone: `2013-11-01 12:00 UTC`."""
    return value.strftime("%Y-%m-%d %H:%M UTC")


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.1%}"


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(number=number, parameter=parameter, moment=moment, percent=percent)
_templates = Jinja2Templates(env=_environment)


def page(request: Request, template: str, values: dict[str, Any], status: int = 200) -> Response:
    """A rendered page. In templates, `path(route, **parameters)` is the address of a route below wherever the app is
    mounted."""

    def path(name: str, **parameters: str) -> str:
        return request.url_for(name, **parameters).path

    return _templates.TemplateResponse(request, template, {**values, "path": path}, status)
