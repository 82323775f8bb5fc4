"""The visible text of a console page."""

import re
from html.parser import HTMLParser

from fastapi.testclient import TestClient


class Text(HTMLParser):
    """The visible text of a page, with white space collapsed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def text(page: str) -> str:
    reader = Text()
    reader.feed(page)
    return " ".join(" ".join(reader.found).split())


def row(page: str, first: str) -> str:
    """The text of the table row that begins with `first`."""
    rows = [text(found) for found in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    return next(found for found in rows if found.startswith(first))


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text
