"""Speed of training on the flights of 2013: parts, search, growth and what of a run is not fitting, in one run.

    make bench NAME=training OPTIONS="--parts parts,search --trials 20"

`parts` and `search` fit rows made here, as `jobs/training/dataset.py` would make
them, on two executors of one core; `growth` trains from the stack's tables and leaves nothing in them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import training_growth, training_parts, training_search
from bench.figures import recorded
from giornata.documents.resources import Resources
from giornata.settings import Settings, load_settings
from jobs.runtime.session import start

NEEDS = ("stack",)
MASTER = "local-cluster[2,1,1024]"
PARTS = ("parts", "search", "growth")
TWO_EXECUTORS = Resources(executors=2, cores=1, memory="1g")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.training", description="Speed of training.")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=",".join(PARTS))
    parser.add_argument("--trials", type=int, default=20, help="trials of the search")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: {', '.join(PARTS)}")
    with recorded("training"):
        measure(load_settings(), arguments.parts, arguments.trials)


def measure(settings: Settings, parts: Sequence[str], trials: int) -> None:
    """The figures of these parts."""
    for part in parts:
        with TemporaryDirectory() as name:
            if part == "growth":
                training_growth.growth(settings, MASTER)
                continue
            spark = start(settings, "bench training", MASTER, TWO_EXECUTORS)
            try:
                if part == "parts":
                    training_parts.beside_a_loop(spark, Path(name))
                else:
                    training_search.beside_serial_and_mlflow(spark, Path(name), trials)
            finally:
                spark.stop()


if __name__ == "__main__":
    main()
