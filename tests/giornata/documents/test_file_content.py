"""Files of a project by name and content: encodings, control characters, folders, deep nesting."""

import os
import shutil
from pathlib import Path

import pytest

from giornata.documents import ModelSpec, load_project, load_projects
from giornata.errors import DocumentErrors
from tests.giornata.documents.conftest import UDFS
from tests.giornata.documents.problems import at


def test_file_names_are_names(shop):
    (shop / "tables/orders.yaml").rename(shop / "tables/Orders.yaml")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [problem.file for problem in caught.value.problems] == [
        "shop/models/hours.yaml", "shop/tables/Orders.yaml", "shop/tables/orders.py",
    ]  # fmt: skip


def test_a_file_that_is_not_text_is_reported(shop):
    (shop / "project.yaml").write_bytes(b"description: Parcels\nowner: \xff\n")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    (problem,) = caught.value.problems
    assert (*at(problem), problem.message) == ("shop/project.yaml", 2, 8, "the file is not UTF-8 text")


BYTES = {
    "a query in Windows-1252": ("features/shop_load.sql", b"-- je Geb\xfchr\nSELECT :from < :to\n", 1, 10,
                                "the file is not UTF-8 text"),
    "a loader in Latin-1": ("tables/orders.py", b"# a\n# caf\xe9\n", 2, 6, "the file is not UTF-8 text"),
    "functions in UTF-16": ("udfs.py", "x = 1".encode("utf-16"), 1, 1, "the file is not UTF-8 text"),
    "a class with a NUL": ("models/halves.py", b"# \xc3\xa9\n#\xc3\xa9\0", 2, 3,
                           "the file is not text: it has a NUL character here"),
    "a document with a NUL": ("tables/deliveries.yaml", b"description: a\0b", 1, 15,
                              "the file is not text: it has a NUL character here"),
    "Python as deep as no interpreter goes": ("tables/orders.py", b"x = " + b"-" * 5000 + b"1", 1, 1,
                                              "this Python is nested too deeply"),
    "deeper Python yet": ("tables/orders.py", b"x = " + b"not " * 20_000 + b"1", 1, 1,
                          "this Python is nested too deeply"),
    "a number of 5,000 digits": ("project.yaml", b"description: x\nowner: x\nstart_date: " + b"9" * 5000, 3, 13,
                                 "a whole number lies between -2^63 and 2^63 - 1"),
    "a number of 5,000 digits in Python": ("tables/orders.py", b"x = 1\ny = " + b"9" * 5000, 2, 1, None),
    "a file of a megabyte": ("features/shop_load.sql", b"-" * 1_000_001, 1, 1,
                             "the file is larger than 1,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BYTES)
def test_whatever_a_file_holds_is_a_problem_at_its_place_and_of_its_project_alone(shop, case):
    name, content, line, column, message = BYTES[case]
    shutil.copytree(shop, shop.parent / "sound")
    if name.startswith("models/"):
        model = shop / "models/hours.yaml"
        model.write_text(model.read_text().replace("type: xgboost", "type: custom\nclass: halves.Halves"))
    (shop / name).write_bytes(content)
    loaded = load_projects(shop.parent)
    assert loaded["sound"].models.keys() == {"hours"}
    (problem,) = loaded["shop"].problems
    assert at(problem) == (f"shop/{name}", line, column)
    assert message is None or problem.message == message


def test_a_folder_or_a_pipe_where_a_file_belongs_is_a_problem(shop):
    (shop / "tables/orders.yaml").unlink()
    (shop / "tables/orders.yaml").mkdir()
    (shop / "features/shop_load.sql").unlink()
    os.mkfifo(shop / "features/shop_load.sql")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        ("shop/features/shop_load.sql", "this is no file"),
        ("shop/tables/orders.yaml", "this is no file"),
    ]


def test_a_file_whose_name_is_no_text_is_named_printably(shop):
    Path(os.fsdecode(bytes(shop) + b"/tables/caf\xe9.yml")).write_text("")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    (problem,) = caught.value.problems
    assert str(problem) == ("shop/tables/caf\\xe9.yml:1:1: documents end in .yaml (rename it caf\\xe9.yaml)")


def test_a_byte_order_mark_is_no_part_of_any_file(shop):
    whole = load_project(shop)
    (shop / "udfs.py").write_text(UDFS)
    for path in [file for file in shop.rglob("*") if file.is_file()]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    documents = load_project(shop)
    assert documents.query("shop_load") == "SELECT 1 WHERE :from < :to\n"
    assert documents.udfs.source == UDFS
    assert (documents.models, documents.tables, documents.groups) == (
        whole.models, whole.tables, whole.groups,
    )  # fmt: skip


def test_an_emoji_written_as_json_does_is_the_emoji(shop):
    model = shop / "models/hours.yaml"
    model.write_text(model.read_text().replace("Hours to delivery", r'"Hours \ud83d\ude80"'))
    spec = load_project(shop).model("hours")
    assert spec.description == "Hours \N{ROCKET}"
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_deep_nesting_is_refused(shop):
    (shop / "project.yaml").write_text("description: " + "[" * 5000)
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert caught.value.problems[0].message == "nested too deeply"
