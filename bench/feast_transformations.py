"""The 30 expressions of bench/dsl.py as an on-demand transformation of Feast, whose function is the one by hand there.

`make bench NAME=feast_transformations`, by the Python of Feast's environment. In one run, one row
each: the language, the transformation alone (`transform_dict`, python mode), and Feast's online request for it.
"""

import tempfile
from pathlib import Path

from feast import Entity, FeatureStore, Field, OnDemandFeatureView, RepoConfig, RequestSource
from feast.infra.online_stores.sqlite import SqliteOnlineStoreConfig
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

from bench.dsl import EXPRESSIONS, SCHEMA, by_hand, fitted, least, rows_of
from bench.figures import recorded, show

NEEDS = ("feast",)
RUN_BY = "feast"

# The least ratios wanted.
GOALS = {"by hand": 0.9, "Feast's transformation": 1.0, "Feast's online request": 10.0}

TYPES = {"int": Int64, "float": Float64, "bool": Bool, "str": String, "timestamp": UnixTimestamp}


ROWS = rows_of(1000)
HAND = by_hand(fitted(ROWS))
NAMES = [f"{name}_" for name in EXPRESSIONS]


def transform(inputs: dict[str, object]) -> dict[str, object]:
    """The function that Feast calls; its features cannot have the names of inputs."""
    return dict(zip(NAMES, HAND(inputs), strict=True))


def main() -> None:
    """Measure and print."""
    with recorded("feast_transformations"):
        measure()


def measure() -> None:
    """The figures. Both must give the same answers."""
    rows, features = ROWS, fitted(ROWS)

    view = OnDemandFeatureView(
        name="flight",
        sources=[
            RequestSource(
                name="row",
                schema=[Field(name=name, dtype=TYPES[str(kind)]) for name, kind in SCHEMA.row.items()],
            )
        ],
        schema=[Field(name=f"{name}_", dtype=TYPES[kind]) for name, kind in features.types.items()],
        feature_transformation=PythonTransformation(
            udf=transform,
            udf_string="from bench.feast_transformations import transform",
        ),
        mode="python",
        singleton=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(
            config=RepoConfig(
                project="bench",
                provider="local",
                registry=str(Path(folder) / "registry.db"),
                online_store=SqliteOnlineStoreConfig(path=str(Path(folder) / "online.db")),
                entity_key_serialization_version=3,
            )
        )
        store.apply([Entity(name="flight_id")])
        # `store.apply` calls the function with random values and refuses an answer that is null.
        store.registry.apply_feature_view(view, project="bench")
        asked = [f"flight:{name}" for name in NAMES]

        def request(row: dict[str, object]) -> dict[str, list[object]]:
            return store.get_online_features(features=asked, entity_rows=[row]).to_dict()

        found = request(dict(rows[1]))
        for name, value in zip(EXPRESSIONS, features.row(rows[1]), strict=True):
            (by_feast,) = found[f"{name}_"]
            if by_feast != value and abs(by_feast - value) > 1e-9 * abs(value):
                raise SystemExit(f"{name}: the language has {value}, Feast {by_feast}")
        columns = [{name: [value] for name, value in row.items()} for row in rows]
        taken = least(
            {
                "language": lambda: [features.row(row) for row in rows],
                "by hand": lambda: [HAND(row) for row in rows],
                "Feast's transformation": lambda: [view.transform_dict(listed) for listed in columns],
                "Feast's online request": lambda: [request(dict(row)) for row in rows[:100]],
            },
            10,
        )
    taken["Feast's online request"] *= 10
    ours = taken["language"]
    for name, goal in GOALS.items():
        show(
            f"one row, x of {name}",
            f"{ours * 1e3:.1f} us",
            f"{taken[name] * 1e3:.1f} us",
            taken[name] / ours,
            goal,
        )


if __name__ == "__main__":
    main()
