"""Models that all executors learn together are as good as those of one process, and of the same kind."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from xgboost.spark import SparkXGBRegressor

from giornata.dataset import Dataset
from giornata.documents.resources import Resources
from giornata.models import MODEL_TYPES, model_type
from giornata.models.base import FitError
from giornata.models.deep_net.initialization import NetParameters, first_net
from giornata.models.linear.design_matrix import Design
from giornata.tasks import TASKS
from jobs.training import part_fitting
from jobs.training.dataset import LABEL, ORDER, PARTS, WINDOW, examples
from jobs.training.distributed import Learner, deep_net, learner_of
from jobs.training.fitting import is_large
from jobs.training.part_fitting import FitConfig, fit_parts, fit_together
from jobs.training.search_data import most_searched

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

ROWS = 4000
# Of nets whose seeds alone make their losses differ less than the tests allow.
SMALL_NET = {"learning_rate": 0.01, "hidden_layers": 1, "hidden_units": 16, "epochs": 40}
CASES = [
    ("xgboost", "regression", {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3}),
    ("xgboost", "binary", {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3}),
    ("xgboost", "multiclass", {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3}),
    ("xgboost", "quantile", {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3}),
    ("linear", "regression", {"alpha": 0.01}),
    ("linear", "regression", {"penalty": "l1", "alpha": 0.01}),
    ("logistic", "binary", {"alpha": 0.001}),
    ("logistic", "binary", {"alpha": 0.001, "class_weight": "balanced"}),
    ("logistic", "multiclass", {"alpha": 0.001}),
    ("k_means", "clustering", {"clusters": 3}),
    ("deep_net", "regression", {"learning_rate": 0.01, "hidden_units": 16}),
    ("deep_net", "binary", SMALL_NET),
    ("deep_net", "multiclass", SMALL_NET),
]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Rows of four features, amounts (one with gaps), codes 0 to 2 and a constant; the label is a number."""
    random = np.random.default_rng(3)
    amounts = random.normal(0, 1, (ROWS, 2)) + np.repeat([[0, 0], [6, 0], [0, 6], [6, 6]], ROWS // 4, axis=0)
    amounts[random.random(ROWS) < 0.1, 1] = np.nan
    codes = random.integers(0, 3, ROWS)
    label = 2 * amounts[:, 0] + 3 * (codes == 1) - np.nan_to_num(amounts[:, 1]) + random.normal(0, 0.5, ROWS)
    order = random.permutation(ROWS).astype(np.int64)
    return pa.table(
        {
            "x0": amounts[:, 0].astype(np.float32),
            "x1": amounts[:, 1].astype(np.float32),
            "x2": codes.astype(np.float32),
            "x3": np.ones(ROWS, np.float32),
            LABEL: label,
            WINDOW: np.where(np.arange(ROWS) % 5 == 0, "validation", "train"),
            ORDER: order,
            PARTS: pa.array([["[]", '["a"]'] if number % 2 else ["[]"] for number in range(ROWS)]),
        }
    )


def labelled(table: pa.Table, task: str) -> pa.Table:
    """The table with labels of the task."""
    label = table[LABEL].to_numpy()
    codes = {
        "binary": (label > 3).astype(float),
        "multiclass": np.digitize(label, [0, 8]).astype(float),
        "clustering": np.zeros(len(label)),
    }.get(task, label)
    return table.set_column(table.column_names.index(LABEL), LABEL, pa.array(codes))


@pytest.mark.parametrize(("name", "task", "parameters"), CASES)
def test_as_good_as_one_process(spark, table, name, task, parameters):
    rows = labelled(table, task)
    outputs = TASKS[task].outputs(["a", "b", "c"], [0.1, 0.5, 0.9])
    config = FitConfig(model_type(name), task, [parameters], 0, 4, {2: 3}, ("x", "y", "code", "one"), outputs)
    matrix = spark.createDataFrame(rows).repartition(4)
    # The workers of a net take their time to start.
    for key in ((),) if name == "deep_net" else ((), ("a",)):
        together = fit_together(matrix, key, 0, ["train"], config, 2)
        (alone,) = fit_parts(matrix, {(key, 0): rows.num_rows}, ["train"], config, 2).values()
        assert not together.problem
        assert together.files.keys() == alone.files.keys()
        judged = rows.filter(pa.array(rows[WINDOW].to_numpy(zero_copy_only=False) == "validation"))
        held = examples(judged, 4, config.categories, config.names, outputs)
        read = config.type.fitted.from_files
        losses = [
            TASKS[task].measure(held.target, read(part.files).predict(held.matrix), outputs)[TASKS[task].loss]
            for part in (together, alone)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=0.01)
        if name in ("linear", "logistic"):
            # One optimum, whoever finds it; the columns are scaled by all rows in both.
            answers = [read(part.files).predict(held.matrix) for part in (together, alone)]
            assert answers[0] == pytest.approx(answers[1], abs=0.02)


@pytest.mark.parametrize(
    ("name", "task"), [("xgboost", "regression"), ("xgboost", "quantile"), ("linear", "regression")]
)
def test_labels_far_from_0(spark, table, name, task):
    """Such as moments in seconds, of which single precision keeps two minutes."""
    outputs = TASKS[task].outputs((), [0.1, 0.5, 0.9])
    parameters = {"n_estimators": 20, "max_depth": 3} if name == "xgboost" else {}
    config = FitConfig(model_type(name), task, [parameters], 0, 4, {2: 3}, ("x", "y", "code", "one"), outputs)
    held = examples(table, 4, config.categories, config.names, outputs)
    label = table[LABEL].to_numpy()
    answers = []
    for offset in (0.0, 1.6e9):
        moved = table.set_column(table.column_names.index(LABEL), LABEL, pa.array(label + offset))
        together = fit_together(spark.createDataFrame(moved).repartition(4), (), 0, ["train"], config, 2)
        answers.append(config.type.fitted.from_files(together.files).predict(held.matrix) - offset)
    assert np.sqrt(np.mean((answers[1] - answers[0]) ** 2)) < 1
    assert np.std(answers[1]) > 5


def test_logistic_is_scikit_learns(spark, table):
    """Without a penalty nothing depends on how columns are scaled."""
    rows = labelled(table, "binary").drop_columns(["x1"]).append_column("x1", table["x0"])
    config = FitConfig(model_type("logistic"), "binary", [{"penalty": "none"}], 0, 1, {})
    together = fit_together(spark.createDataFrame(rows), (), 0, ["train", "validation"], config, 2)
    x, label = table["x0"].to_numpy()[:, None], rows[LABEL].to_numpy()
    expected = LogisticRegression(C=np.inf, tol=1e-8).fit(x, label).predict_proba(x)[:, 1]
    found = config.type.fitted.from_files(together.files).predict(x.astype(np.float32))
    assert found == pytest.approx(expected, abs=1e-3)


def both(matrix, config, columns):
    """The answers of all executors together and of one, to rows that differ in every column."""
    (alone,) = fit_parts(matrix, {((), 0): ROWS}, ["train"], config, 2).values()
    together = fit_together(matrix, (), 0, ["train"], config, 3)
    assert not alone.problem
    assert not together.problem
    asked = np.array([[value] * columns for value in (0, 1, 2, 7.5, np.nan)], np.float32)
    read = config.type.fitted.from_files
    return [read(part.files).predict(asked) for part in (together, alone)]


@pytest.mark.parametrize(
    ("name", "task", "parameters"),
    [
        ("linear", "regression", {}),
        ("logistic", "binary", {}),
        ("logistic", "binary", {"class_weight": "balanced"}),
        ("logistic", "multiclass", {}),
        ("logistic", "multiclass", {"class_weight": "balanced"}),
        ("k_means", "clustering", {}),
    ],
)
def test_constant_columns_answer_as_of_one_process(spark, table, name, task, parameters):
    rows = labelled(table, task).drop_columns(["x0"]).append_column("x0", table["x3"])
    config = FitConfig(model_type(name), task, [parameters], 0, 1, {}, (), TASKS[task].outputs("abcd", []))
    together, alone = both(spark.createDataFrame(rows), config, 1)
    assert together == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "task", "labels"),
    [
        ("linear", "regression", [0.1]),
        ("logistic", "binary", [0]),
        ("logistic", "binary", [1]),
        ("logistic", "multiclass", [2]),
    ],
)
def test_one_label_answers_as_of_one_process(spark, table, name, task, labels):
    rows = table.set_column(4, LABEL, pa.array(np.resize(labels, ROWS).astype(float)))
    config = FitConfig(model_type(name), task, [{}], 0, 4, {2: 3}, (), TASKS[task].outputs("abcd", []))
    together, alone = both(spark.createDataFrame(rows), config, 4)
    assert together == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("found", [[1, 3], [0, 1, 3]])
def test_classes_without_rows_answer_as_of_one_process(spark, table, found, weight):
    """Of 6 classes."""
    places = np.digitize(table[LABEL].to_numpy(), [0, 8][: len(found) - 1])
    rows = table.set_column(4, LABEL, pa.array(np.array(found, float)[places]))
    parameters = {"class_weight": weight, "tolerance": 1e-8}
    config = FitConfig(model_type("logistic"), "multiclass", [parameters], 0, 4, {2: 3}, (), "abcdef")
    together, alone = both(spark.createDataFrame(rows), config, 4)
    assert together == pytest.approx(alone, abs=1e-3)
    lacking = [place for place in range(6) if place not in found]
    # A fifth of the rows are held out.
    assert together[:, lacking] == pytest.approx(1 / (0.8 * ROWS + 6), rel=1e-12)


def test_fewer_kinds_than_clusters_have_a_centre_each(spark, table):
    rows = table.select(["x2", LABEL, WINDOW, ORDER, PARTS]).rename_columns(
        ["x0", LABEL, WINDOW, ORDER, PARTS]
    )
    config = FitConfig(model_type("k_means"), "clustering", [{"clusters": 8}], 0, 1, {0: 3})
    together, alone = both(spark.createDataFrame(rows), config, 1)
    # The others are as far from each of the centres.
    assert together[:3] == pytest.approx(alone[:3], abs=1e-12)
    assert set(together[:3, 0]) == {0, 1, 2}


def grid():
    """Points about 16 places, far from each other, as rows to learn from."""
    random = np.random.default_rng(0)
    places = np.array([(x, y) for x in range(4) for y in range(4)])
    points = (10 * np.repeat(places, 20, axis=0) + random.normal(0, 1, (320, 2))).astype(np.float32)
    zeros = np.zeros(320)
    return points, pa.table({"x0": points[:, 0], "x1": points[:, 1], LABEL: zeros, ORDER: np.arange(320)})


def clustered(spark, points, rows, **parameters):
    config = {"clusters": 16, **parameters}
    return learner_of(model_type("k_means")).fit(
        spark.createDataFrame(rows), Dataset(points, np.zeros(len(points))), "clustering", config, 1, 2
    )


def test_k_means_keeps_the_best_of_its_starts(spark):
    points, rows = grid()
    once, often = (clustered(spark, points, rows, starts=starts).predict(points) for starts in (1, 10))
    costs = [np.square(answers[:, 1]).sum() for answers in (once, often)]
    best = KMeans(16, n_init=10, random_state=0).fit(points).inertia_
    assert costs[1] == pytest.approx(best, rel=1e-3)
    # Somewhere one centre has the points of two places.
    assert costs[0] > 2 * best


def test_tolerance_of_k_means_knows_no_unit(spark):
    """As in scikit-learn: it is a share of the variance."""
    points, rows = grid()
    small = np.float32(2.0**-20)
    tiny = rows.set_column(0, "x0", pa.array(points[:, 0] * small)).set_column(
        1, "x1", pa.array(points[:, 1] * small)
    )
    for tolerance in (1e-4, 0.5):
        large = clustered(spark, points, rows, starts=1, clusters=12, tolerance=tolerance)
        scaled = clustered(spark, points * small, tiny, starts=1, clusters=12, tolerance=tolerance)
        answers, found = large.predict(points), scaled.predict(points * small)
        assert (found[:, 0] == answers[:, 0]).all()
        assert found[:, 1] == pytest.approx(answers[:, 1] * small, rel=1e-9)


def test_what_xgboost_refuses_is_told(spark, table):
    """The part is dropped with this sentence: another error would end the whole run."""
    # More than a number of four bytes can be.
    far = F.when(F.col(ORDER) == 0, 1e39).otherwise(F.col(LABEL))
    matrix = spark.createDataFrame(table).withColumn(LABEL, far)
    config = FitConfig(model_type("xgboost"), "regression", [{}], 0, 4, {2: 3})
    problem = fit_together(matrix, (), 0, ["train", "validation"], config, 2).problem
    said = (
        r"(/\S+ Check failed: valid: Label contains NaN, infinity or a value too large\."
        # The other worker, which waited for this one, may be heard first.
        r"|one ended before the trees were grown; the log of its executor has its last output)"
    )
    assert re.fullmatch(f"XGBoost cannot fit on 2 workers: {said}", problem)


def test_a_worker_that_others_wait_for_in_vain_is_told(spark, table, monkeypatch):
    def waits(*_):
        raise PySparkException(
            "[11:06:10] /workspace/src/collective/result.cc:83: [quantile_dmatrix.cc:127]:"
        )

    monkeypatch.setattr(SparkXGBRegressor, "fit", waits)
    rows = spark.createDataFrame(table)
    with pytest.raises(FitError, match="on 2 workers: one ended before the trees were grown"):
        learner_of(model_type("xgboost")).fit(rows, examples(table, 4, {2: 3}), "regression", {}, 0, 2)


@pytest.mark.parametrize(
    ("name", "task", "library"),
    [
        ("xgboost", "regression", "XGBoost"),
        ("linear", "regression", "Spark ML"),
        ("logistic", "binary", "Spark ML"),
        ("k_means", "clustering", "Spark ML"),
        ("deep_net", "regression", "PyTorch"),
    ],
)
def test_what_fails_on_executors_is_told(spark, table, name, task, library):
    def breaks(batches):
        raise ValueError("a row is broken")

    rows = labelled(table, task)
    matrix = spark.createDataFrame(rows)
    learner = learner_of(model_type(name))
    with pytest.raises(FitError, match=rf"^{library} cannot fit on 2 workers: ValueError: a row is broken$"):
        learner.fit(matrix.mapInArrow(breaks, matrix.schema), examples(rows, 4, {2: 3}), task, {}, 0, 2)


def test_the_end_of_spark_is_no_fault_of_the_fit():
    def learn(*_):
        raise PySparkException("Job 3 cancelled because SparkContext was shut down")

    with pytest.raises(PySparkException):
        Learner("Spark ML", learn).fit(None, Dataset(np.ones((1, 1)), np.ones(1)), "regression", {}, 0, 2)


@pytest.mark.parametrize(
    ("name", "task", "parameters"),
    [
        ("xgboost", "regression", {"n_estimators": 5, "subsample": 0.5, "colsample_bytree": 0.5}),
        ("k_means", "clustering", {"clusters": 6, "starts": 2}),
        ("linear", "regression", {"penalty": "l1", "alpha": 0.01}),
        ("logistic", "multiclass", {}),
    ],
)
def test_the_same_rows_give_the_same_model(spark, table, name, task, parameters):
    """However Spark has moved them."""
    config = FitConfig(model_type(name), task, [parameters], 7, 4, {2: 3}, (), TASKS[task].outputs("abc", []))
    rows = spark.createDataFrame(labelled(table, task))
    moved = rows.repartition(3), rows.repartition(5, "x0").sortWithinPartitions("x1")
    fitted = [fit_together(matrix, (), 0, ["train", "validation"], config, 2) for matrix in moved]
    if name in ("xgboost", "k_means"):
        assert fitted[0].files
        assert fitted[0] == fitted[1]
        return
    asked = np.column_stack([table[column].to_numpy() for column in ("x0", "x1", "x2", "x3")])
    answers = [config.type.fitted.from_files(part.files).predict(asked) for part in fitted]
    assert answers[0] == pytest.approx(answers[1], rel=1e-9, abs=1e-9)


def nets(parameters, task="regression"):
    return FitConfig(model_type("deep_net"), task, [parameters], 0, 4, {2: 3})


def test_what_a_net_cannot_learn_is_told(spark, table, monkeypatch):
    monkeypatch.setattr(deep_net, "SLOT_SECONDS", 0.0)
    matrix = spark.createDataFrame(table)
    problem = fit_together(matrix, (), 0, ["train"], nets({}), 3).problem
    assert problem == (
        "3 workers learn a deep_net at the same time, and Spark has 2 slots for them: "
        "ask for fewer executors or cores"
    )
    constant = spark.createDataFrame(labelled(table, "clustering"))
    assert "rows are false" in fit_together(constant, (), 0, ["train"], nets({}, "binary"), 2).problem
    far = {"learning_rate": 1, "hidden_layers": 16, "epochs": 40, "early_stopping_rounds": 40}
    assert "a lower learning_rate than 1" in fit_together(matrix, (), 0, ["train"], nets(far), 1).problem


def test_a_worker_that_dies_is_told(spark):
    first = first_net(
        Dataset(np.eye(2, dtype=np.float32), np.arange(2.0)), "regression", NetParameters.of({}), 0
    )
    shares = spark.createDataFrame(pa.table({"x0": [1.0, 2.0], LABEL: [1.0, 2.0]}))
    with pytest.raises(FitError, match=r"^PyTorch cannot fit on 1 workers: a worker ended before .*$"):
        deep_net._run(shares.repartition(1), 1, ["x0", "x1"], first, {}, 0)


def test_on_gpus_each_worker_has_one():
    def settings(**values):
        return SimpleNamespace(conf=SimpleNamespace(get=lambda key, default: values.get(key, default)))

    cuda = {"spark.executorEnv.GIORNATA_DEVICE": "cuda"}
    assert not deep_net._on_gpus(settings())
    assert deep_net._on_gpus(settings(**cuda, **{"spark.task.resource.gpu.amount": "1"}))
    with pytest.raises(FitError, match=r"Spark gives it 0\.5: ask for as many cores as gpus"):
        deep_net._on_gpus(settings(**cuda, **{"spark.task.resource.gpu.amount": "0.5"}))


def test_what_is_learned_together():
    config = FitConfig(model_type("xgboost"), "regression", [{}], 0, 10, {})
    # A sixth of a gibibyte holds 44.7 million numbers of four bytes.
    assert not is_large(Resources(memory="1g"), config, 4_400_000)
    assert is_large(Resources(memory="1g"), config, 4_500_000)
    assert not is_large(Resources(memory="2g"), config, 4_500_000)
    assert is_large(Resources(distribute="always"), config, 1)
    assert not is_large(Resources(distribute="never"), config, 10**9)
    tree = FitConfig(model_type("decision_tree"), "regression", [{}], 0, 10, {})
    assert not is_large(Resources(distribute="always"), tree, 10**9)
    assert {name for name, _, _ in CASES} == {
        name for name, type_ in MODEL_TYPES.items() if type_.distributed
    }


@pytest.mark.parametrize(
    ("name", "task"), [("linear", "regression"), ("logistic", "binary"), ("k_means", "clustering")]
)
def test_what_a_row_takes_counts_its_codes(name, task):
    """Two vocabularies of 1000 codes and an amount: 14 million rows of 12 bytes fit into a sixth of a gibibyte, but
    what is learned from are 2001 columns of 8 bytes."""
    codes = {0: 1000, 2: 1000}
    random = np.random.default_rng(0)
    matrix = np.column_stack([random.permutation(1000), random.random(1000), np.arange(1000)]).astype(
        np.float32
    )
    taken = Design.of(Dataset(matrix, np.zeros(1000), codes)).values.nbytes
    assert model_type(name).bytes_of_row(3, codes) == taken / 1000
    config = FitConfig(model_type(name), task, [{}], 0, 3, codes)
    assert is_large(Resources(memory="1g"), config, 14_000_000)
    assert not is_large(Resources(memory="1g"), config, 2**30 // 6 // 16008)
    assert is_large(Resources(memory="1g"), config, 2**30 // 6 // 16008 + 1)
    assert not is_large(Resources(memory="1g"), replace(config, type=model_type("xgboost")), 14_000_000)
    assert most_searched(model_type(name), 3, codes) == 2**28 // 16008
    assert most_searched(model_type(name), 3, {0: 100}) == 250_000
    assert most_searched(model_type("xgboost"), 3, codes) == 250_000
    assert most_searched(model_type("xgboost"), 1000, {}) == 2**28 // 4000


def test_a_sample_of_wide_rows_is_bounded_by_bytes(spark, table, monkeypatch):
    """Half of the rows, each of four columns of codes and amounts, and 1000 more, of eight bytes."""
    monkeypatch.setattr(part_fitting, "SAMPLE_BYTES", 8 * 1003 * ROWS // 2)
    drawn = []

    def learn(rows, sample, *_):
        drawn.append(len(sample.target))
        raise FitError("no need")

    monkeypatch.setattr(part_fitting, "learner_of", lambda _: Learner("Spark ML", learn))
    moved = spark.createDataFrame(table).withColumn(ORDER, F.xxhash64(ORDER))
    for codes, expected in (({2: 3}, ROWS), ({2: 1000}, ROWS / 2)):
        config = FitConfig(model_type("linear"), "regression", [{}], 0, 4, codes)
        assert fit_together(moved, (), 0, ["train", "validation"], config, 2).problem == "no need"
        assert drawn.pop() == pytest.approx(expected, rel=0.1)
