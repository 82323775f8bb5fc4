"""Importing the Python files of projects."""

from pathlib import Path

import pytest

from jobs.runtime import project_code


def write(folder: Path, value: str) -> None:
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "shared.py").write_text(f"VALUE = {value!r}\n")
    (folder / "tables" / "readings.py").write_text(
        "from ..shared import VALUE\n\ndef load():\n    return VALUE\n"
    )


def test_a_copied_project_uses_its_own_files(tmp_path: Path) -> None:
    write(tmp_path / "tides", "original")
    write(tmp_path / "copy_of_tides", "copy")
    assert project_code.load(tmp_path / "tides", "tables", "readings").load() == "original"
    assert project_code.load(tmp_path / "copy_of_tides", "tables", "readings").load() == "copy"


def test_a_project_may_be_called_like_a_library(tmp_path: Path) -> None:
    write(tmp_path / "json", "mine")
    assert project_code.load(tmp_path / "json", "tables", "readings").load() == "mine"
    import json

    assert json.loads("1") == 1


def test_a_changed_file_is_imported_anew(tmp_path: Path) -> None:
    write(tmp_path / "tides", "before")
    assert project_code.load(tmp_path / "tides", "tables", "readings").load() == "before"
    write(tmp_path / "tides", "afterwards")
    assert project_code.load(tmp_path / "tides", "tables", "readings").load() == "afterwards"


def test_what_two_files_import_is_imported_once(tmp_path: Path) -> None:
    write(tmp_path / "tides", "x")
    (tmp_path / "tides" / "shared.py").write_text("VALUE = object()\n")
    text = (tmp_path / "tides" / "tables" / "readings.py").read_text()
    (tmp_path / "tides" / "tables" / "other.py").write_text(text)
    of_one, of_other = (
        project_code.load(tmp_path / "tides", "tables", name).load() for name in ("readings", "other")
    )
    assert of_one is of_other


def test_a_mistake_in_a_file_keeps_its_traceback(tmp_path: Path) -> None:
    write(tmp_path / "tides", "x")
    (tmp_path / "tides" / "tables" / "readings.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        project_code.load(tmp_path / "tides", "tables", "readings")
