"""Reading a prediction request: from the bytes of a body to rows of the types in a model's signature.

A body is `{"rows": [{column: value}, …], "at": time}` or, for one row, `{"row": {…}, "at": time}`. The rules:

* An input column that never lacked a value in training is required. One that did is null when left out.
* The key columns (by which a label finds its prediction) and the event time column may be given or not.
* The other columns of the model's table are ignored: a caller may send its whole row, and goes on unchanged
  when the next version needs fewer columns.
* Any other name is an error that suggests the nearest known one: a misspelt column that may be left out would
  else make worse predictions in silence.
* int counts as float; nothing else is converted. A timestamp is ISO 8601 text with its zone. The items of a list
  may be null.
* The moment of prediction is `at`, else the row's event time, else now. It lies within the bounds that the model's
  document sets.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import orjson

from giornata.errors import RequestError
from giornata.serving.moments import Moments

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_ROWS = 5_000

# What 64-bit nanoseconds can say: every reader of the tables that these times end in can hold them.
EARLIEST = datetime(1678, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)

_T = TypeVar("_T")

_SHOWN = 60  # characters of a caller's text that an error repeats
_COMPARED = 100  # foreign names that are searched for a misspelling


class RefusedError(RequestError):
    """A request that gets no prediction: HTTP status, a word for the metric, the row and field at fault."""

    def __init__(
        self, status: int, kind: str, message: str, field: str | None = None, row: int | None = None
    ):
        super().__init__(message, field)
        self.status = status
        self.kind = kind
        self.row = row


@dataclass(frozen=True, slots=True)
class Column:
    """An input column: int, float, bool, str or timestamp, and whether its value may be null or left out."""

    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """The rows of one request, three lists of one length: inputs, keys (null if not given), moments."""

    rows: list[dict[str, object]]
    keys: list[dict[str, object]]
    at: list[datetime]


class RequestReader:
    """Reads requests for one model version."""

    def __init__(
        self,
        inputs: Mapping[str, Column],
        table: Mapping[str, str],
        key: Sequence[str],
        event_time: str,
        moments: Moments,
    ):
        """`table` gives the columns of the model's table and their types; `key` and `event_time` are in it."""
        self._inputs = [(name, _READERS[c.type], c.nullable, c.type) for name, c in inputs.items()]
        self._keys = [(name, _READERS[table[name]], table[name]) for name in key]
        self._event_time = event_time
        self._moments = moments
        self._known = frozenset({*inputs, *table})

    def read(self, body: bytes, now: datetime) -> PredictRequest:
        """Check and convert a body. Raises RefusedError: 400 (not JSON), 413 (too many rows) or 422."""
        document = _parse(body)
        rows, at = _rows(document), document.get("at")
        moment = None if at is None else self._allowed("at", at, None, now)
        request = PredictRequest([], [], [])
        for index, row in enumerate(rows):
            if type(row) is not dict:
                raise _invalid(
                    f"a row is an object of column names and values, not {_shown(row)}", None, index
                )
            if not row.keys() <= self._known:
                self._refuse_unknown(row, index)
            request.rows.append(self._row(row, index))
            request.keys.append(
                {
                    name: None if row.get(name) is None else _value(name, row[name], reader, type_, index)
                    for name, reader, type_ in self._keys
                }
            )
            request.at.append(moment or self._moment(row, index, now) or now)
        return request

    def _row(self, row: dict[str, object], index: int) -> dict[str, object]:
        values = {}
        for name, reader, nullable, type_ in self._inputs:
            value = row.get(name)
            if value is not None:
                value = _value(name, value, reader, type_, index)
            elif not nullable:
                state = "null" if name in row else "missing"
                raise _invalid(f"{name} is {state}, but the model needs its value ({type_})", name, index)
            values[name] = value
        return values

    def _moment(self, row: dict[str, object], index: int, now: datetime) -> datetime | None:
        value = row.get(self._event_time)
        return None if value is None else self._allowed(self._event_time, value, index, now)

    def _allowed(self, name: str, value: object, index: int | None, now: datetime) -> datetime:
        """A moment that the request states. Raises RefusedError for one that the model's document does not allow."""
        moment = _value(name, value, _timestamp, "timestamp", index)
        if problem := self._moments.problem(moment, now):
            raise _invalid(f"{name} {problem}", name, index)
        return moment

    def _refuse_unknown(self, row: dict[str, object], index: int) -> None:
        foreign = [name for name in row if name not in self._known]
        absent = [name for name, _, _, _ in self._inputs if name not in row]
        candidates = absent or sorted(self._known)
        for name in foreign[:_COMPARED]:
            near = _nearest(name, candidates) or _nearest(name, self._known)
            if near:
                raise _invalid(
                    f"the model knows no {_quoted(name)}; did you mean {near}?", name[:_SHOWN], index
                )
        raise _invalid(
            f"the model knows no {_quoted(foreign[0])}; a row may have {', '.join(sorted(self._known))}",
            foreign[0][:_SHOWN],
            index,
        )


def _parse(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = ""
        if any(word in body for word in (b"NaN", b"Infinity")):
            hint = "; JSON has no NaN or Infinity: send null for a value that is missing"
        raise RefusedError(400, "malformed", f"the body is not JSON: {error}{hint}") from None
    if type(document) is not dict:
        raise RefusedError(
            400, "malformed", f'the body is not an object {{"rows": […]}} but {_shown(document)}'
        )
    for name in document:
        if name not in ("row", "rows", "at"):
            near = _nearest(name, ("row", "rows", "at"))
            hint = f"; did you mean {near}?" if near else "; it has rows (or row) and, if wanted, at"
            raise _invalid(f"a request has no {_quoted(name)}{hint}", name[:_SHOWN])
    return document


def _rows(document: dict[str, object]) -> list[object]:
    if ("row" in document) == ("rows" in document):
        raise _invalid('a request has either "rows", a list, or "row", one object', "rows")
    if "row" in document:
        return [document["row"]]
    rows = document["rows"]
    if not isinstance(rows, list):
        raise _invalid(f"rows is a list of objects, not {_shown(rows)}", "rows")
    if not rows:
        raise _invalid("rows is empty: there is nothing to predict", "rows")
    if len(rows) > MAX_ROWS:
        raise RefusedError(
            413, "too_large", f"{len(rows)} rows in one request; at most {MAX_ROWS} are taken", "rows"
        )
    return rows


def _value(name: str, value: object, reader: Callable[[object], _T], type_: str, index: int | None) -> _T:
    try:
        return reader(value)
    except ValueError as error:
        raise _invalid(f"{name} is of type {type_}{error}, not {_shown(value)}", name, index) from None


def _invalid(message: str, field: str | None, row: int | None = None) -> RefusedError:
    return RefusedError(422, "invalid", message, field, row)


def _shown(value: object) -> str:
    """A caller's value, with its JSON type, cut to a length that fits an error."""
    match value:
        case str():
            return f"the text {_quoted(value)}"
        case list():
            return "a list"
        case dict():
            return "an object"
        case None:
            return "null"
        case _:
            return f"the {type(value).__name__} {orjson.dumps(value).decode()}"


def _quoted(text: str) -> str:
    return repr(text[:_SHOWN])


def _nearest(name: str, candidates: Iterable[str]) -> str | None:
    if len(name) > _SHOWN:  # comparing is quadratic in the length
        return None
    return next(iter(difflib.get_close_matches(name, candidates, 1)), None)


# Each reader returns the value in its type or raises ValueError with what else the type asks for.


def _int(value: object) -> int:
    if type(value) is not int:
        raise ValueError
    if not -(2**63) <= value < 2**63:
        raise ValueError(" of 64 bits")
    return value


def _float(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise ValueError


def _bool(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _str(value: object) -> str:
    if type(value) is not str:
        raise ValueError
    return value


def _timestamp(value: object) -> datetime:
    wanted = ", ISO 8601 text with its zone such as 2013-11-01T12:00:00Z"
    if type(value) is not str:
        raise ValueError(wanted)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(wanted) from None
    if moment.tzinfo is None:
        raise ValueError(wanted)
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f" from {EARLIEST.year} to {LATEST.year - 1}")
    return moment.astimezone(UTC)


def _list(reader: Callable[[object], object]) -> Callable[[object], list[object]]:
    def read(value: object) -> list[object]:
        if type(value) is not list:
            raise ValueError
        return [None if item is None else reader(item) for item in value]

    return read


_READERS: dict[str, Callable[[object], object]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": _str,
    "timestamp": _timestamp,
}
_READERS |= {f"list[{name}]": _list(reader) for name, reader in _READERS.items()}
