"""Writes a stack's state folder: the servers' folders and configuration, and the settings file."""

import json
import os
import shlex
from collections.abc import Collection
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from giornata.settings import FILE_NAME
from stack.installation import AIRFLOW_PASSWORDS, Installation
from stack.service import SPARK_CLASS_PATH, SPARK_JARS, Service

TEMPLATES = Path(__file__).with_name("templates")

_IN_CONFIGURATION = (
    "cassandra.yaml",
    "hadoop/capacity-scheduler.xml",
    "hadoop/core-site.xml",
    "hadoop/hdfs-site.xml",
    "hadoop/yarn-site.xml",
    "hive-site.xml",
    "log4j2.properties",
    "logback.xml",
    "spark-defaults.conf",
)
_FOLDERS = (
    "bundles",
    "cassandra",
    "conf/hadoop",
    "hdfs/pages/webapps/datanode",
    "hdfs/pages/webapps/hdfs",
    "log",
    "mail",
    "metastore",
    "mlflow",
    "prediction_log",
    "warehouse",
)


def render(installation: Installation, services: Collection[Service]) -> None:
    """Write everything that the servers read before they start. Repeating it changes nothing."""
    home = installation.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (*_FOLDERS, "airflow", *(f"run/{service.name}" for service in services)):
        (home / folder).mkdir(parents=True, exist_ok=True)
        # Also one of an earlier release: what lies in it is its user's alone.
        (home / folder.partition("/")[0]).chmod(0o700)
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    # Supervisor takes % as the start of a substitution.
    templates.filters.update(ini=lambda text: str(text).replace("%", "%%"), command=shlex.join)
    values = {
        "home": home,
        "warehouse": installation.warehouse,
        "metastore_url": installation.metastore_url,
        "ports": installation.ports,
        "services": services,
        "spark_jars": SPARK_JARS,
        "spark_class_path": SPARK_CLASS_PATH,
    }
    for name in _IN_CONFIGURATION:
        write(installation.configuration / name, templates.get_template(name).render(values))
    write(home / "supervisord.conf", templates.get_template("supervisord.conf").render(values))
    write(installation.airflow_home / "passwords.json", json.dumps(AIRFLOW_PASSWORDS))
    found_by = installation.variables() | installation.airflow_login()
    write(home / FILE_NAME, "".join(f"{name}={value}\n" for name, value in found_by.items()))


def write(file: Path, text: str) -> None:
    """Write a file so that readers see the old or the new one, readable by its owner alone."""
    written = file.with_name(f"{file.name}.tmp")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    written.replace(file)
