"""The class of a model of type custom is found in the project, and what is wrong with it is reported at its place."""

import hashlib

import pytest

from giornata.documents import load_project
from giornata.errors import DocumentErrors

SOURCE = """\
import json


class Halves:
    def fit(self, examples, setting): ...
    def predict(self, matrix): ...
    def save(self): ...
    def load(self, files): ...
"""


@pytest.fixture
def custom(shop):
    """The shop, whose model is the class Halves of models/halves.py."""
    model = shop / "models/hours.yaml"
    text = model.read_text()
    assert "type: xgboost" in text
    model.write_text(text.replace("type: xgboost", "type: custom\nclass: halves.Halves"))
    (shop / "models/halves.py").write_text(SOURCE)
    return shop


def problems(shop):
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    return [(p.file, p.line, p.message, p.suggestion) for p in caught.value.problems]


def test_the_class_is_read_with_the_documents(custom):
    documents = load_project(custom)
    code = documents.classes["hours"]
    assert (code.class_name, code.file, code.source) == ("Halves", "models/halves.py", SOURCE)
    assert code.version == hashlib.sha256(SOURCE.encode()).hexdigest()
    document = documents.model("hours").model_dump(mode="json")
    assert document["class"] == "halves.Halves"
    assert type(documents.model("hours")).model_validate(document) == documents.model("hours")


def test_other_types_have_none(shop):
    assert load_project(shop).classes == {}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "class: halves.Halves\n",
            "",
            ("a model of type custom needs its class", "class: module.Class"),
        ),
        ("type: custom\n", "type: xgboost\n", ("only a model of type custom has a class", "type: custom")),
        (
            "halves.Halves",
            "Halves",
            ("'Halves' is not a class of the project: write module.Class, for models/module.py", ""),
        ),
        ("halves.Halves", "../x.Halves", None),
        ("halves.Halves", "halvs.Halves", ("there is no file models/halvs.py in the project", "")),
    ],
)
def test_a_document_and_its_class_that_do_not_fit(custom, old, new, problem):
    model = custom / "models/hours.yaml"
    model.write_text(model.read_text().replace(old, new))
    found = [each for each in problems(custom) if each[0] == "shop/models/hours.yaml"]
    assert len(found) == 1
    if problem:
        assert found[0][2:] == problem


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("class Halves", "class Half", 1, "there is no class Halves in it"),
        ("def save", "def sav", 4, "class Halves has no method save"),
        ("import json", "from .other import thing", 1,
         "a model's class travels alone: it cannot import other files of the project"),
        ("import json", "import", 1, "not valid Python: "),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_reported_at_its_line(custom, old, new, line, message):
    (custom / "models/halves.py").write_text(SOURCE.replace(old, new))
    ((file, found, said, _),) = problems(custom)
    assert (file, found) == ("shop/models/halves.py", line)
    assert said.startswith(message)


def test_methods_may_be_inherited(custom):
    (custom / "models/halves.py").write_text("class Base: ...\nclass Halves(Base): ...\n")
    assert load_project(custom).classes["hours"].class_name == "Halves"


def test_a_file_that_no_model_uses(shop):
    (shop / "models/halves.py").write_text(SOURCE)
    assert problems(shop) == [("shop/models/halves.py", 1, "no model uses a class in it", "")]
