"""A class of a project learns, travels in the model's files and answers; its mistakes are told by file and line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from giornata.bundle import open_bundle, write_bundle
from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models import model_type
from giornata.models.base import FitError, ParameterError, PredictionError
from giornata.models.custom.code import CustomCode
from giornata.models.custom.fitted import Custom
from giornata.models.custom.model_type import CustomType
from giornata.models.search_space import Dimension
from giornata.scorer import Scorer, with_self_test

ROOT = Path(__file__).parents[4]

# The mean label by the first feature, plus what the parameter says; line 1 is the import.
MEANS = """\
import json
from dataclasses import dataclass
import numpy as np

@dataclass
class Held:
    value: "float"

class Means:
    def fit(self, examples, setting):
        self.extra = Held(setting.parameters.get("extra", 0.0)).value
        self.means = {}
        for key in np.unique(np.nan_to_num(examples.matrix[:, 0])).tolist():
            inside = np.nan_to_num(examples.matrix[:, 0]) == key
            self.means[key] = float(examples.target[inside].mean())
        self.seen = [list(examples.names), setting.task, setting.seed, setting.threads]
        self.seen += [setting.validation is not None, dict(examples.categories)]
        self.first = examples.names[0] if examples.names else "x0"

    def predict(self, matrix):
        return [self.means.get(key, 0.0) + self.extra for key in np.nan_to_num(matrix[:, 0]).tolist()]

    def save(self):
        kept = [sorted(self.means.items()), self.extra, self.seen]
        return {"means.json": json.dumps(kept).encode()}

    def load(self, files):
        means, self.extra, self.seen = json.loads(files["means.json"])
        self.means = {key: value for key, value in means}
"""
OPTIONAL = """
    def importance(self):
        return {self.first: 3.0, "second": 1.0}

    def size(self):
        return {"means": len(self.means)}

    @staticmethod
    def check(parameters):
        if parameters.get("extra", 0) < 0:
            raise ValueError("extra is not negative")

    @staticmethod
    def evaluate(actual, predicted):
        return {"worst": np.abs(actual - predicted).max()}
"""
MATRIX = np.array([[0, 1], [0, np.nan], [1, 5], [1, 6], [np.nan, 7]], np.float32)
TARGET = np.array([1.0, 2.0, 10.0, 20.0, 6.0])
EXAMPLES = Dataset(MATRIX, TARGET, {0: 2}, ("first", "second"))


def code(source=MEANS + OPTIONAL, name="Means"):
    return CustomCode(name, "models/means.py", source)


def fit(source=MEANS + OPTIONAL, parameters=None, task="regression", examples=EXAMPLES, **options):
    return CustomType(code(source)).fit(examples, task, parameters or {}, 7, **options)


def changed(old, new, source=MEANS + OPTIONAL):
    assert source.count(old) == 1, old
    return source.replace(old, new)


def test_the_class_learns_and_answers():
    fitted = fit(parameters={"extra": 0.5}, threads=2, validation=EXAMPLES)
    assert fitted.predict(MATRIX).tolist() == [3.5, 3.5, 15.5, 15.5, 3.5]
    assert fitted.predict(MATRIX[:0]).tolist() == []
    assert (fitted.rounds, fitted.size()) == (1, {"means": 2})
    assert fitted.importance() == {0: 0.75, 1: 0.25}
    _, _, seen = json.loads(fitted.to_files()["means.json"])
    assert seen == [["first", "second"], "regression", 7, 2, True, {"0": 2}]
    assert isinstance(model_type("custom", code()), CustomType)


def test_what_a_class_may_have_it_may_lack():
    fitted = fit(MEANS, {"extra": -1.0})
    assert fitted.importance() == {}
    assert fitted.size() == {"bytes": len(fitted.to_files()["means.json"])}
    type_ = CustomType(code(MEANS))
    type_.check({"anything": 1}, {"extra": Dimension(float=[-1, 1])})
    assert type_.evaluate(TARGET, TARGET) == {}
    assert (type_.default_space, type_.with_rounds({"extra": 1}, 9)) == ({}, {"extra": 1})
    assert type_.tasks == ("regression", "binary")


def test_files_hold_the_source_with_its_hash_and_give_the_same_model():
    fitted = fit()
    files = fitted.to_files()
    assert sorted(files) == ["custom.json", "means.json"]
    facts = json.loads(files["custom.json"])
    assert facts["source"] == MEANS + OPTIONAL
    assert (facts["class"], facts["file"], facts["sha256"]) == ("Means", "models/means.py", code().version)
    stored = Custom.from_files(files)
    assert stored.predict(MATRIX).tolist() == fitted.predict(MATRIX).tolist()
    assert stored.to_files() == files == fit().to_files()
    assert (stored.importance(), stored.size()) == (fitted.importance(), fitted.size())


def test_answers_are_those_of_the_source_that_was_trained():
    doubled = changed("+ self.extra for", "* 2 for")
    assert Custom.from_files(fit().to_files()).predict(MATRIX[:1]).tolist() == [3.0]
    assert Custom.from_files(fit(doubled).to_files()).predict(MATRIX[:1]).tolist() == [6.0]
    assert Custom.from_files(fit().to_files()).predict(MATRIX[:1]).tolist() == [3.0]


def test_its_own_check_speaks_for_itself():
    type_ = CustomType(code())
    with pytest.raises(ParameterError, match=r"^class Means: extra is not negative$"):
        type_.check({"extra": -1}, {})
    with pytest.raises(ParameterError, match="extra is not negative"):
        type_.check({"extra": 1}, {"extra": Dimension(float=[-1, 1])})
    with pytest.raises(ParameterError, match="extra is not negative"):
        fit(parameters={"extra": -1})
    broken = changed('parameters.get("extra", 0) < 0', "parameters[1] < 0")
    message = r"^class Means cannot check its parameters: models/means.py, line 39: KeyError: 1$"
    with pytest.raises(ParameterError, match=message):
        CustomType(code(broken)).check({}, {})


def test_its_own_metrics():
    type_ = CustomType(code())
    assert type_.evaluate(TARGET, TARGET + 2) == {"worst": 2.0}
    for name, message in {
        "Worst": "a metric's name is like_this",
        "rmse": "a metric of Giornata's own",
    }.items():
        with pytest.raises(FitError, match=message):
            fit(changed('"worst"', f'"{name}"'))
    with pytest.raises(
        FitError, match=r"^class Means cannot evaluate: models/means.py, line 44: NameError: .*'x'"
    ):
        fit(changed('{"worst": np.abs(actual - predicted).max()}', "x"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "import json\n",
            "import nosuch\n",
            "cannot be loaded: models/means.py, line 1: ModuleNotFoundError",
        ),
        ("class Held:", "class Held", "cannot be loaded: models/means.py, line 6: SyntaxError: expected ':'"),
        ("class Means:", "class Mean:", "there is no class Means in models/means.py"),
        ("class Means:", "Means = 3\nclass Mean:", "there is no class Means in models/means.py"),
        ("def load(", "def lod(", "class Means of models/means.py has no method load"),
    ],
)
def test_what_is_no_class(old, new, message):
    for kind, use in {
        ParameterError: lambda type_: type_.check({}, {}),
        FitError: lambda type_: type_.evaluate(TARGET, TARGET),
    }.items():
        with pytest.raises(kind, match=message):
            use(CustomType(code(changed(old, new))))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "self.means = {}\n",
            "self.means = 1 / 0\n",
            r"^class Means cannot be fitted: models/means.py, line 12: ZeroDivisionError: division by zero$",
        ),
        ("self.means = {}\n", "examples.matrix[:] = 0\n", "line 12: ValueError: assignment destination is read-only"),
        ("self.means = {}\n", "examples.target.sort()\n", "line 12: ValueError: .*read-only"),
        (
            "self.means.get(key, 0.0)",
            "self.means[key]",
            None,  # every key is known here, also that of the row that has nothing
        ),
        ("+ self.extra for", "+ self.ekstra for", "fails to answer: models/means.py, line 21: AttributeError"),
        ("+ self.extra for", "+ (key and np.nan) for", r"answers nan to the row \(1, 5\): it must be a number"),
        ("+ self.extra for", "+ np.inf for", r"answers inf to the row \(0, 1\)"),
        ("np.nan_to_num(matrix[:, 0]).tolist()]", "matrix[:-1, 0]]", r"answers of shape \(5,\) to 6 rows"),
        ("return [self.means", "return [[1, 2]] or [self.means", r"answers of shape \(1, 2\) to 6 rows"),
        ("return [self.means", 'return ["a"] or [self.means', "fails to answer: models/means.py: ValueError"),
        ("+ self.extra for", "+ len(matrix) for", "answers 4.0 to a row alone, and 9.0 to it among others"),
        ("means, self.extra, self.seen =", "means, _, self.extra =", "fails to answer"),
        ("value for key, value in means}", "value + 1 for key, value in means}", "differently once saved and loaded"),
        ("means, self.extra, self.seen =", "means, self.extra =", "does not load its files: models/means.py, line 28"),
        ('return {"means.json": json.dumps(kept).encode()}', "return kept", "returns list, not files by name"),
        ('"means.json": json', '"means.pkl": json', "calls a file 'means.pkl'"),
        ('"means.json": json', '"custom.json": json', r"calls a file 'custom\.json'"),
        (".encode()}", "}", "gives str for means.json, not bytes"),
        ('"second": 1.0}', '"third": 1.0}', "the importance of 'third' is 1"),
        ('"second": 1.0}', '"second": -1.0}', "the importance of 'second' is -1"),
    ],
)  # fmt: skip
def test_a_class_that_breaks_its_contract_gives_no_model(old, new, message):
    if message is None:
        assert fit(changed(old, new))
        return
    with pytest.raises(FitError, match=message):
        fit(changed(old, new))


def test_a_probability_is_one():
    labels = Dataset(MATRIX, np.array([0.0, 1, 1, 1, 0]), {}, ("first", "second"))
    assert fit(task="binary", examples=labels).predict(MATRIX[:1])[0] == pytest.approx(1 / 3)
    with pytest.raises(FitError, match=r"answers 1\.33333 to the row \(0, 1\): it must be a probability"):
        fit(task="binary", examples=labels, parameters={"extra": 1.0})
    with pytest.raises(FitError, match="no rows"):
        fit(examples=Dataset(MATRIX[:0], TARGET[:0]))


def test_an_answer_that_fails_later_names_the_line():
    fitted = fit(changed("self.means.get(key, 0.0)", "self.means[key]"))
    with pytest.raises(
        PredictionError, match=r"^class Means fails to answer: models/means.py, line 21: KeyError: 9"
    ):
        fitted.predict(np.array([[0, 0], [9, 9]], np.float32))
    nan = fit(changed("self.means.get(key, 0.0)", "self.means.get(key, np.nan)"))
    with pytest.raises(
        PredictionError, match=r"class Means of models/means.py answers nan to the row \(9, nan\)"
    ):
        nan.predict(np.array([[0, 0], [9, np.nan]], np.float32))


def test_the_line_is_where_it_fails_inside_the_file():
    """Neither the line of the method that called it, nor one of the library that it called."""
    helper = MEANS + "\n\ndef number(text):\n    return json.loads(text)\n"
    with pytest.raises(FitError, match=r"models/means\.py, line 33: JSONDecodeError"):
        fit(changed("self.means = {}\n", "self.means = number('{')\n", helper))


def test_a_model_without_its_class():
    for use, kind in (("check", ParameterError), ("fit", ParameterError), ("evaluate", FitError)):
        arguments = {"check": ({}, {}), "fit": (EXAMPLES, "regression", {}, 0), "evaluate": (TARGET, TARGET)}
        with pytest.raises(kind, match=r"write class: module\.Class"):
            getattr(CustomType(), use)(*arguments[use])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"custom.json": None}, r"kept in custom\.json and files of its own, not in means\.json"),
        ({"custom.json": b"["}, r"custom\.json holds no class of a project"),
        ({"custom.json": b"[]"}, r"custom\.json holds no class of a project"),
        ({"custom.json": b"{}"}, "holds no class of a project: 'class'"),
        ({"means.json": None}, "does not load its files: models/means.py, line 28: KeyError: 'means.json'"),
        ({"means.json": b"{"}, "does not load its files: models/means.py, line 28: JSONDecodeError"),
    ],
)
def test_files_that_hold_no_model(changes, message):
    files = {**fit().to_files(), **changes}
    with pytest.raises(BundleError, match=message):
        Custom.from_files({name: content for name, content in files.items() if content is not None})


def test_a_source_that_is_not_of_its_hash_is_not_run():
    files = fit().to_files()
    facts = json.loads(files["custom.json"])
    facts["source"] = "raise SystemExit('was run')\n" + facts["source"]
    with pytest.raises(BundleError, match=r"the source of models/means\.py is not of the hash it states"):
        Custom.from_files({**files, "custom.json": json.dumps(facts).encode()})


def test_a_bundle_answers_in_a_process_that_knows_no_project(trained, tmp_path):
    """From the class's fit to the answers of a fresh process, by the file of the bundle alone."""
    source = (ROOT / "projects/flights/models/usual.py").read_text()
    (tmp_path / "usual.py").write_text(source)
    similar = CustomCode("MedianOfSimilar", "models/usual.py", source)
    examples = Dataset(trained.matrix, trained.target)
    fitted = CustomType(similar).fit(examples, "regression", {"min_rows": 1}, 0)
    spec = trained.bundle.version.configuration.model_copy(
        update={"type": "custom", "class_": "usual.MedianOfSimilar", "partition": None}
    )
    root = replace(trained.bundle.parts[0], files=fitted.to_files())
    version = trained.bundle.version.model_copy(update={"configuration": spec})
    rows = [*trained.frame.drop("minutes").head(9).to_dicts(), dict.fromkeys(trained.frame.columns)]
    bundle = replace(trained.bundle, version=version, partition=None, parts=(root,), self_test=())
    bundle = with_self_test(bundle, rows)
    path = tmp_path / "bundle.zip"
    path.write_bytes(write_bundle(bundle))
    (tmp_path / "usual.py").unlink()
    scorer = Scorer(open_bundle(path))
    assert scorer.version.configuration.class_ == "usual.MedianOfSimilar"
    script = """
import pathlib, sys
from giornata.bundle import open_bundle
from giornata.scorer import Scorer
scorer = Scorer(open_bundle(pathlib.Path(sys.argv[1])))
scorer.check_self_test()
print([scorer.rows([dict(row.inputs) | {"sched_dep": None}])[0].value for row in open_bundle(
    pathlib.Path(sys.argv[1])).self_test])
assert not {"torch", "xgboost", "pandas", "pyspark"} & set(sys.modules)
"""
    command = [sys.executable, "-c", script, path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [scorer.rows([{**row, "sched_dep": None}])[0].value for row in rows]
    assert done.stdout.strip() == str(expected)
    assert len(set(expected)) > 3


def test_the_median_of_similar_flights():
    source = (ROOT / "projects/flights/models/usual.py").read_text()
    type_ = CustomType(CustomCode("MedianOfSimilar", "models/usual.py", source))
    matrix = np.array([[1, 1]] * 3 + [[1, 2]] * 2 + [[2, np.nan]] * 3, np.float32)
    target = np.array([10, 20, 90, 30, 40, 1, 2, 9.0])
    fitted = type_.fit(Dataset(matrix, target), "regression", {"min_rows": 3}, 0)
    asked = np.array([[1, 1], [1, 2], [1, 9], [2, np.nan], [2, -1], [3, 1], [np.nan, 1]], np.float32)
    # All of (1, 1); of (1, ·), since (1, 2) has two rows; (2, missing); all rows.
    assert fitted.predict(asked).tolist() == [20, 30, 30, 2, 2, 15, 15]
    assert fitted.size() == {"medians": 5}
    assert type_.evaluate(target, target + np.array([0, 10, 11, 0, 0, 0, 0, -12])) == {
        "within_10_minutes": 0.75
    }
    for parameters in ({"min_row": 3}, {"min_rows": 0}, {"min_rows": 2.5}):
        with pytest.raises(ParameterError, match="MedianOfSimilar: the only parameter is min_rows"):
            type_.check(parameters, {})
