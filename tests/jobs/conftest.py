"""Projects of a test's own that leave nothing behind in the stores."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from giornata import names
from giornata.settings import Settings
from giornata.stores import cassandra


@pytest.fixture
def project(spark: SparkSession, stores: Settings) -> Iterator[str]:
    """The name of a project that no store knows yet; its tables in Hive and Cassandra end with the test."""
    name = f"test_{uuid.uuid4().hex[:10]}"
    spark.sql(f"CREATE DATABASE {name}")
    yield name
    spark.catalog.setCurrentDatabase("default")
    for table in spark.catalog.listTables(name):
        spark.sql(f"DROP TABLE {name}.{table.name}")
    with cassandra.session(stores) as opened:
        opened.execute(f"DROP KEYSPACE IF EXISTS {names.keyspace(name)}", timeout=30.0)


WriteProject = Callable[[Mapping[str, str]], Settings]


@pytest.fixture
def write_project(project: str, stores: Settings, tmp_path: Path) -> WriteProject:
    """Writes files (path in the project's folder -> text) of the project; returns settings that find it."""

    def write(files: Mapping[str, str]) -> Settings:
        folder = tmp_path / "projects" / project
        (folder / "features").mkdir(parents=True, exist_ok=True)
        description = "description: A project of a test\nowner: tests\nstart_date: 2013-01-01\n"
        for path, text in {"project.yaml": description, **files}.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        variables = {**stores.variables, "GIORNATA_PROJECTS": str(folder.parent)}
        return replace(stores, variables=variables)

    return write
