"""Speed of training on the flights of 2013: parts, search, growth and what of a run is not fitting, in one run.

    python -m bench.training [--parts parts,search,growth] [--trials 20]

Needs the local stack (`make up`). `parts` and `search` fit rows made here, as `jobs/training/dataset.py` would make
them, on two executors of one core; `growth` trains from the stack's tables and leaves nothing in them. A line a
figure, `name ours peer ratio goal met|short`.
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import training_growth, training_parts, training_search
from giornata.documents.model import Resources
from giornata.settings import load_settings
from jobs.runtime.session import start

MASTER = "local-cluster[2,1,1024]"
PARTS = ("parts", "search", "growth")
TWO_EXECUTORS = Resources(executors=2, cores=1, memory="1g")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.training", description="Speed of training.")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=",".join(PARTS))
    parser.add_argument("--trials", type=int, default=20, help="trials of the search")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    settings = load_settings()
    for part in arguments.parts:
        with TemporaryDirectory() as name:
            if part == "growth":
                training_growth.growth(settings, MASTER)
                continue
            spark = start(settings, "bench training", MASTER, TWO_EXECUTORS)
            try:
                if part == "parts":
                    training_parts.beside_a_loop(spark, Path(name))
                elif part == "search":
                    training_search.beside_serial_and_mlflow(spark, Path(name), arguments.trials)
                else:
                    parser.error(f"there is no part {part}: {', '.join(PARTS)}")
            finally:
                spark.stop()
    print(f"load average {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
