"""A good project loads; all mistakes are reported together; a broken project does not hide others."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from giornata.documents import ModelSpec, compile_model, load, load_project, load_projects
from giornata.errors import DocumentErrors, NotFoundError
from tests.giornata.documents.conftest import WINDOWS
from tests.giornata.documents.problems import marked


def test_a_good_project_loads(shop):
    documents = load_project(shop)
    assert documents.name == "shop"
    assert documents.project.start_date == date(2024, 1, 1)
    assert list(documents.tables) == ["deliveries", "orders"]
    assert documents.tables["orders"].columns["weight"] == "float"
    assert documents.has_loader("orders")
    assert not documents.has_loader("deliveries")
    group = documents.group("shop_load")
    assert (group.ttl, group.schedule) == (timedelta(hours=12), "*/15 * * * *")
    assert group.expect[0].name == "expect_column_values_to_be_between"
    assert group.expect[0].arguments == {"column": "orders_1h", "min_value": 0}
    assert group.expect[0].policy == "quarantine"
    assert documents.query("shop_load") == "SELECT 1 WHERE :from < :to\n"
    model = documents.model("hours")
    assert (model.schedule, model.split.train) == (None, timedelta(days=270))
    assert model.partition.levels == {"shop": "row.shop"}
    assert model.search.space["max_depth"].integers == [2, 8]
    assert model.monitor.log == 0.125
    assert model.monitor.alerts[0].over == timedelta(days=7)


def test_a_document_survives_json(shop):
    (shop / "features/shop_weights.yaml").write_text(WINDOWS)
    documents = load_project(shop)
    for document in (documents.model("hours"), documents.group("shop_load"), documents.group("shop_weights")):
        dumped = json.loads(json.dumps(document.model_dump(mode="json")))
        assert type(document).model_validate(dumped) == document
    dumped = load_project(shop).model("hours").model_dump(mode="json")
    assert dumped["split"] == {"train": "270d", "validation": 0.2, "test": "30d"}
    assert dumped["monitor"]["log"] == 0.125
    assert dumped["search"]["space"]["max_depth"]["int"] == [2, 8]


def test_a_document_cannot_change(shop):
    model = load_project(shop).model("hours")
    with pytest.raises(ValueError, match="frozen"):
        model.owner = "somebody"
    assert isinstance(model, ModelSpec)


def test_models_compile_against_their_tables_and_groups(shop):
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.names == ("weight", "busy")
    assert compiled.features.inputs.row["weight"] == "float"
    assert compiled.features.inputs.store["shop_load"].keys == {"shop": "shop"}
    assert compiled.partition.names == ("shop",)


def test_a_column_may_be_a_list_and_a_key_may_not(shop, problems_after):
    table, model = shop / "tables/orders.yaml", shop / "models/hours.yaml"
    table.write_text(table.read_text().replace("items: int", "items: int\n  boxes: list[float]"))
    model.write_text(model.read_text().replace("weight: row.weight", "weight: sum(row.boxes)"))
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.row({"boxes": [0.5, None, 2.0]})[0] == 2.5
    (problem,) = problems_after("tables/orders.yaml", "key: [order_id]", "key: [order_id, boxes]")
    assert (marked(problem), problem.message) == ("boxes", "column 'boxes' is a list, which cannot be a key")


def test_the_excerpt_marks_the_offending_text(problems_after):
    (problem,) = problems_after("models/hours.yaml", "table: orders", "table: ordes")
    assert problem.excerpt == (
        "data: {table: ordes, key: [order_id], event_time: ordered_at}\n"
        "              ^^^^^"
    )  # fmt: skip
    assert str(problem) == (
        "shop/models/hours.yaml:5:15: unknown table 'ordes' (did you mean 'orders'?)\n"
        "    data: {table: ordes, key: [order_id], event_time: ordered_at}\n"
        "                  ^^^^^"
    )


def test_all_problems_of_a_project_are_reported_together(shop):
    (shop / "project.yaml").write_text("description: Parcels\n")
    (shop / "tables/deliveries.yaml").write_text("key: [\n")
    (shop / "models/late.yml").write_text("description: x\n")
    text = (shop / "models/hours.yaml").read_text()
    (shop / "models/hours.yaml").write_text(text.replace("key: [order_id]", "key: [id]"))
    (shop / "features/shop_load.sql").unlink()
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        (
            "shop/features/shop_load.yaml",
            "the group has no source of its rows: write shop_load.sql or shop_load.py beside it",
        ),
        ("shop/models/hours.yaml", "unknown column 'id'"),
        ("shop/models/late.yml", "documents end in .yaml"),
        ("shop/project.yaml", "the key 'owner' is missing"),
        ("shop/project.yaml", "the key 'start_date' is missing"),
        (
            "shop/tables/deliveries.yaml",
            "not valid YAML: expected the node content, but found '<stream end>'",
        ),
    ]
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("file", "copy_of", "message"),
    [
        ("models/orders.yaml", "models/hours.yaml",
         "the name 'orders' of this model is already taken by the table 'orders'"),
        ("tables/hours_outcomes.yaml", "tables/deliveries.yaml",
         "the name 'hours_outcomes' of this model is already taken by the table 'hours_outcomes'"),
        ("tables/model_metrics.yaml", "tables/deliveries.yaml",
         "the name 'model_metrics' of this table is already taken by the platform's own tables"),
    ],
)  # fmt: skip
def test_names_do_not_clash(shop, file, copy_of, message):
    (shop / file).write_text((shop / copy_of).read_text())
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [problem.message for problem in caught.value.problems] == [message]


def test_a_fault_that_no_rule_foresees_is_a_problem_of_its_project_alone(shop, monkeypatch):
    shutil.copytree(shop, shop.parent / "sound")

    def fail(drafts):
        if drafts.folder.name == "shop":
            raise ZeroDivisionError("x")
        return ()

    monkeypatch.setattr(load, "reference_problems", fail)
    loaded = load_projects(shop.parent)
    assert loaded["sound"].models.keys() == {"hours"}
    (problem,) = loaded["shop"].problems
    assert str(problem) == "shop/project.yaml:1:1: the documents cannot be read (ZeroDivisionError: x)"


def test_a_broken_project_does_not_hide_its_neighbours(shop):
    broken = shop.parent / "broken"
    broken.mkdir()
    (broken / "project.yaml").write_text("description: x\n")
    (shop.parent / "not_a_project").mkdir()
    loaded = load_projects(shop.parent)
    assert list(loaded) == ["broken", "shop"]
    assert isinstance(loaded["broken"], DocumentErrors)
    assert loaded["shop"].models.keys() == {"hours"}


def test_what_is_not_there_is_named(shop):
    documents = load_project(shop)
    with pytest.raises(NotFoundError, match=r"project shop has no model 'huors' \(did you mean 'hours'\?\)"):
        documents.model("huors")
    with pytest.raises(NotFoundError, match="no project folder"):
        load_project(shop / "nowhere")
    with pytest.raises(NotFoundError, match="no folder of projects"):
        load_projects(Path("nowhere"))
