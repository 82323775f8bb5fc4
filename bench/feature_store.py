"""Speed of the feature store on a year of flights, beside Feast 0.67 and the bare Cassandra driver, in one run.

    make bench NAME=feature_store OPTIONS="--days 60 --rows 10000"

Feast has an environment of its own, because its versions of libraries are others than Giornata's. `--parts` runs
some of them, `--days` and `--rows` make them smaller. The backfill leaves the project `bench_flights` in the stores,
and the other parts use it; `--parts remove` takes it away.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import joining, online
from bench.environments import peer_python
from bench.figures import recorded
from bench.flights_year import DAYS, PROJECT, backfill, flights_year, remove
from jobs.runtime.session import start

NEEDS = ("stack", "feast")
PARTS = ("backfill", "join", "growth", "online", "push")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.feature_store", description="Speed of the feature store.")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=PARTS, help=f"{','.join(PARTS)} or remove"
    )
    parser.add_argument("--days", type=int, default=DAYS, help="days of flights, from the first of January")
    parser.add_argument("--rows", type=int, default=300_000, help="asking rows of the join")
    arguments = parser.parse_args()
    if "remove" in arguments.parts:
        remove()
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: {', '.join(PARTS)} or remove")
    feast = str(peer_python("feast"))
    with recorded("feature_store"), flights_year() as (settings, groups):
        spark = start(settings, "bench")
        for part in arguments.parts:
            with TemporaryDirectory() as name:
                folder = Path(name)
                if part == "backfill":
                    done = backfill(spark, settings, groups, arguments.days)
                    print(
                        f"backfill of {arguments.days} days of {len(groups)} groups: {done.rows} rows in "
                        f"{done.materializing:.0f} s, {done.rows / done.materializing:.0f} rows/s, online rows pushed "
                        f"and statistics included; tables loaded before in {done.loading:.0f} s"
                    )
                elif part == "join":
                    joining.beside_feast(spark, groups, feast, folder, arguments.days, arguments.rows)
                elif part == "growth":
                    joining.growth(spark, groups, folder, arguments.days, arguments.rows)
                elif part == "online":
                    online.beside_feast(spark, settings, groups, feast, folder, arguments.days)
                else:
                    online.push_beside_driver(spark, settings, groups, folder)
        spark.stop()
    print(f"{PROJECT} stays in the stores")


if __name__ == "__main__":
    main()
