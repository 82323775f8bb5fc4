"""Formats of times as text: the codes that both back ends write and read alike, all of fixed width.

%Y year (4 digits), %m month, %d day, %H hour, %M minute, %S second (2 digits each), %f microsecond (6 digits), %% a
percent sign; every other printable ASCII character stands for itself.
"""

from functools import cache

MAX_LENGTH = 100
_FIELDS = {
    "Y": ("{0.year:04d}", "[0-9]{4}", 4),
    "m": ("{0.month:02d}", "[0-9]{2}", 2),
    "d": ("{0.day:02d}", "[0-9]{2}", 2),
    "H": ("{0.hour:02d}", "[01][0-9]|2[0-3]", 2),
    "M": ("{0.minute:02d}", "[0-5][0-9]", 2),
    "S": ("{0.second:02d}", "[0-5][0-9]", 2),
    "f": ("{0.microsecond:06d}", "[0-9]{6}", 6),
}


@cache
def parts(written: str) -> tuple[tuple[str, str], ...]:
    """The pieces of a format: (code, "") or ("", character). Raises ValueError that says what is wrong."""
    if len(written) > MAX_LENGTH:
        raise ValueError(f"a format has at most {MAX_LENGTH} characters")
    found = []
    characters = iter(enumerate(written, start=1))
    for position, character in characters:
        if character != "%":
            if not " " <= character <= "~":
                raise ValueError(f"character {position}, {character!a}, is not printable ASCII")
            found.append(("", character))
            continue
        _, code = next(characters, (0, ""))
        if code == "%":
            found.append(("", "%"))
        elif code in _FIELDS:
            found.append((code, ""))
        else:
            raise ValueError(f"character {position}: %{code} is not one of %Y %m %d %H %M %S %f %%")
    return tuple(found)


def write_problem(written: str) -> str | None:
    """The mistake in a format for writing, or None."""
    try:
        parts(written)
    except ValueError as error:
        return str(error)
    return None


def read_problem(written: str) -> str | None:
    """The mistake in a format for reading, or None: it needs a whole date, and whole times before fractions."""
    if problem := write_problem(written):
        return problem
    codes = [code for code, _ in parts(written) if code]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice:
        return f"%{twice} occurs twice"
    missing = next((code for code in "Ymd" if code not in codes), None)
    if missing:
        return f"%{missing} is missing; a time has at least %Y, %m and %d"
    for code, larger in zip("MSf", "HMS", strict=True):
        if code in codes and larger not in codes:
            return f"%{code} needs %{larger}"
    return None


def template(written: str) -> str:
    """The format for str.format of a datetime."""
    return "".join(
        _FIELDS[code][0] if code else character.replace("{", "{{").replace("}", "}}")
        for code, character in parts(written)
    )


def pattern(written: str) -> str:
    """The format as a regular expression for both engines, without anchors."""
    return "".join(
        f"(?:{_FIELDS[code][1]})"
        if code
        else character
        if character.isalnum()
        else f"\\x{ord(character):02x}"
        for code, character in parts(written)
    )


def spans(written: str) -> dict[str, tuple[int, int]]:
    """{code: start and end in the text}."""
    found, start = {}, 0
    for code, _ in parts(written):
        end = start + (_FIELDS[code][2] if code else 1)
        if code:
            found[code] = (start, end)
        start = end
    return found


def chrono(written: str) -> str:
    """The format for Polars."""
    codes = {"f": "%6f"}
    return "".join(
        codes.get(code, f"%{code}") if code else character.replace("%", "%%")
        for code, character in parts(written)
    )
