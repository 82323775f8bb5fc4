"""What the machine lacks is said before anything starts, with what to do."""

import shutil
from pathlib import Path

import pytest

from stack.control import Stack
from stack.errors import StackError
from stack.installation import Installation
from stack.ports import free_ports
from stack.prerequisites import java_command, problems


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder in which Cassandra's jar lies, as after `make jars`."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "cassandra-all-5.0.5.jar").touch()
    return folder


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return folder


def test_the_real_java_will_do(jars: Path) -> None:
    assert problems(jars) == []


def test_missing_java(jars: Path, tmp_path: Path) -> None:
    (problem,) = problems(jars, {"PATH": str(tmp_path)})
    assert problem.startswith("Java 17 is missing: `java` is not on PATH")
    assert "openjdk-17-jdk" in problem
    assert "JAVA_HOME" in problem


def test_java_home_without_a_java(jars: Path, tmp_path: Path) -> None:
    (problem,) = problems(jars, {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path / "jdk")})
    assert f"JAVA_HOME is {tmp_path / 'jdk'} and there is no Java there" in problem


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ('openjdk version "11.0.20" 2023-07-18', 11),
        ('java version "1.8.0_381"', 8),
        ('openjdk version "21" 2023', 21),
    ],
)
def test_another_version_of_java(jars: Path, tmp_path: Path, printed: str, version: int) -> None:
    folder = program(tmp_path / "bin", "java", f"echo '{printed}' >&2")
    (problem,) = problems(jars, {"PATH": str(folder)})
    assert problem.startswith(f"Java 17 is needed, but {folder}/java is Java {version}.")
    assert "openjdk-17-jdk" in problem


def test_a_java_that_fails(jars: Path, tmp_path: Path) -> None:
    folder = program(tmp_path / "bin", "java", "exit 1")
    (problem,) = problems(jars, {"PATH": str(folder)})
    assert f"{folder}/java does not say its version" in problem


def test_a_runtime_without_a_compiler(jars: Path, tmp_path: Path) -> None:
    script = "case $1 in -version) echo 'openjdk version \"17.0.1\"' >&2;; *) echo java.base@17.0.1;; esac"
    folder = program(tmp_path / "bin", "java", script)
    (problem,) = problems(jars, {"PATH": str(folder)})
    assert "without a compiler" in problem


def test_java_home_goes_before_path(tmp_path: Path) -> None:
    program(tmp_path / "home" / "bin", "java", "exit 0")
    program(tmp_path / "bin", "java", "exit 0")
    environ = {"PATH": str(tmp_path / "bin"), "JAVA_HOME": str(tmp_path / "home")}
    assert java_command(environ) == str(tmp_path / "home" / "bin" / "java")


def test_missing_jars_and_missing_maven(tmp_path: Path) -> None:
    java = program(tmp_path / "bin", "java", f'exec {shutil.which("java")} "$@"')
    (without_maven,) = problems(tmp_path / "jars", {"PATH": str(java)})
    assert without_maven.startswith("Maven is missing")
    program(tmp_path / "bin", "mvn", "exit 0")
    (with_maven,) = problems(tmp_path / "jars", {"PATH": str(java)})
    assert "make jars" in with_maven


def test_nothing_starts_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    stack = Stack(Installation(tmp_path / "home", free_ports()))
    with pytest.raises(StackError, match="Java 17 is missing"):
        stack.up(["mail"])
    assert not stack.supervisor.is_running()
    assert not (tmp_path / "home").exists()
