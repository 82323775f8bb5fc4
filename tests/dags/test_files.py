import ast
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dags.files import project_folders, write_dag_files

Write = Callable[..., Path]


@pytest.fixture
def projects(tmp_path: Path, write_project: Write) -> Path:
    for name in ("shops", "trains"):
        write_project(tmp_path / "projects" / name)
    (tmp_path / "projects" / "notes").mkdir()
    return tmp_path / "projects"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_each_project_has_a_file_that_makes_its_dags(projects: Path, tmp_path: Path):
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert names(tmp_path / "dags") == ["shops.dags.py", "trains.dags.py"]
    text = (tmp_path / "dags" / "shops.dags.py").read_text()
    assert f"project_dags({str(projects / 'shops')!r})" in text
    # Airflow passes over files that do not hold both words.
    assert "airflow" in text.lower()
    assert "dag" in text.lower()


def test_files_follow_the_folders(projects: Path, tmp_path: Path, write_project: Write):
    write_dag_files(project_folders(projects), tmp_path / "dags")
    shutil.rmtree(projects / "shops")
    write_project(projects / "boats")
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert names(tmp_path / "dags") == ["boats.dags.py", "trains.dags.py"]


def test_whatever_a_folder_is_called_its_file_is_python(projects: Path, tmp_path: Path, write_project: Write):
    """Airflow shows the project's problems for it; nothing of the name is run."""
    odd = [b'a"""\nraise SystemExit\n"""', b"caf\xe9", "caf\u00e9 {x}".encode(), b"it's"]
    folders = [Path(os.fsdecode(bytes(projects) + b"/" + name)) for name in odd]
    for folder in folders:
        write_project(folder)
    (projects / "trains" / "gone.sql").symlink_to("nowhere")
    write_dag_files(project_folders(projects), tmp_path / "dags")
    called = []
    for name in names(tmp_path / "dags"):
        assert name.isascii()
        lines = ast.parse((tmp_path / "dags" / name).read_text()).body
        assert [type(line) for line in lines] == [ast.Expr, ast.ImportFrom, ast.Expr]
        called.append(ast.literal_eval(lines[-1].value.args[0]))
    assert sorted(called) == sorted(map(str, [projects / "shops", projects / "trains", *folders]))


def test_other_files_are_left_alone(projects: Path, tmp_path: Path):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "own.py").write_text("")
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert "own.py" in names(tmp_path / "dags")


def test_a_file_is_as_old_as_the_newest_document(projects: Path, tmp_path: Path):
    for path in [projects / "shops", *(projects / "shops").rglob("*")]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    newest = projects / "shops" / "features" / "shop_load.sql"
    os.utime(newest, (1_700_000_000, 1_700_000_000))
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert (tmp_path / "dags" / "shops.dags.py").stat().st_mtime == 1_700_000_000
    os.utime(newest, (1_700_000_500, 1_700_000_500))
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert (tmp_path / "dags" / "shops.dags.py").stat().st_mtime == 1_700_000_500


def test_what_did_not_change_is_not_written(projects: Path, tmp_path: Path):
    write_dag_files(project_folders(projects), tmp_path / "dags")
    before = {name: (tmp_path / "dags" / name).stat().st_ino for name in names(tmp_path / "dags")}
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert {name: (tmp_path / "dags" / name).stat().st_ino for name in names(tmp_path / "dags")} == before


def test_a_text_of_an_older_release_is_replaced(projects: Path, tmp_path: Path):
    write_dag_files(project_folders(projects), tmp_path / "dags")
    file = tmp_path / "dags" / "shops.dags.py"
    good, changed = file.read_text(), file.stat().st_mtime_ns
    file.write_text("from dags.old import dag  # airflow\n")
    os.utime(file, ns=(changed, changed))
    write_dag_files(project_folders(projects), tmp_path / "dags")
    assert file.read_text() == good
