"""The nearest known name to a misspelt one."""

import difflib
from collections.abc import Iterable

_LISTED = 12

# What other tools call it.
_ELSEWHERE = {
    "average": "mean",
    "avg": "mean",
    "count_distinct": "distinct",
    "n_unique": "distinct",
    "nunique": "distinct",
    "unique": "distinct",
    "minimum": "min",
    "maximum": "max",
    "latest": "last",
    "newest": "last",
    "median": "quantile",
    "percentile": "quantile",
    "total": "sum",
}


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """A hint in place of `wrong`: the nearest of `known`, or all of them if they are few."""
    names = sorted(set(known))
    elsewhere = _ELSEWHERE.get(str(wrong))
    if elsewhere in names:
        return f"did you mean '{elsewhere}'?"
    near = difflib.get_close_matches(str(wrong), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if 0 < len(names) <= _LISTED:
        return f"known: {', '.join(names)}"
    return ""
