"""Where a problem is reported, and the text that it marks."""

from pathlib import Path

from giornata.errors import Problem


def at(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def marked(problem: Problem) -> str:
    """The text that the carets of a problem stand under, after making sure that it really is at its place."""
    if not problem.excerpt:
        return ""
    shown, carets = problem.excerpt.split("\n")
    assert shown == Path(problem.file).read_text(encoding="utf-8").splitlines()[problem.line - 1]
    first, last = carets.index("^"), carets.rindex("^")
    assert first == problem.column - 1
    assert set(carets[first:]) == {"^"}
    return shown[first : last + 1]
