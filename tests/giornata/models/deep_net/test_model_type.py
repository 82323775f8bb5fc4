"""Deep nets answer as PyTorch does, before and after they were stored, and each row alone as among others."""

import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models.base import DEVICE, FitError, ParameterError, PrunedError
from giornata.models.deep_net.inputs import LIMIT, NetInputs
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.deep_net.network import DeepNet, Layer
from giornata.models.search_space import Dimension

TYPE = DeepNetType()
CODES = 6
SMALL = {"epochs": 6, "hidden_units": 16, "batch_size": 32, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def examples():
    """Four amounts with gaps, the last of no use, and a column of codes with an effect of its own each."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(600, 5)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    codes = random.integers(0, CODES, 600)
    matrix[:, 4] = codes
    effect = np.array([0.0, 4.0, -4.0, 8.0, 1.0, -6.0])[codes]
    target = 50 + 5 * np.nan_to_num(matrix[:, 0]) + np.nan_to_num(matrix[:, 1]) ** 2 + effect
    return Dataset(matrix, target + random.normal(0, 0.1, 600), {4: CODES})


@pytest.fixture(scope="module")
def fitted(examples):
    return TYPE.fit(examples, "regression", {**SMALL, "epochs": 20}, seed=3)


def by_torch(files, matrix):
    """The same answers from the stored numbers alone, by PyTorch's modules, inputs prepared by hand."""
    tensors, facts = load(files["model.safetensors"]), json.loads(files["net.json"])
    columns = tensors["amounts.columns"]
    amounts = (matrix[:, columns] - tensors["amounts.means"]) * tensors["amounts.factors"]
    gaps = np.isnan(matrix[:, tensors["gaps.columns"]])
    inputs = [np.nan_to_num(amounts), gaps]
    for column, count in facts["codes"].items():
        codes = matrix[:, int(column)]
        rows = np.where((codes >= 0) & (codes < count), codes, count).astype(int)
        inputs.append(
            torch.nn.Embedding.from_pretrained(torch.tensor(tensors[f"embeddings.{column}"]))(
                torch.tensor(rows)
            ).numpy()
        )
    steps = []
    for place in range(facts["layers"]):
        weight, bias = tensors[f"layers.{place}.weight"], tensors[f"layers.{place}.bias"]
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        steps += [linear, torch.nn.ReLU()]
    with torch.no_grad():
        output = torch.nn.Sequential(*steps[:-1])(torch.tensor(np.column_stack(inputs), dtype=torch.float32))
    if facts["task"] == "multiclass":
        return torch.softmax(torch.tensor(facts["mean"]).double() + output.double(), dim=1).numpy()
    answers = facts["mean"] + facts["scale"] * output[:, 0].double()
    return (torch.sigmoid(answers) if facts["task"] == "binary" else answers).numpy()


def test_a_value_computed_by_hand():
    inputs = NetInputs(
        amounts=np.array([1]),
        means=np.array([10.0]),
        factors=np.array([0.5]),
        gaps=np.array([1]),
        codes={0: 2},
    )
    table = np.array([[1.0], [2.0], [-3.0]], np.float32)  # for code 0, for code 1, for anything else
    layers = (
        Layer(np.array([[1, 4, 2], [-1, 0, 1]], np.float32), np.array([0.5, -1], np.float32)),
        Layer(np.array([[2, 100]], np.float32), np.array([1], np.float32)),
    )
    net = DeepNet("regression", inputs, (table,), layers, mean=7.0, scale=3.0, epochs=1)
    # 16 is 3 deviations up, its code says 2: 0.5 + 3 + 0 + 4 = 7.5 and -1 - 3 + 2 < 0, so 7 + 3 * (1 + 2 * 7.5).
    assert net.predict(np.array([[1, 16]], np.float32)).tolist() == [55.0]
    # Missing, and a code that is none: 0.5 + 0 + 4 - 6 < 0 and -1 + 0 - 3 < 0, so 7 + 3 * 1.
    assert net.predict(np.array([[9, np.nan]], np.float32)).tolist() == [10.0]
    binary = DeepNet("binary", inputs, (table,), layers, mean=-16.0, scale=1.0, epochs=1)
    assert binary.predict(np.array([[1, 16]], np.float32)).tolist() == [0.5]


@pytest.mark.parametrize("hidden_layers", [0, 1, 3])
def test_answers_are_those_of_pytorch(examples, hidden_layers):
    fitted = TYPE.fit(examples, "regression", {**SMALL, "hidden_layers": hidden_layers}, seed=1)
    found, expected = fitted.predict(examples.matrix), by_torch(fitted.to_files(), examples.matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * fitted.scale)
    assert fitted.size()["layers"] == hidden_layers + 1
    assert fitted.rounds == SMALL["epochs"]


def test_regression_is_learned(examples, fitted):
    error = fitted.predict(examples.matrix) - examples.target
    assert np.sqrt(np.mean(error**2)) < 0.2 * examples.target.std()


def test_binary_answers_are_probabilities(examples):
    labels = (examples.target > 50).astype(np.float64)
    fitted = TYPE.fit(Dataset(examples.matrix, labels, {4: CODES}), "binary", SMALL, seed=0)
    chance = fitted.predict(examples.matrix)
    assert ((chance > 0) & (chance < 1)).all()
    assert np.mean((chance > 0.5) == labels) > 0.9
    assert chance.mean() == pytest.approx(labels.mean(), abs=0.05)
    np.testing.assert_allclose(chance, by_torch(fitted.to_files(), examples.matrix), atol=1e-5)


CLASSES = ("low", "middle", "none", "high")


@pytest.fixture(scope="module")
def several(examples):
    """Three classes by the target's size, and a fourth that no row has."""
    places = np.array([0.0, 1.0, 3.0])[np.digitize(examples.target, [45, 55])]
    return Dataset(examples.matrix, places, {4: CODES}, outputs=CLASSES)


@pytest.fixture(scope="module")
def classes(several):
    return TYPE.fit(several, "multiclass", {**SMALL, "epochs": 12}, seed=3)


def test_classes_are_learned_and_answered_as_by_pytorch(several, classes):
    answers = classes.predict(several.matrix)
    np.testing.assert_allclose(answers, by_torch(classes.to_files(), several.matrix), atol=1e-5)
    assert answers.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-15)
    assert np.mean(np.argmax(answers, axis=1) == several.target) > 0.9
    shares = np.bincount(several.target.astype(int), minlength=4) / 600
    assert answers.mean(axis=0) == pytest.approx(shares, abs=0.05)
    assert (answers[:, 2] > 0).all()
    assert answers[:, 2].max() < 0.05
    assert sum(classes.importance().values()) == pytest.approx(1)
    assert classes.importance()[4] > 2 * classes.importance()[3]
    assert classes.size() == {"layers": 3, "weights": 7 * 3 + (11 * 16 + 16) + (16 * 16 + 16) + (16 * 4 + 4)}


def test_classes_by_hand():
    inputs = NetInputs(np.array([0]), np.array([0.0]), np.array([1.0]), np.array([], np.int64))
    weights = np.array([[1], [0], [-1]], np.float32) * np.log(np.float32(2))
    layers = (Layer(weights, np.zeros(3, np.float32)),)
    mean = np.log([0.5, 0.25, 0.25])
    net = DeepNet("multiclass", inputs, (), layers, mean=mean, scale=1.0, epochs=1)
    # Twice as likely, as likely, half as likely: 8 : 2 : 1. Missing is the mean.
    assert net.predict(np.array([[1], [np.nan]], np.float32)) == pytest.approx(
        np.array([[8 / 11, 2 / 11, 1 / 11], [0.5, 0.25, 0.25]]), abs=1e-7
    )


def test_classes_are_stored_and_have_the_same_bits_among_any_rows(several, classes):
    files = classes.to_files()
    assert files == TYPE.fit(several, "multiclass", {**SMALL, "epochs": 12}, seed=3).to_files()
    stored = DeepNet.from_files(files)
    assert stored.to_files() == files
    together = stored.predict(several.matrix).tolist()
    assert together == classes.predict(several.matrix).tolist()
    assert [stored.predict(row[None])[0].tolist() for row in several.matrix] == together
    for count in (2, 4, 5, 17, 513):
        assert stored.predict(several.matrix[:count]).tolist() == together[:count]
    assert stored.predict(several.matrix[:0]).shape == (0, 4)


def test_classes_stop_early_by_their_log_loss(several):
    learned = Dataset(several.matrix[100:], several.target[100:], {4: CODES}, outputs=CLASSES)
    wrong = np.append(np.roll(several.target[:30], 1), several.target[30:100])
    validation = Dataset(several.matrix[:100], wrong, {4: CODES}, outputs=CLASSES)
    parameters = {**SMALL, "epochs": 100, "learning_rate": 0.03, "early_stopping_rounds": 3}
    heard = []
    fitted = TYPE.fit(
        learned, "multiclass", parameters, 0, validation=validation, watch=lambda *told: heard.append(told)
    )
    losses = [loss for _, loss in heard]
    assert fitted.rounds == 1 + int(np.argmin(losses)) == len(heard) - 3
    answers = fitted.predict(validation.matrix)
    assert -np.log(answers[np.arange(100), wrong.astype(int)]).mean() == pytest.approx(min(losses), rel=1e-5)


def test_two_classes_learn_what_binary_does(examples):
    labels = (examples.target > 50).astype(np.float64)
    binary = TYPE.fit(Dataset(examples.matrix, labels, {4: CODES}), "binary", SMALL, seed=0)
    named = Dataset(examples.matrix, labels, {4: CODES}, outputs=("no", "yes"))
    fitted = TYPE.fit(named, "multiclass", SMALL, seed=0)
    # Another last layer is another start, so the nets differ in detail.
    difference = fitted.predict(examples.matrix)[:, 1] - binary.predict(examples.matrix)
    assert np.abs(difference).mean() < 0.05


@pytest.mark.parametrize(("target", "count"), [([1], 3), ([2, 2, 2], 3), ([0, 2, 0], 3), ([0, 0], 1)])
def test_very_few_rows_of_classes(target, count):
    matrix = np.array([[1], [2], [np.nan]], np.float32)[: len(target)]
    learned = Dataset(matrix, np.array(target) * 1.0, outputs=CLASSES[:count])
    fitted = TYPE.fit(learned, "multiclass", SMALL, seed=0)
    answers = fitted.predict(np.array([[1], [1e9], [np.nan]], np.float32))
    assert answers.shape == (3, count)
    assert np.isfinite(np.log(answers)).all()
    assert answers.sum(axis=1) == pytest.approx(np.ones(3))
    stored = DeepNet.from_files(fitted.to_files())
    assert stored.predict(matrix).tolist() == fitted.predict(matrix).tolist()
    if len(set(target)) == 1:
        rows = len(target)
        assert answers[:, target[0]] == pytest.approx(np.full(3, (rows + 1) / (rows + count)))
        assert fitted.importance() == {}


@pytest.mark.parametrize(
    ("fact", "value"),
    [("task", "binary"), ("task", "regression"), ("mean", 0.5), ("mean", []), ("mean", [0.1, 0.2])],
)
def test_facts_of_classes_that_do_not_fit(classes, fact, value):
    files = classes.to_files()
    facts = json.loads(files["net.json"]) | {fact: value}
    with pytest.raises(BundleError, match="hold no deep net"):
        DeepNet.from_files({**files, "net.json": json.dumps(facts).encode()})


def test_the_same_rows_and_seed_give_the_same_files(examples):
    parameters = {**SMALL, "dropout": 0.2}
    before = torch.get_num_threads(), torch.random.get_rng_state().tolist()
    files = [TYPE.fit(examples, "regression", parameters, seed=5).to_files() for _ in range(2)]
    assert files[0] == files[1]
    assert files[0] != TYPE.fit(examples, "regression", parameters, seed=6).to_files()
    assert files[0] != TYPE.fit(examples, "regression", SMALL, seed=5).to_files()
    twice = [TYPE.fit(examples, "regression", parameters, seed=5, threads=2).to_files() for _ in range(2)]
    assert twice[0] == twice[1]
    assert before == (torch.get_num_threads(), torch.random.get_rng_state().tolist())


def test_files_give_the_same_model(examples, fitted):
    files = fitted.to_files()
    assert sorted(files) == ["model.safetensors", "net.json"]
    stored = DeepNet.from_files(files)
    assert stored.predict(examples.matrix).tolist() == fitted.predict(examples.matrix).tolist()
    assert stored.to_files() == files
    assert (stored.rounds, stored.size(), stored.importance()) == (20, fitted.size(), fitted.importance())


@pytest.mark.parametrize("units", [1, 7, 64])
def test_a_row_has_the_same_bits_among_any_others(examples, units):
    parameters = {**SMALL, "epochs": 1, "hidden_units": units}
    fitted = TYPE.fit(examples, "regression", parameters, seed=0)
    together = fitted.predict(np.tile(examples.matrix, (2, 1)))
    assert together[:600].tolist() == together[600:].tolist()
    for count in (1, 2, 3, 4, 5, 17, 599):
        assert fitted.predict(examples.matrix[:count]).tolist() == together[:count].tolist()
    assert [fitted.predict(row[None])[0] for row in examples.matrix] == together[:600].tolist()
    assert fitted.predict(np.asfortranarray(examples.matrix)).tolist() == together[:600].tolist()
    assert fitted.predict(examples.matrix[:0]).tolist() == []


def test_one_row_takes_well_under_a_millisecond(examples):
    fitted = TYPE.fit(examples, "regression", {"epochs": 1}, seed=0)
    row = examples.matrix[:1]
    taken = []
    for _ in range(200):
        began = time.perf_counter()
        fitted.predict(row)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.0005


def test_early_stopping_keeps_the_best_epoch(examples):
    learned = Dataset(examples.matrix[100:], examples.target[100:], {4: CODES})
    noise = np.random.default_rng(1).normal(0, 6, 100)
    validation = Dataset(examples.matrix[:100], examples.target[:100] + noise, {4: CODES})
    parameters = {**SMALL, "epochs": 200, "learning_rate": 0.03, "early_stopping_rounds": 4}
    heard = []
    fitted = TYPE.fit(
        learned, "regression", parameters, 0, validation=validation, watch=lambda *told: heard.append(told)
    )
    losses = [loss for _, loss in heard]
    assert [epoch for epoch, _ in heard] == list(range(1, len(heard) + 1))
    assert fitted.rounds == 1 + int(np.argmin(losses)) == len(heard) - 4 < 196
    error = fitted.predict(validation.matrix) - validation.target
    assert math.sqrt(np.mean(error**2)) == pytest.approx(min(losses), rel=1e-5)
    # So many epochs without early stopping are the same model, though more would have followed.
    exact = TYPE.fit(learned, "regression", TYPE.with_rounds(parameters, fitted.rounds), seed=0)
    assert exact.to_files() == fitted.to_files()
    for none in (None, Dataset(examples.matrix[:0], examples.target[:0])):
        with pytest.raises(FitError, match="validation rows"):
            TYPE.fit(learned, "regression", parameters, seed=0, validation=none)


def test_a_watch_hears_every_epoch_and_can_end_the_fit(examples):
    labels = (examples.target > 50).astype(np.float64)
    learned = Dataset(examples.matrix[100:], labels[100:], {4: CODES})
    validation = Dataset(examples.matrix[:100], labels[:100], {4: CODES})
    heard = []

    def watch(epoch, loss):
        heard.append((epoch, loss))
        if epoch == 4:
            raise PrunedError("enough")

    with pytest.raises(PrunedError, match="enough"):
        TYPE.fit(learned, "binary", SMALL, seed=0, validation=validation, watch=watch)
    assert [epoch for epoch, _ in heard] == [1, 2, 3, 4]
    for epochs, loss in heard[::3]:
        fitted = TYPE.fit(learned, "binary", TYPE.with_rounds(SMALL, epochs), seed=0)
        chance = fitted.predict(validation.matrix)
        said = np.where(validation.target == 1, chance, 1 - chance)
        assert loss == pytest.approx(-np.log(said).mean(), rel=1e-5)


def test_a_target_that_depends_on_codes_alone_is_learned():
    random = np.random.default_rng(2)
    codes = random.integers(0, 20, 2000)
    effects = random.normal(0, 10, 20)
    matrix = np.column_stack([codes, random.normal(size=2000)]).astype(np.float32)
    parameters = {**SMALL, "epochs": 15}
    known = TYPE.fit(Dataset(matrix, effects[codes], {0: 20}), "regression", parameters, seed=0)
    error = np.sqrt(np.mean((known.predict(matrix) - effects[codes]) ** 2))
    assert error < 1
    # As one amount, codes in no order are far harder to tell apart.
    amounts = TYPE.fit(Dataset(matrix, effects[codes]), "regression", parameters, seed=0)
    assert error < 0.2 * np.sqrt(np.mean((amounts.predict(matrix) - effects[codes]) ** 2))
    assert known.importance()[0] > 0.95
    assert sum(known.importance().values()) == pytest.approx(1)


def test_sizes_of_embeddings():
    def sizes(**parameters):
        random = np.random.default_rng(0)
        matrix = random.integers(0, 2, (40, 2)).astype(np.float32)
        codes = Dataset(matrix, random.normal(size=40), {0: 10, 1: 3000})
        fitted = TYPE.fit(codes, "regression", {"epochs": 1, **parameters}, seed=0)
        return [table.shape for table in fitted.embeddings]

    assert sizes() == [(11, 4), (3001, 32)]
    assert sizes(embedding_size=5) == [(11, 5), (3001, 5)]


def test_codes_that_no_row_had_answer_like_the_average_code():
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, 900)  # of five
    matrix = codes[:, None].astype(np.float32)
    target = np.array([0.0, 10.0, 20.0])[codes]
    fitted = TYPE.fit(Dataset(matrix, target, {0: 5}), "regression", {**SMALL, "hidden_layers": 0}, seed=0)
    unseen = fitted.predict(np.array([[3], [4], [np.nan], [-1], [7], [1.5]], np.float32))
    assert set(unseen.tolist()) == {unseen[0]}
    assert unseen[0] == pytest.approx(fitted.predict(matrix).mean(), abs=0.01)


def test_missing_codes_are_learned_where_rows_have_them():
    matrix = np.array([[0], [1], [np.nan]] * 200, np.float32)
    target = np.array([0.0, 0.0, 9.0] * 200)
    fitted = TYPE.fit(Dataset(matrix, target, {0: 2}), "regression", {**SMALL, "epochs": 20}, seed=0)
    assert fitted.predict(matrix[:3]) == pytest.approx([0, 0, 9], abs=0.5)


def test_what_is_missing_counts_where_rows_lack_it():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(600, 2)).astype(np.float32)
    matrix[::2, 0] = np.nan
    target = np.isnan(matrix[:, 0]) * 10.0
    fitted = TYPE.fit(Dataset(matrix, target), "regression", SMALL, seed=0)
    assert np.abs(fitted.predict(matrix) - target).mean() < 0.5
    # The other column never lacked a value: there missing is the mean.
    means = np.array([[0.3, matrix[:, 1].astype(np.float64).mean()], [0.3, np.nan]], np.float32)
    mean, missing = fitted.predict(means)
    assert missing == pytest.approx(mean, rel=1e-5)


def test_columns_that_tell_nothing_are_not_read():
    random = np.random.default_rng(0)
    varying = random.normal(size=300)
    matrix = np.column_stack([varying, np.full(300, 7.0), np.full(300, np.nan), np.full(300, 2.0)])
    found = Dataset(matrix.astype(np.float32), varying * 2, {3: 5})
    fitted = TYPE.fit(found, "regression", SMALL, seed=0)
    assert fitted.importance() == {0: 1.0}
    asked = np.array([[1, 7, np.nan, 2], [1, 1e30, 5, 4], [1, np.nan, -1e30, np.nan]], np.float32)
    assert len(set(fitted.predict(asked).tolist())) == 1


def test_a_constant_answer_is_stored_where_there_are_codes():
    matrix = np.array([[0.5, 0], [1.5, 1]], np.float32)
    fitted = TYPE.fit(Dataset(matrix, np.full(2, 41.0), {1: 2}), "regression", {}, seed=0)
    assert DeepNet.from_files(fitted.to_files()).predict(matrix).tolist() == [41.0, 41.0]


def test_amounts_far_outside_have_the_answer_at_the_limit(fitted):
    ends = fitted.predict(np.array([[3.4e38, 0, 0, 0, 1], [1e6, 0, 0, 0, 1], [-3.4e38] * 5], np.float32))
    assert np.isfinite(ends).all()
    assert ends[0] == ends[1]
    assert LIMIT == 10


@pytest.mark.parametrize("column", [[7.0], [1.0, 2.0], [np.nan, np.nan], [5.0, 5.0, np.nan]])
def test_very_few_rows(column):
    matrix = np.array(column, np.float32)[:, None]
    asked = np.array([[1], [1e9], [np.nan]], np.float32)
    one_value = TYPE.fit(Dataset(matrix, np.full(len(column), 41.0)), "regression", SMALL, seed=0)
    assert one_value.predict(asked).tolist() == [41.0] * 3
    assert one_value.importance() == {}
    assert one_value.rounds == 1
    assert DeepNet.from_files(one_value.to_files()).predict(asked).tolist() == [41.0] * 3
    several = TYPE.fit(Dataset(matrix, np.arange(len(column)) * 1.0), "regression", SMALL, seed=0)
    assert np.isfinite(several.predict(asked)).all()


def test_no_inputs_of_use_answer_the_share():
    labels = np.array([1.0, 0, 0, 0])
    fitted = TYPE.fit(Dataset(np.ones((4, 2), np.float32), labels), "binary", SMALL, seed=0)
    assert fitted.predict(np.ones((2, 2), np.float32)) == pytest.approx([0.25, 0.25])
    none = TYPE.fit(Dataset(np.empty((4, 0), np.float32), labels), "regression", SMALL, seed=0)
    assert none.predict(np.empty((1, 0), np.float32)).tolist() == [0.25]


@pytest.mark.parametrize(
    ("target", "task", "parameters", "message"),
    [
        ([1.0, 1.0], "binary", {}, "all 2 rows are true: a deep net needs rows of both kinds"),
        ([0.0], "binary", {}, "all 1 rows are false"),
        ([0.0], "multiclass", {}, "must be their places"),
        ([0.0], "quantile", {}, "type deep_net cannot be used for task quantile: use xgboost"),
        ([], "regression", {}, "no rows to learn from"),
        ([-1e300, 1e300], "regression", {}, r"labels from -1e\+300 to 1e\+300 are too far apart"),
        (
            np.arange(50.0),
            "regression",
            {"learning_rate": 1, "hidden_layers": 16, "epochs": 40},
            "a lower learning_rate",
        ),
    ],
)
def test_what_cannot_be_fitted(target, task, parameters, message):
    matrix = np.arange(float(len(target)), dtype=np.float32)[:, None]
    with pytest.raises(FitError, match=message):
        TYPE.fit(Dataset(matrix, np.array(target)), task, parameters, seed=0)


def test_a_device_that_is_not_there_is_the_processor(examples, monkeypatch):
    expected = TYPE.fit(examples, "regression", SMALL, seed=0)
    monkeypatch.setenv(DEVICE, "cuda")
    found = TYPE.fit(examples, "regression", SMALL, seed=0)
    if torch.cuda.is_available():
        np.testing.assert_allclose(
            found.predict(examples.matrix), expected.predict(examples.matrix), rtol=0.01
        )
    else:
        assert found.to_files() == expected.to_files()


def test_answering_needs_no_pytorch(fitted, tmp_path):
    for name, content in fitted.to_files().items():
        (tmp_path / name).write_bytes(content)
    code = """
import sys, pathlib, numpy as np
from giornata.models import model_type
files = {file.name: file.read_bytes() for file in pathlib.Path(sys.argv[1]).iterdir()}
net = model_type("deep_net").fitted.from_files(files)
print(net.predict(np.array([[1, 2, 3, 4, 5]], np.float32)).tolist())
assert not {"torch", "pandas", "xgboost"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = fitted.predict(np.array([[1, 2, 3, 4, 5]], np.float32)).tolist()
    assert done.stdout.strip() == str(expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hiden_layers": 3}, "did you mean hidden_layers"),
        ({"hidden_units": 2.5}, "hidden_units is a whole number, not 2.5"),
        ({"epochs": 0}, "epochs is at least 1, not 0"),
        ({"dropout": 1.0}, "dropout is at least 0 and at most 0.9"),
        ({"learning_rate": 0}, "learning_rate is at least 1e-07"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})
    with pytest.raises(ParameterError, match=message):
        TYPE.fit(Dataset(np.ones((1, 1), np.float32), np.ones(1)), "regression", parameters, seed=0)


def test_wrong_space():
    TYPE.check({}, TYPE.default_space)
    with pytest.raises(ParameterError, match="dropout"):
        TYPE.check({}, {"dropout": Dimension(float=[0.5, 2.0])})


def test_files_of_other_names():
    with pytest.raises(BundleError, match=r"kept in model\.safetensors and net\.json, not in model\.ubj"):
        DeepNet.from_files({"model.ubj": b""})
    with pytest.raises(BundleError, match="not in no file"):
        DeepNet.from_files({})


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"nonsense"),
        ("model.safetensors", b""),
        ("net.json", b"[]"),
        ("net.json", b"not JSON"),
    ],
)
def test_files_that_are_damaged(fitted, file, content):
    with pytest.raises(BundleError, match=r"model\.safetensors and net\.json hold no deep net"):
        DeepNet.from_files({**fitted.to_files(), file: content})


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("layers", 4),
        ("layers", 1),
        ("layers", 10**12),
        ("task", "ranking"),
        ("codes", {}),
        ("codes", {"4": 5}),
        ("scale", math.inf),
    ],
)
def test_facts_that_do_not_fit(fitted, fact, value):
    files = fitted.to_files()
    facts = json.loads(files["net.json"]) | {fact: value}
    with pytest.raises(BundleError, match="hold no deep net"):
        DeepNet.from_files({**files, "net.json": json.dumps(facts).encode()})


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [("layers.0.weight", (16, 2)), ("layers.2.bias", 2), ("amounts.means", 2), ("embeddings.4", (6, 3))],
)
def test_tensors_that_do_not_fit(fitted, tensor, shape):
    files = fitted.to_files()
    tensors = load(files["model.safetensors"])
    assert tensor in tensors
    content = save({**tensors, tensor: np.zeros(shape, np.float32)})
    with pytest.raises(BundleError, match="hold no deep net"):
        DeepNet.from_files({**files, "model.safetensors": content})


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("amounts.columns", -1),
        ("layers.0.weight", np.nan),
        ("layers.2.bias", np.inf),
        ("amounts.means", np.nan),
    ],
)
def test_numbers_that_no_net_has(fitted, tensor, value):
    files = fitted.to_files()
    tensors = load(files["model.safetensors"])
    wrong = tensors[tensor].copy()
    wrong.flat[0] = value
    with pytest.raises(BundleError, match=f"hold no deep net: {tensor} holds a"):
        DeepNet.from_files({**files, "model.safetensors": save({**tensors, tensor: wrong})})
