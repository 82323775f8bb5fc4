"""A Spark job of the local stack takes Spark's classes from the archive that `make classes` made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from giornata.settings import Settings
from giornata.spark_submit import CLASS_ARCHIVE, SHORT_LIVED_JVM, with_shared_classes
from jobs.runtime.session import ROOT

SHARED = "source: shared objects file (top)"

JOB = """
from giornata.settings import load_settings
from jobs.runtime.session import start

start(load_settings(), "shared").sql("SHOW DATABASES").collect()
"""


@pytest.mark.timeout(300)
def test_a_job_shares_the_classes_of_spark(stores: Settings, tmp_path: Path) -> None:
    assert CLASS_ARCHIVE.is_file(), "make classes"
    (tmp_path / "job.py").write_text(JOB)
    loaded = tmp_path / "classes.log"
    environment = {
        **os.environ,
        **stores.variables,
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(stores.home / "conf"),
        "SPARK_SUBMIT_OPTS": f"{with_shared_classes(SHORT_LIVED_JVM)} -Xlog:class+load:file={loaded}",
    }
    submit = Path(sys.executable).parent / "spark-submit"
    subprocess.run([submit, tmp_path / "job.py"], env=environment, timeout=240, check=True)
    lines = loaded.read_text().splitlines()
    shared = [line for line in lines if SHARED in line]
    read = [line for line in lines if "source: file:" in line]
    assert len(shared) > 4 * len(read)
    # Hive's client, which asks the metastore, too.
    assert any("HiveMetaStoreClient" in line and SHARED in line for line in lines)


def test_without_an_archive_options_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("giornata.spark_submit.CLASS_ARCHIVE", tmp_path / "none.jsa")
    assert with_shared_classes("-Xmx1g") == "-Xmx1g"
