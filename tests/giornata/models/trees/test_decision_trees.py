"""Trees and forests answer as scikit-learn's do, before and after they were stored."""

import io
import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models.base import FitError, ParameterError, PrunedError
from giornata.models.decision_tree.model_type import DecisionTreeType
from giornata.models.random_forest.model_type import RandomForestType
from giornata.models.trees.decision_trees import DecisionTrees

TREE, FOREST = DecisionTreeType(), RandomForestType()
BOTH = pytest.mark.parametrize(
    ("type_", "parameters"),
    [(TREE, {}), (FOREST, {"n_estimators": 25, "min_samples_leaf": 1, "max_depth": 30})],
)


@pytest.fixture(scope="module")
def data():
    """Two columns that are sometimes missing, one that never is, one of codes; where column 0 is missing counts."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(700, 4)).astype(np.float32)
    matrix[:, 3] = random.integers(0, 6, 700)
    target = matrix[:, 0] * 3 + matrix[:, 2] ** 2 + (matrix[:, 3] == 2) + random.normal(0, 0.1, 700)
    matrix[:, :2][random.random((700, 2)) < 0.15] = np.nan
    target = np.where(np.isnan(matrix[:, 0]), 8, target)
    return matrix, target.astype(np.float64)


def asked(matrix):
    """The rows, and such with values missing that never were, or far from those that were seen."""
    rows = matrix.copy()
    rows[:50, 2] = np.nan
    rows[50:100] = np.nan
    rows[100:150] *= 1e37
    return np.vstack([matrix, rows])


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("deep", [False, True])
def test_tree_equals_scikit_learn(data, task, deep):
    matrix, target = data
    target = target if task == "regression" else (target > 1).astype(np.float64)
    parameters = {"max_depth": 40, "min_samples_leaf": 1} if deep else {}
    fitted = TREE.fit(Dataset(matrix, target, {3: 6}), task, parameters, seed=1)
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    plain = kind(**({"max_depth": 8, "min_samples_leaf": 20} | parameters), random_state=1)
    plain.fit(matrix, target)
    rows = asked(matrix)
    expected = plain.predict(rows) if task == "regression" else plain.predict_proba(rows)[:, 1]
    assert fitted.predict(rows).tolist() == expected.tolist()
    shares = {at: share for at, share in enumerate(plain.feature_importances_.tolist()) if share}
    assert fitted.importance() == pytest.approx(shares)
    assert sum(fitted.importance().values()) == pytest.approx(1)
    assert fitted.size() == {"trees": 1, "nodes": plain.tree_.node_count}
    assert fitted.rounds == 1


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("deep", [False, True])
def test_forest_equals_scikit_learn(data, task, deep):
    matrix, target = data
    target = target if task == "regression" else (target > 1).astype(np.float64)
    parameters = {"n_estimators": 30, "max_samples": 0.7, "max_features": 0.5}
    parameters |= {"max_depth": 40, "min_samples_leaf": 1} if deep else {}
    fitted = FOREST.fit(Dataset(matrix, target), task, parameters, seed=1)
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    plain = kind(**({"max_depth": 12, "min_samples_leaf": 5} | parameters), random_state=1)
    plain.fit(matrix, target)
    rows = asked(matrix)
    expected = plain.predict(rows) if task == "regression" else plain.predict_proba(rows)[:, 1]
    assert fitted.predict(rows) == pytest.approx(expected, abs=1e-12)
    shares = {at: share for at, share in enumerate(plain.feature_importances_.tolist()) if share}
    assert fitted.importance() == pytest.approx(shares)
    nodes = sum(tree.tree_.node_count for tree in plain.estimators_)
    assert fitted.size() == {"trees": 30, "nodes": nodes}
    assert fitted.rounds == 30


def test_where_missing_values_alone_go_right():
    # No value lies above the others: the split is between all values and none, its threshold infinite.
    matrix = np.array([[1], [1], [1], [np.nan], [np.nan]], np.float32)
    target = np.array([1.0, 1, 1, 5, 5])
    fitted = TREE.fit(Dataset(matrix, target), "regression", {"min_samples_leaf": 1}, seed=0)
    rows = np.array([[-3e38], [1], [3.4e38], [np.nan]], np.float32)
    assert fitted.predict(rows).tolist() == [1, 1, 1, 5]
    assert fitted.predict(np.tile(rows, (20, 1))).tolist() == [1, 1, 1, 5] * 20


def test_thresholds_between_neighbouring_floats():
    # The threshold is half way between the two; the nearest float32 is the upper one.
    low = np.nextafter(np.float32(8), np.float32(9))
    matrix = np.array([[low], [np.nextafter(low, np.float32(9))]], np.float32)
    fitted = TREE.fit(Dataset(matrix, np.array([1.0, 2])), "regression", {"min_samples_leaf": 1}, seed=0)
    assert fitted.predict(matrix).tolist() == [1, 2]
    assert fitted.predict(np.tile(matrix, (30, 1))).tolist() == [1, 2] * 30


@BOTH
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_one_row_at_a_time_gives_the_same_bits(data, type_, parameters, task):
    matrix, target = data
    target = target if task == "regression" else (target > 1).astype(np.float64)
    fitted = type_.fit(Dataset(matrix, target), task, parameters, seed=0)
    together = fitted.predict(matrix).tolist()
    assert [fitted.predict(matrix[at : at + 1])[0] for at in range(200)] == together[:200]
    assert fitted.predict(matrix[3:6]).tolist() == together[3:6]


@BOTH
def test_files_give_the_same_model(data, type_, parameters):
    learned = Dataset(*data)
    fitted = type_.fit(learned, "regression", parameters, seed=4)
    files = fitted.to_files()
    assert all(name.endswith((".json", ".npy")) for name in files)
    assert files == type_.fit(learned, "regression", parameters, seed=4).to_files()
    assert files == type_.fit(learned, "regression", parameters, seed=4, threads=2).to_files()
    stored = DecisionTrees.from_files(files)
    assert stored.predict(learned.matrix).tolist() == fitted.predict(learned.matrix).tolist()
    assert stored.to_files() == files
    assert stored.importance() == fitted.importance()


def test_seeds_give_other_forests(data):
    learned = Dataset(*data)
    one, other, far = (
        FOREST.fit(learned, "regression", {"n_estimators": 3}, seed=seed).to_files()
        for seed in (1, 2, 1 + 2**40)
    )
    assert one != other
    assert far == one


def test_a_watch_hears_every_tree_and_can_end_the_fit(data):
    matrix, target = data
    learned, validation = Dataset(matrix[200:], target[200:]), Dataset(matrix[:200], target[:200])
    heard = []

    def watch(round_, loss):
        heard.append((round_, loss))
        if round_ == 7:
            raise PrunedError("enough")

    with pytest.raises(PrunedError, match="enough"):
        FOREST.fit(
            learned, "regression", {"n_estimators": 50}, seed=0, threads=2, validation=validation, watch=watch
        )
    assert [round_ for round_, _ in heard] == [1, 2, 3, 4, 5, 6, 7]
    for rounds, loss in heard[::3]:
        fitted = FOREST.fit(learned, "regression", FOREST.with_rounds({}, rounds), seed=0)
        error = fitted.predict(validation.matrix) - validation.target
        assert loss == pytest.approx(np.sqrt(np.mean(error**2)))


def test_a_watch_changes_nothing(data):
    matrix, target = data
    labels = (target > 1).astype(np.float64)
    learned, validation = Dataset(matrix[200:], labels[200:]), Dataset(matrix[:200], labels[:200])
    heard = []
    fitted = FOREST.fit(
        learned,
        "binary",
        {"n_estimators": 5},
        seed=0,
        threads=2,
        validation=validation,
        watch=lambda *told: heard.append(told),
    )
    assert fitted.to_files() == FOREST.fit(learned, "binary", {"n_estimators": 5}, seed=0).to_files()
    chance = np.clip(fitted.predict(validation.matrix), 2.3e-16, 1 - 2.3e-16)
    told = -np.mean(np.log(np.where(validation.target == 1, chance, 1 - chance)))
    assert heard[-1] == (5, pytest.approx(told))


@pytest.fixture(scope="module")
def several(data):
    """Three classes by the target's size, and a fourth that no row has."""
    matrix, target = data
    places = np.array([0.0, 1.0, 3.0])[np.digitize(target, [0, 3])]
    return Dataset(matrix, places, {3: 6}, outputs=("low", "middle", "none", "high"))


def by_scikit_learn(plain, trees, learned, rows):
    """Of each tree the classes of the leaf's rows, and one more by the shares that classes have, a fourth a little."""
    least = 1 / (len(learned.target) + 4)
    one_more = np.full(4, least)
    for place in (0, 1, 3):
        one_more[place] = np.mean(learned.target == place) * (1 - least)
    answers = []
    for tree in trees:
        counts = np.zeros((len(rows), 4))
        in_leaf = tree.tree_.weighted_n_node_samples[tree.apply(rows)]
        counts[:, [0, 1, 3]] = tree.predict_proba(rows) * in_leaf[:, None]
        answers.append((counts + one_more) / (in_leaf[:, None] + 1))
    assert plain.classes_.tolist() == [0, 1, 3]
    return np.mean(answers, axis=0)


@pytest.mark.parametrize("deep", [False, True])
def test_classes_equal_scikit_learn(several, deep):
    parameters = (
        {"max_depth": 40, "min_samples_leaf": 1} if deep else {"max_depth": 8, "min_samples_leaf": 20}
    )
    rows = asked(several.matrix)
    fitted = TREE.fit(several, "multiclass", parameters, seed=1)
    plain = DecisionTreeClassifier(**parameters, random_state=1).fit(several.matrix, several.target)
    expected = by_scikit_learn(plain, [plain], several, rows)
    assert fitted.predict(rows) == pytest.approx(expected, abs=1e-12)
    # The more rows a leaf has, the nearer it comes to their shares.
    assert fitted.predict(rows)[:, [0, 1, 3]] == pytest.approx(
        plain.predict_proba(rows), abs=1 / (parameters["min_samples_leaf"] + 1)
    )
    parameters |= {"n_estimators": 30, "max_samples": 0.7, "max_features": 0.5}
    forest = FOREST.fit(several, "multiclass", parameters, seed=1)
    wood = RandomForestClassifier(**parameters, random_state=1).fit(several.matrix, several.target)
    expected = by_scikit_learn(wood, wood.estimators_, several, rows.astype(np.float32))
    assert forest.predict(rows) == pytest.approx(expected, abs=1e-12)
    for model, truth in ((fitted, plain), (forest, wood)):
        answers = model.predict(rows)
        assert answers.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-14)
        assert (answers > 0).all()
        assert model.importance() == pytest.approx(
            {at: share for at, share in enumerate(truth.feature_importances_.tolist()) if share}
        )
    assert fitted.size() == {"trees": 1, "nodes": plain.tree_.node_count}


@BOTH
def test_two_classes_have_the_questions_of_binary(data, type_, parameters):
    matrix, target = data
    labels = (target > 1).astype(np.float64)
    binary = type_.fit(Dataset(matrix, labels), "binary", parameters, seed=0)
    named = Dataset(matrix, labels, outputs=("no", "yes"))
    files = type_.fit(named, "multiclass", parameters, seed=0).to_files()
    assert {name for name, content in binary.to_files().items() if files[name] != content} == {"value.npy"}
    assert (
        np.load(io.BytesIO(files["value.npy"])).argmax(axis=1).tolist()
        == (np.load(io.BytesIO(binary.to_files()["value.npy"])) > 0.5).astype(int).tolist()
    )


@BOTH
def test_classes_are_stored_and_have_the_same_bits_alone(several, type_, parameters):
    fitted = type_.fit(several, "multiclass", parameters, seed=4)
    files = fitted.to_files()
    assert files == type_.fit(several, "multiclass", parameters, seed=4, threads=2).to_files()
    stored = DecisionTrees.from_files(files)
    assert stored.to_files() == files
    together = fitted.predict(several.matrix).tolist()
    assert stored.predict(several.matrix).tolist() == together
    assert [stored.predict(several.matrix[at : at + 1])[0].tolist() for at in range(200)] == together[:200]
    assert stored.predict(several.matrix[3:6]).tolist() == together[3:6]
    assert stored.predict(several.matrix[:0]).shape == (0, 4)


@BOTH
@pytest.mark.parametrize(("target", "classes"), [([1], 3), ([2, 2, 2], 3), ([0, 2, 0], 3), ([0, 0], 1)])
def test_little_data_of_classes(target, classes, type_, parameters):
    matrix = np.array([[1, 2], [3, NAN], [5, 1]], np.float32)[: len(target)]
    outputs = [f"class {place}" for place in range(classes)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = type_.fit(
            Dataset(matrix, np.array(target) * 1.0, outputs=outputs), "multiclass", parameters, 0
        )
        answers = fitted.predict(np.vstack([matrix, np.full((1, 2), NAN, np.float32)]))
    assert answers.shape == (len(target) + 1, classes)
    assert np.isfinite(np.log(answers)).all()
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(answers)))
    if len(set(target)) == 1:
        count, place = len(target), target[0]
        likely = (count + (count + 1) / (count + classes)) / (count + 1)
        assert answers[:, place] == pytest.approx(np.full(len(answers), likely))
        assert fitted.importance() == {}


def test_a_watch_hears_the_log_loss_of_classes(several):
    learned = Dataset(several.matrix[200:], several.target[200:], outputs=several.outputs)
    validation = Dataset(several.matrix[:200], several.target[:200], outputs=several.outputs)
    heard = []
    FOREST.fit(
        learned,
        "multiclass",
        {"n_estimators": 5},
        seed=0,
        validation=validation,
        watch=lambda *told: heard.append(told),
    )
    for rounds, loss in heard[::2]:
        answers = FOREST.fit(learned, "multiclass", {"n_estimators": rounds}, seed=0).predict(
            validation.matrix
        )
        assert loss == pytest.approx(-np.log(answers[np.arange(200), validation.target.astype(int)]).mean())
    assert [round_ for round_, _ in heard] == [1, 2, 3, 4, 5]


NAN = np.nan


@BOTH
@pytest.mark.parametrize("least", [1, 5])
@pytest.mark.parametrize(
    ("matrix", "target", "task"),
    [
        ([[1, 2]], [4], "regression"),
        ([[NAN, 2], [NAN, 3], [NAN, 2]], [1, 2, 6], "regression"),
        ([[NAN, NAN], [NAN, NAN]], [1, 2], "regression"),
        ([[1, 1], [1, 1], [1, 1]], [1, 2, 3], "regression"),
        ([[1, 2, 3, 4, 5], [2, 9, 4, 1, 0]], [1, 2], "regression"),
        ([[-3e38, 1e-44], [3e38, 0], [3e38, NAN]], [1e100, -1e100, 0], "regression"),
        ([[1, 2], [2, NAN], [3, 4]], [7, 7, 7], "regression"),
        ([[1, 2]], [1], "binary"),
        ([[1, 2], [3, NAN], [5, 1]], [0, 0, 0], "binary"),
        ([[1, 2], [3, NAN], [5, 1]], [1, 1, 1], "binary"),
        ([[NAN, 2], [NAN, 3], [1, 2]], [1, 0, 1], "binary"),
    ],
)
def test_little_data(matrix, target, task, type_, parameters, least, capfd):
    learned = Dataset(np.array(matrix, np.float32), np.array(target, np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = type_.fit(learned, task, parameters | {"min_samples_leaf": least}, seed=0)
        rows = np.vstack([learned.matrix, np.full_like(learned.matrix[:1], NAN)])
        rows = np.vstack([rows, np.full_like(rows[:1], 3e38), np.full_like(rows[:1], -3e38)])
        answers = fitted.predict(np.tile(rows, (100, 1)))
    assert np.isfinite(answers).all()
    assert min(target) <= answers.min()
    assert answers.max() <= max(target)
    assert capfd.readouterr() == ("", "")
    if len(set(target)) == 1:
        assert set(answers.tolist()) == {target[0]}
        assert fitted.importance() == {}


@pytest.mark.parametrize("type_", [TREE, FOREST])
def test_what_cannot_be_fitted(data, type_):
    matrix, target = data
    with pytest.raises(FitError, match="there are no rows"):
        type_.fit(Dataset(matrix[:0], target[:0]), "regression", {}, seed=0)
    with pytest.raises(FitError, match="must be 0 or 1"):
        type_.fit(Dataset(matrix, target), "binary", {}, seed=0)
    with pytest.raises(FitError, match="2 classes must be their places, 0 to 1"):
        type_.fit(Dataset(matrix, target, outputs=("a", "b")), "multiclass", {}, seed=0)
    with pytest.raises(FitError, match="cannot be used for task quantile: use xgboost"):
        type_.fit(Dataset(matrix, target), "quantile", {}, seed=0)
    infinite = np.where(np.isnan(matrix), np.float32(np.inf), matrix)
    with pytest.raises(FitError, match="scikit-learn cannot fit 700 rows: Input X contains infinity"):
        type_.fit(Dataset(infinite, target), "regression", {}, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FitError, match="too large"):
            type_.fit(Dataset(matrix, np.resize([1.7e308, -1.7e308], 700)), "regression", {}, seed=0)


def test_forests_that_no_bundle_holds(data, several, monkeypatch):
    monkeypatch.setattr("giornata.models.trees.decision_trees._MOST_NODES", 50)
    with pytest.raises(FitError, match=r"nodes, more than 23: "):  # of 45 bytes, not 21
        FOREST.fit(several, "multiclass", {"n_estimators": 3}, seed=0)
    with pytest.raises(FitError, match=r"3 trees have \d+ nodes, more than 50: lower max_depth or raise"):
        FOREST.fit(Dataset(*data), "regression", {"n_estimators": 3}, seed=0)


@pytest.mark.parametrize(
    ("type_", "parameters", "message"),
    [
        (TREE, {"n_estimators": 3}, "decision_tree has no parameter 'n_estimators'"),
        (FOREST, {"n_estimator": 3}, "did you mean n_estimators"),
        (FOREST, {"max_samples": 0}, "max_samples is at least 0.001 and at most 1, not 0"),
        (TREE, {"max_depth": 2.5}, "max_depth is a whole number, not 2.5"),
        (TREE, {"min_samples_split": 1}, "min_samples_split is at least 2"),
        (FOREST, {"max_features": "sqrt"}, "max_features is a number"),
    ],
)
def test_wrong_parameters(type_, parameters, message):
    with pytest.raises(ParameterError, match=message):
        type_.check(parameters, {})


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_leaf_nodes": 5},
        {"min_impurity_decrease": 0.5},
        {"ccp_alpha": 0.5},
        {"max_features": 1},
        {"max_features": 0.001},
        {"min_samples_split": 300},
    ],
)
def test_every_parameter_reaches_scikit_learn(data, parameters):
    matrix, target = data
    for type_, kind in ((TREE, DecisionTreeRegressor), (FOREST, RandomForestRegressor)):
        own = {"max_depth": 6, "min_samples_leaf": 2, **parameters}
        own |= {"n_estimators": 3, "max_samples": 0.5} if type_ is FOREST else {}
        fitted = type_.fit(Dataset(matrix, target), "regression", own, seed=5)
        # A share of 1 is all features; the number 1 would be one of them.
        plain = {"max_features": 1 / 3 if type_ is FOREST else None, **own}
        if "max_features" in parameters:
            plain["max_features"] = float(parameters["max_features"])
        assert fitted.predict(matrix) == pytest.approx(
            kind(**plain, random_state=5).fit(matrix, target).predict(matrix)
        )


def test_spaces_and_rounds():
    for type_ in (TREE, FOREST):
        type_.check({}, type_.default_space)
    assert TREE.with_rounds({"max_depth": 2}, 7) == {"max_depth": 2}
    assert FOREST.with_rounds({"max_depth": 2, "n_estimators": 3}, 7) == {"max_depth": 2, "n_estimators": 7}


def test_files_that_hold_no_model(data):
    files = TREE.fit(Dataset(*data), "regression", {}, seed=0).to_files()
    for wrong in ({}, {"model.ubj": b""}, {name: files[name] for name in list(files)[1:]}):
        with pytest.raises(BundleError, match="trees are kept in"):
            DecisionTrees.from_files(wrong)
    for content in (b"", b"[]", b'{"importance": []}', b'{"importance": [2]}', b'{"importance": ["1"]}'):
        with pytest.raises(BundleError, match=r"trees\.json"):
            DecisionTrees.from_files(files | {"trees.json": content})
    with pytest.raises(BundleError, match=r"feature\.npy"):
        DecisionTrees.from_files(files | {"trees.json": b'{"importance": [1]}'})
