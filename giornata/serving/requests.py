"""Parses a prediction request: from the bytes of a body to rows with the types of a model's signature.

A body is `{"rows": [{column: value}, …], "at": time}` or, for one row, `{"row": {…}, "at": time}`. The rules:

* An input column that never lacked a value in training is required. Others are null when left out. * The key columns
(by which a label finds its prediction) are optional. * The other columns of the model's table are ignored: a caller may
send its whole row, and stays unchanged when the next version needs fewer columns. * Any other name is an error that
suggests the nearest known one: a misspelt optional column would otherwise make predictions worse without notice. * int
counts as float; nothing else is converted. A timestamp is ISO 8601 text with its zone. The items of a list may be null.
* The moment of the prediction is `at`, else the row's event time, else now, which the model's document may forbid. It
is also the event time of a row that names none. It lies within the limits that the model's document sets.

Every problem of every row is reported, up to MAX_PROBLEMS. Rows without one are answered all the same, unless there is
none or the request says `"all_or_nothing": true`: then the request is refused.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from giornata.absence import Missing
from giornata.errors import RequestError
from giornata.serving.moments import AllowedMoments

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_ROWS = 5_000
MAX_PROBLEMS = 100
"""Problems of one request that are reported: a body of 2 MiB may have as many as it has values."""

# What 64-bit nanoseconds can say: every reader of the tables that these times end in can hold them.
EARLIEST = datetime(1678, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)

_SHOWN = 60  # characters of a caller's text that an error repeats
_COMPARED = 20  # foreign names of a request that are searched for a misspelling
_FIELDS = ("row", "rows", "at", "all_or_nothing")


class Fault(NamedTuple):
    """A problem of a row, in words, and its column (None: the row as a whole)."""

    message: str
    field: str | None


class RefusedError(RequestError):
    """A request without predictions: HTTP status, a label for the metric, the row and field with the problem.

    `faults` are all reported problems, by row, of which the message is the first; `untold` is how many more there are.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        field: str | None = None,
        row: int | None = None,
        faults: Mapping[int, Sequence[Fault]] | None = None,
        untold: int = 0,
    ):
        super().__init__(message, field)
        self.status = status
        self.kind = kind
        self.row = row
        self.faults = faults or {}
        self.untold = untold

    def document(self) -> dict[str, object]:
        """The body of the answer: `error` with `field` and `row`, and `errors`, the list of all reported problems."""
        document: dict[str, object] = {"error": str(self)}
        if self.field is not None:
            document["field"] = self.field
        if self.row is not None:
            document["row"] = self.row
        if self.faults:
            document["errors"] = [
                {"row": row, "field": fault.field, "error": fault.message}
                for row, faults in self.faults.items()
                for fault in faults
            ]
        if self.untold:
            document["errors_left_out"] = self.untold
        return document


@dataclass(frozen=True, slots=True)
class RequestColumn:
    """An input column: int, float, bool, str or timestamp, and whether its value may be null or left out."""

    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """The valid rows of one request, as lists of one length: inputs, keys (null if not given), moments, and positions
    in the request.

    `refused` has the problems of the other rows, by position, and `missing` the feature groups that a row lacks, and
    why. With `all_or_nothing`, no row is answered unless all are.
    """

    rows: list[dict[str, object]]
    keys: list[dict[str, object]]
    at: list[datetime]
    places: list[int] = field(default_factory=list)
    refused: dict[int, list[Fault]] = field(default_factory=dict)
    missing: dict[int, list[Missing]] = field(default_factory=dict)
    all_or_nothing: bool = False

    def only(self, kept: Iterable[int]) -> "PredictRequest":
        """The same request with only the rows at these positions of its lists."""
        positions = list(kept)
        return PredictRequest(
            [self.rows[position] for position in positions],
            [self.keys[position] for position in positions],
            [self.at[position] for position in positions],
            [self.places[position] for position in positions],
            self.refused,
            self.missing,
            self.all_or_nothing,
        )


class RequestReader:
    """Reads requests for one model version."""

    def __init__(
        self,
        inputs: Mapping[str, RequestColumn],
        table: Mapping[str, str],
        key: Sequence[str],
        event_time: str,
        moments: AllowedMoments,
        needs_moment: bool = False,
    ):
        """`table` maps the columns of the model's table to their types; `key` and `event_time` are among them.

        `needs_moment`: without `at`, a row must name its event time.
        """
        self._inputs = [
            # An event time that is not given is the moment of asking.
            (name, _READERS[column.type], column.nullable or name == event_time, column.type)
            for name, column in inputs.items()
        ]
        # Of what is read as an input, no second reader.
        self._keys = [(name, None if name in inputs else _READERS[table[name]], table[name]) for name in key]
        self._event_time = event_time
        self._reads_event_time = event_time in inputs
        self._moments = moments
        self._needs_moment = needs_moment
        self._known = frozenset({*inputs, *table, event_time})

    def read(self, body: bytes, now: datetime) -> PredictRequest:
        """Check and convert a body. Raises RefusedError: 400 (not JSON), 413 (too many rows) or 422."""
        document = _parse(body)
        rows, at = _rows(document), document.get("at")
        moment = None if at is None else self._at(at, now)
        request = PredictRequest([], [], [], all_or_nothing=_flag(document, "all_or_nothing"))
        told = untold = 0
        for place, row in enumerate(rows):
            faults = self._read_row(request, row, moment, now, told < _COMPARED)
            if faults:
                kept = faults[: max(MAX_PROBLEMS - told, 0)]
                told, untold = told + len(kept), untold + len(faults) - len(kept)
                request.refused[place] = kept
            else:
                request.places.append(place)
        if request.refused and (request.all_or_nothing or not request.rows):
            raise _refusal(request.refused, untold)
        return request

    def _read_row(
        self, request: PredictRequest, row: object, moment: datetime | None, now: datetime, compare: bool
    ) -> list[Fault]:
        """Add a row to the request, or collect all its problems; `compare`: look for misspelt columns."""
        if type(row) is not dict:
            return [Fault(f"a row is an object of column names and values, not {_shown(row)}", None)]
        faults = [] if row.keys() <= self._known else self._unknown(row, compare)
        values: dict[str, object] = {}
        for name, reader, nullable, type_ in self._inputs:
            value = row.get(name)
            if value is not None:
                try:
                    value = reader(value)
                except ValueError as error:
                    faults.append(_wrong(name, type_, value, error))
            elif not nullable:
                state = "null" if name in row else "missing"
                faults.append(Fault(f"{name} is {state}, but the model needs its value ({type_})", name))
            values[name] = value
        stated = self._event(row, values, faults)
        if moment is None:
            if stated is not None:
                if problem := self._moments.problem(stated, now):
                    faults.append(Fault(f"{self._event_time} {problem}", self._event_time))
            elif self._needs_moment and row.get(self._event_time) is None:
                faults.append(self._no_moment())
        asked = moment or stated or now
        if self._reads_event_time and stated is None:
            values[self._event_time] = asked
        key = self._key(row, values, stated, faults)
        if not faults:
            request.rows.append(values)
            request.keys.append(key)
            request.at.append(asked)
        return faults

    def _event(
        self, row: dict[str, object], values: Mapping[str, object], faults: list[Fault]
    ) -> datetime | None:
        """The event time that a row states; problems are added to `faults`."""
        event = row.get(self._event_time)
        if event is None:
            return None
        if self._reads_event_time:
            read = values[self._event_time]
            return read if isinstance(read, datetime) else None
        try:
            return _timestamp(event)
        except ValueError as error:
            faults.append(_wrong(self._event_time, "timestamp", event, error))
            return None

    def _at(self, value: object, now: datetime) -> datetime:
        """The moment that a request states for all rows. Raises RefusedError, also if the document forbids it."""
        try:
            moment = _timestamp(value)
        except ValueError as error:
            raise _invalid(*_wrong("at", "timestamp", value, error)) from None
        if problem := self._moments.problem(moment, now):
            raise _invalid(f"at {problem}", "at")
        return moment

    def _key(
        self,
        row: dict[str, object],
        values: Mapping[str, object],
        stated: datetime | None,
        faults: list[Fault],
    ) -> dict[str, object]:
        """The key columns of a row, null if not given; problems are added to `faults`."""
        key: dict[str, object] = {}
        for name, reader, type_ in self._keys:
            value = row.get(name)
            if name == self._event_time:
                value = stated
            elif reader is None:
                value = values[name]
            elif value is not None:
                try:
                    value = reader(value)
                except ValueError as error:
                    faults.append(_wrong(name, type_, value, error))
            key[name] = value
        return key

    def _no_moment(self) -> Fault:
        return Fault(
            f"{self._event_time} is missing, and the model's features depend on the "
            f'moment: give the row\'s {self._event_time} or, for all rows, "at", as ISO 8601 text with its zone. '
            "(A model whose document says online: {event_time: optional} is asked about now.)",
            self._event_time,
        )

    def _unknown(self, row: dict[str, object], compare: bool) -> list[Fault]:
        foreign = [name for name in row if name not in self._known]
        absent = [name for name, _, _, _ in self._inputs if name not in row]
        faults, named = [], ""
        for number, name in enumerate(foreign):
            near = None
            if compare and number < _COMPARED:
                near = _nearest(name, absent or sorted(self._known)) or _nearest(name, self._known)
            hint = f"; did you mean {near}?" if near else ""
            if not near and not named:  # once a row
                hint = named = f"; a row may have {', '.join(sorted(self._known))}"
            faults.append(Fault(f"the model has no column {_quoted(name)}{hint}", name[:_SHOWN]))
        return faults


def read_value(name: str, value: object, type_: str) -> object:
    """A value of a row converted to its type as in a request; null stays null. Raises RefusedError."""
    try:
        return None if value is None else _READERS[type_](value)
    except ValueError as error:
        raise _invalid(*_wrong(name, type_, value, error)) from None


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
        if name not in _FIELDS:
            near = _nearest(name, _FIELDS)
            hint = (
                f"; did you mean {near}?"
                if near
                else "; it has rows (or row) and, if wanted, at, all_or_nothing"
            )
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


def _flag(document: Mapping[str, object], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise _invalid(f"{name} is true or false, not {_shown(value)}", name)
    return value


def _wrong(name: str, type_: str, value: object, error: ValueError) -> Fault:
    return Fault(f"{name} is of type {type_}{error}, not {_shown(value)}", name)


def _refusal(faults: Mapping[int, Sequence[Fault]], untold: int = 0) -> RefusedError:
    """The error for a whole request because of its rows."""
    row, (first, *_) = next(iter(faults.items()))
    return RefusedError(422, "invalid", first.message, first.field, row, faults, untold)


def _invalid(message: str, field: str | None) -> RefusedError:
    return RefusedError(422, "invalid", message, field)


def _shown(value: object) -> str:
    """A caller's value with its JSON type, cut to a length that fits into an error."""
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
