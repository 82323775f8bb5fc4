"""JSON that every client can parse, whatever is in the stores or in a request."""

import json
import math
from typing import Any

from fastapi.responses import JSONResponse

__all__ = ["JsonAnswer"]


class JsonAnswer(JSONResponse):
    """JSON with null for numbers that are not finite, in ASCII, so that half a surrogate pair is not an error."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(_finite(content), allow_nan=False, separators=(",", ":")).encode()


def _finite(content: Any) -> Any:
    match content:
        case float():
            return content if math.isfinite(content) else None
        case dict():
            return {key: _finite(value) for key, value in content.items()}
        case list() | tuple():
            return [_finite(value) for value in content]
    return content
