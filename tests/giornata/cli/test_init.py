"""A project that `giornata init` makes is in order, and is the tutorial's."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.testing import CliRunner

from giornata.cli import init
from giornata.documents import load_project
from giornata.errors import SettingsError
from tests.docs.test_tutorial import FILES


def test_it_is_the_project_of_the_tutorial_and_in_order(tmp_path: Path) -> None:
    result = CliRunner().invoke(init.app, ["cakes", "--in", str(tmp_path)])
    assert result.exit_code == 0, result.exception
    made = {
        str(file.relative_to(tmp_path / "cakes")): file.read_text()
        for file in (tmp_path / "cakes").rglob("*")
        if file.is_file()
    }
    del made["tests/test_documents.py"]  # which is no file of the page
    assert made == {name.removeprefix("deliveries/"): text for name, text in FILES.items()}
    assert set(load_project(tmp_path / "cakes").models) == {"minutes"}
    assert all(f"made {tmp_path}/cakes/{name}\n" in result.output for name in made)
    spec = spec_from_file_location("cakes_test", tmp_path / "cakes" / "tests" / "test_documents.py")
    assert spec
    assert spec.loader
    own = module_from_spec(spec)
    spec.loader.exec_module(own)
    own.test_documents_and_features()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cakes").mkdir()
    result = CliRunner().invoke(init.app, ["cakes", "--in", str(tmp_path)])
    assert isinstance(result.exception, SettingsError)
    assert list((tmp_path / "cakes").iterdir()) == []


@pytest.mark.parametrize("name", ["Cakes", "a/b", "..", "1st"])
def test_an_illegal_name_makes_nothing(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(init.app, [name, "--in", str(tmp_path)])
    assert result.exception is not None
    assert list(tmp_path.iterdir()) == []
