"""Reading documents pulls in none of the heavy libraries, so that Airflow parses its DAGs quickly."""

import subprocess
import sys

HEAVY = (
    "polars",
    "pandas",
    "numpy",
    "pyspark",
    "airflow",
    "great_expectations",
    "mlflow",
    "xgboost",
    "cassandra",
)


def test_importing_documents_is_light():
    code = f"import sys, giornata.documents; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
