"""The reference page is the one that the table gives, and names every function."""

from pathlib import Path

from dsl.functions import TABLE
from dsl.tools.reference import page

FILE = Path(__file__).parents[3] / "docs" / "reference" / "functions.md"


def test_the_page_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == page(), (
        "run: python -m dsl.tools.reference > docs/reference/functions.md"
    )


def test_the_page_has_every_function_and_no_part():
    for function in TABLE:
        assert (f"### `{function.name}`" in page()) is not function.is_part
