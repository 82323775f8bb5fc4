"""The tree of parts of a partitioned model: which parts exist, which get a model of their own, which predicts for a
row.

A part is the rows with the same values on a path of levels, coarsest first: `("US", "Illinois")` lies inside `("US",)`,
and all of them inside the root `()`. A path ends before its first missing value. The prediction for a row comes from
the deepest part on its path that has a model.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from giornata.errors import DataError
from giornata.records.model_version import KeyValue

__all__ = [
    "KEY_TYPES",
    "ROOT",
    "CandidateLosses",
    "Decision",
    "Key",
    "Losses",
    "PartIndex",
    "PartRows",
    "candidate_sums",
    "candidates",
    "check_levels",
    "choose_sets",
    "chosen_losses",
    "decide",
    "joined_losses",
    "key_text",
    "parse_key",
    "part_names",
    "path_of",
    "prefixes",
    "shared_loss",
]

ROOT = "all"  # name and level of the part that holds every row
KEY_TYPES = ("str", "int", "bool")

Key = tuple[KeyValue, ...]


@dataclass(frozen=True)
class PartRows:
    """Number of training and of validation rows in a part."""

    train: int = 0
    validation: int = 0

    def __add__(self, other: "PartRows") -> "PartRows":
        return PartRows(self.train + other.train, self.validation + other.validation)

    @property
    def total(self) -> int:
        return self.train + self.validation


@dataclass(frozen=True)
class Losses:
    """Losses on the validation rows of one full path: `sums[depth]` is the sum for the candidate at that depth."""

    rows: int
    sums: Mapping[int, float]


@dataclass(frozen=True)
class CandidateLosses:
    """Losses on the validation rows of one full path: `sums[depth, number]` is the sum for the candidate at that depth
    fitted with that parameter set."""

    rows: int
    sums: Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Decision:
    """Whether a part has a model, why, and the mean validation losses (None if no candidate was fitted)."""

    kept: bool
    reason: str
    loss: float | None = None
    parent_loss: float | None = None


class PartIndex:
    """Finds the part that predicts, as its position in a list of keys whose first is the root.

    For instance:

        >>> index = PartIndex([(), ("Oregon",), ("Oregon", "Portland")])
        >>> [index.find(values) for values in (["Portland", "Oregon"], ["Salem", "Oregon"], ["Portland", "Maine"])]
        [2, 1, 0]
    """

    def __init__(self, keys: Sequence[Key]):
        self._positions: dict[tuple[object, ...], int] = {key: position for position, key in enumerate(keys)}
        self._depth = max(map(len, keys))

    def find(self, values: Sequence[object]) -> int:
        """Position of the deepest part for the values of the levels, finest first as documents write them."""
        path = tuple(reversed(values))
        for depth in range(min(self._depth, len(path)), 0, -1):
            position = self._positions.get(path[:depth])
            if position is not None:
                return position
        return 0


def check_levels(types: Mapping[str, str]) -> None:
    """Raise DataError if a level's type cannot name a part: only text, whole numbers and bools can."""
    for level, type_ in types.items():
        if type_ not in KEY_TYPES:
            raise DataError(
                f"partition level {level} is of type {type_}; a level is one of {', '.join(KEY_TYPES)}"
            )


def path_of(values: Sequence[KeyValue | None]) -> Key:
    """The full path of a row with these values of the levels, finest first: it ends before a missing value."""
    path: list[KeyValue] = []
    for value in reversed(values):
        if value is None:
            break
        path.append(value)
    return tuple(path)


def prefixes(path: Key) -> list[Key]:
    """The parts that a path lies in, from the root to itself."""
    return [path[:depth] for depth in range(len(path) + 1)]


def key_text(key: Key) -> str:
    """A key as one text, by which Spark groups; `parse_key` reads it."""
    return json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))


def parse_key(text: str) -> Key:
    """The key that `key_text` wrote."""
    return tuple(json.loads(text))


def part_names(keys: Iterable[Key], levels: Sequence[str]) -> dict[Key, str]:
    """Names for people, such as `dest_city=Chicago, Illinois` or `all`; `levels` are finest first.

    If two parts of a level have the same value, the values above it are added: `city=Portland (state=Maine)`.

        >>> keys = [(), ("Maine", "Portland"), ("Oregon", "Portland"), ("Oregon", "Salem")]
        >>> list(part_names(keys, ["city", "state"]).values())
        ['all', 'city=Portland (state=Maine)', 'city=Portland (state=Oregon)', 'city=Salem']
    """
    coarsest_first = list(reversed(levels))
    named: dict[Key, str] = {}
    found: dict[str, list[Key]] = {}
    for key in keys:
        steps = [f"{level}={_value_text(value)}" for level, value in zip(coarsest_first, key, strict=False)]
        named[key] = steps[-1] if steps else ROOT
        found.setdefault(named[key], []).append(key)
    for name, same in found.items():
        for key in same if len(same) > 1 else []:
            above = [
                f"{level}={_value_text(value)}"
                for level, value in zip(coarsest_first, key[:-1], strict=False)
            ]
            named[key] = f"{name} ({', '.join(reversed(above))})"
    return named


def level_of(key: Key, levels: Sequence[str]) -> str:
    """Name of the level of a part; `levels` are finest first."""
    return levels[len(levels) - len(key)] if key else ROOT


def candidates(paths: Mapping[Key, PartRows], min_rows: int) -> tuple[dict[Key, PartRows], dict[Key, str]]:
    """All parts with their rows, and those that are excluded before any fit, with the reason.

    `paths` counts the rows of each full path. A part is excluded if it has fewer than `min_rows` training and
    validation rows, no rows in one of the two, or the same rows as its parent.
    """
    rows: dict[Key, PartRows] = {(): PartRows()}
    for path, count in sorted(paths.items(), key=lambda item: key_text(item[0])):
        for key in prefixes(path):
            rows[key] = rows.get(key, PartRows()) + count
    dropped = {}
    for key, count in rows.items():
        if not key:
            continue
        if count == rows[key[:-1]]:
            dropped[key] = "the same rows as its parent"
        elif count.total < min_rows:
            dropped[key] = f"{count.total} rows, fewer than {min_rows}"
        elif not count.train or not count.validation:
            dropped[key] = f"no {'training' if not count.train else 'validation'} rows"
    return rows, dropped


def candidate_sums(losses: Mapping[Key, CandidateLosses]) -> dict[tuple[Key, int], float]:
    """The loss of each part with each parameter set, summed over its validation rows."""
    sums: dict[tuple[Key, int], float] = {}
    for path, loss in losses.items():
        for (depth, number), summed in loss.sums.items():
            sums[path[:depth], number] = sums.get((path[:depth], number), 0.0) + summed
    return sums


def shared_loss(sums: Mapping[tuple[Key, int], float], keys: Iterable[Key], number: int) -> float:
    """The loss of several parts with one parameter set; infinite if one has none."""
    total = math.fsum(sums.get((key, number), math.inf) for key in keys)
    return math.inf if math.isnan(total) else total


def joined_losses(
    losses: Mapping[Key, CandidateLosses], further: Mapping[Key, CandidateLosses]
) -> dict[Key, CandidateLosses]:
    """The losses of the same rows with further parameter sets added."""
    joined = dict(losses)
    for path, loss in further.items():
        joined[path] = CandidateLosses(
            loss.rows, {**(joined[path].sums if path in joined else {}), **loss.sums}
        )
    return joined


def choose_sets(
    candidates: Iterable[tuple[Key, int]], losses: Mapping[Key, CandidateLosses], tune: str
) -> dict[Key, int]:
    """The parameter set of each part, of those it was fitted with: the one with the smallest validation loss.

    With `tune` `level`, parts of one level share theirs; with `part` each has its own; with `once` there is only one.
    The first of equals is chosen; a loss that is not a number never is.
    """
    sets: dict[Key, list[int]] = {}
    for key, number in sorted(candidates, key=lambda item: item[1]):
        sets.setdefault(key, []).append(number)
    sums = candidate_sums(losses)
    if tune != "level":
        return {key: min(numbers, key=lambda n: shared_loss(sums, [key], n)) for key, numbers in sets.items()}
    chosen: dict[Key, int] = {}
    for depth in {len(key) for key in sets}:
        level = [key for key in sets if len(key) == depth]
        shared = [number for number in sets[level[0]] if all(number in sets[key] for key in level)]
        best = min(shared, key=lambda n: shared_loss(sums, level, n)) if shared else None
        chosen |= {key: sets[key][0] if best is None else best for key in level}
    return chosen


def chosen_losses(losses: Mapping[Key, CandidateLosses], chosen: Mapping[Key, int]) -> dict[Key, Losses]:
    """The losses of the chosen parameter sets only, as `decide` takes them."""
    return {
        path: Losses(
            loss.rows,
            {
                depth: summed
                for (depth, number), summed in loss.sums.items()
                if chosen.get(path[:depth]) == number
            },
        )
        for path, loss in losses.items()
    }


def decide(
    keys: Iterable[Key],
    losses: Mapping[Key, Losses],
    margin: float = 0.0,
    error: Callable[[float], float] = float,
) -> dict[Key, Decision]:
    """Keep those of the fitted candidates `keys` that beat, on their validation rows, the prediction of the part above.

    Goes from the coarsest to the finest: the part above is the nearest ancestor that has been kept. `losses` holds the
    losses of each full path. A part's error must be lower by more than the share `margin`; `error` computes it from a
    mean loss. The root is always kept. A candidate that is not better, or whose loss is not a number, is dropped.
    """
    kept: dict[Key, Decision] = {}
    for key in sorted(keys, key=lambda key: (len(key), key_text(key))):
        inside = [loss for path, loss in losses.items() if path[: len(key)] == key]
        rows = sum(loss.rows for loss in inside)
        own = _mean(inside, len(key), rows)
        if not key:
            kept[key] = Decision(True, "predicts where no part does", own, None)
            continue
        parent = next(above for above in reversed(prefixes(key)[:-1]) if above in kept and kept[above].kept)
        above = _mean(inside, len(parent), rows)
        # Written so that a loss that is not a number keeps nothing.
        better = own < above and error(own) < (1 - margin) * error(above)
        kept[key] = Decision(better, _reason(error(own), error(above), better), own, above)
    return kept


def _reason(own: float, above: float, better: bool) -> str:
    if math.isnan(own) or math.isnan(above):
        return "not more accurate than its parent: an error is not defined"
    by = f"by {abs(above - own) / above:.1%}" if above > 0 else "by nothing"
    if better:
        return f"more accurate than its parent {by}"
    return f"not more accurate than its parent {'enough, only ' + by if own < above else ''}".rstrip()


def _mean(losses: Sequence[Losses], depth: int, rows: int) -> float:
    return math.fsum(loss.sums[depth] for loss in losses) / rows if rows else math.nan


def _value_text(value: KeyValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
