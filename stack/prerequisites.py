"""Checks what the machine must provide: Java 17 and, until Cassandra's jars are fetched, Maven.

Uses only the standard library, because `make install` runs it before anything is installed: `python3.11 -m
stack.prerequisites`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

JAVA_VERSION = 17


def problems(cassandra_jars: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is missing, each with what to do; an empty list if nothing is."""
    found = [_java_problem(environ)]
    if not any(cassandra_jars.glob("cassandra-all-*.jar")):
        found.append(_jars_problem(cassandra_jars, environ))
    return [problem for problem in found if problem]


def java_command(environ: Mapping[str, str] = os.environ) -> str | None:
    """Path of the Java that the servers and Spark use: JAVA_HOME's, else the first on PATH; None if none."""
    if home := environ.get("JAVA_HOME"):
        java = Path(home, "bin", "java")
        return str(java) if java.is_file() else None
    return shutil.which("java", path=environ.get("PATH", ""))


def maven_problem(environ: Mapping[str, str] = os.environ) -> str | None:
    """A message if Maven is missing, else None."""
    if shutil.which("mvn", path=environ.get("PATH", "")):
        return None
    return (
        "Maven is missing: `mvn`, which fetches Cassandra's jars, is not on PATH. "
        "Install it (Debian, Ubuntu: apt install maven; macOS: brew install maven)."
    )


def _java_problem(environ: Mapping[str, str]) -> str | None:
    remedy = (
        f"Install a JDK {JAVA_VERSION} (Debian, Ubuntu: apt install openjdk-{JAVA_VERSION}-jdk; "
        f"macOS: brew install openjdk@{JAVA_VERSION}) and put it on PATH, or set JAVA_HOME to it."
    )
    java = java_command(environ)
    if java is None:
        where = f"JAVA_HOME is {home}" if (home := environ.get("JAVA_HOME")) else "`java` is not on PATH"
        return f"Java {JAVA_VERSION} is missing: {where} and there is no Java there. {remedy}"
    version = _java_version(java)
    if version is None:
        return f"{java} does not say its version (`{java} -version` failed). {remedy}"
    if version != JAVA_VERSION:
        return f"Java {JAVA_VERSION} is needed, but {java} is Java {version}. {remedy}"
    if not _has_compiler(java):
        return f"{java} is a runtime without a compiler, which the metastore's start needs. {remedy}"
    return None


def _java_version(java: str) -> int | None:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)(?:\.(\d+))?', answer.stderr + answer.stdout)
    if match is None:
        return None
    # Up to 8, Java called itself 1.8.
    return int(match[2]) if match[1] == "1" and match[2] else int(match[1])


def _has_compiler(java: str) -> bool:
    try:
        answer = subprocess.run(
            [java, "--list-modules"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return "jdk.compiler@" in answer.stdout


def _jars_problem(cassandra_jars: Path, environ: Mapping[str, str]) -> str:
    return (
        maven_problem(environ)
        or f"Cassandra's jars are not in {cassandra_jars}: fetch them with `make jars`."
    )


def main() -> int:
    """Print what is missing for an installation; the exit status is 1 if anything is."""
    missing = [problem for problem in (_java_problem(os.environ), maven_problem()) if problem]
    for problem in missing:
        print(problem, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
