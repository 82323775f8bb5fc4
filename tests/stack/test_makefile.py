"""`make` explains itself and says what the machine lacks before it changes anything."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from stack.installation import REPOSITORY


def make(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("make")), *arguments],
        cwd=REPOSITORY,
        env={"PATH": path, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_alone_lists_every_target() -> None:
    declared = re.findall(r"^\.PHONY: (\S+)$", (REPOSITORY / "Makefile").read_text(), flags=re.M)
    listed = re.findall(r"^  make (\S+) +\S", make().stdout, flags=re.M)
    assert listed == declared
    assert {"demo", "test", "up", "down", "sql", "lint", "format"} <= set(listed)


def test_every_test_has_the_jars_it_needs() -> None:
    stages = re.findall(r"^test:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), flags=re.M)[0]
    assert re.findall(r"call stage,([a-z-]+)", stages) == [
        "install",
        "classes",
        "jars",
        "cluster-jars",
        "tests",
    ]


def test_missing_python() -> None:
    result = make("--always-make", "install", "PYTHON=python-that-is-not-there")
    assert result.returncode != 0
    assert "Python 3.11 is missing: `python-that-is-not-there` is not on PATH" in result.stderr
    assert "make install PYTHON=/path/to/python3.11" in result.stderr


def test_missing_java_and_maven(tmp_path: Path) -> None:
    (tmp_path / "python3.11").symlink_to(Path(sys.base_prefix, "bin", "python3.11"))
    for target in ("install", "jars", "cluster-jars"):
        result = make("--always-make", target, path=str(tmp_path))
        assert result.returncode != 0
        assert "Java 17 is missing: `java` is not on PATH" in result.stderr
        assert "Maven is missing" in result.stderr
        assert "Traceback" not in result.stderr
