"""Bundles of every type, changed at random: each is refused with a reason or answers, and the process lives on."""

import dataclasses
import io
import json
import math
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giornata.bundle import digest, open_bundle, write_bundle
from giornata.dataset import Dataset
from giornata.errors import BundleError, GiornataError
from giornata.models import MODEL_TYPES
from giornata.models.deep_net.initialization import NetParameters, first_net
from giornata.models.trees.arrays import Nodes
from giornata.models.trees.decision_trees import DecisionTrees
from giornata.scorer import with_self_test
from giornata.serving import bundle_checks as module
from giornata.serving.bundle_checks import NotNowError
from giornata.serving.model import open_model

EXAMPLES = 1_500 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 100
NUMBERS = np.random.default_rng(15)
LINEAR = {
    "intercept": 1.5,
    "columns": [
        {"mean": 1.0, "weight": 2.0, "share": 0.5},
        {"weights": [1.0, 2.0], "share": 0.5},
        {"mean": 0.0},
    ],
}
CLUSTERS = {
    "features": 3,
    "columns": [{"feature": 0, "mean": 1.0}, {"feature": 2, "code": 1}],
    "centres": [[0.0, 1.0], [100.0, 0.0]],
    "rows": [7, 5],
}
FORECAST = {
    "asked": "theta",
    "method": "theta",
    "season": 2,
    "first": 10,
    "past": [[2.0, 1.0, 3.0]] * 4,
    "future": [[4.0, 2.0, 6.0], [5.0, 2.0, 7.0]],
    "mean": [3.0, 1.0, 5.0],
}
TREES = Nodes(
    roots=np.array([0, 5], np.int32),
    left=np.array([1, 3, -1, -1, -1, -1], np.int32),
    feature=np.array([0, 1, 0, 0, 0, 0], np.int32),
    missing_left=np.array([True, False, False, False, False, False]),
    threshold=np.array([1.5, -2, 0, 0, 0, 0], np.float32),
    value=np.array([0, 0, 30, 10, 20, 5], np.float64),
)
ROWS = [
    {
        "distance": abs(NUMBERS.normal()) * 100,
        "seats": int(NUMBERS.integers(0, 400)),
        "sched_dep": None,
        "pushed_back_at": None,
    }
    for _ in range(50)
]

# What stands in the place of a value of a document, or of some bytes of a file.
ODD_VALUES = (None, True, -1, 0, 2**31 - 1, 2**63, 10**400, 1e308, "", "x", "\0", [], {}, [[]], {"": None})
ODD_BYTES = (
    b"",
    b"\x00",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80" * 8,
    b"[" * 100_000,
    b"(1000000000000,)",
    b"\xed\xa0\x80",
)


def deep_net():
    matrix = NUMBERS.normal(size=(40, 3)).astype(np.float32)
    matrix[:, 1] = NUMBERS.integers(0, 4, 40)
    target = NUMBERS.normal(size=40)
    return first_net(
        Dataset(matrix, target, {1: 4}), "regression", NetParameters.of({"hidden_units": 4}), 1
    ).to_files()


def made(truth, type_, task, files, outputs=(), features=None):
    """The bundle of the version with a model of another type in it, of some of its features where these are named."""
    bundle = open_bundle(truth.content)
    kept = bundle.features["features"]
    kept = {name: kept[name] for name in features or kept}
    bundle = dataclasses.replace(bundle, features={**bundle.features, "features": kept})
    spec = {"type": type_, "task": task} | ({"label": None} if task == "clustering" else {})
    configuration = bundle.version.configuration.model_copy(update=spec)
    signature = bundle.version.signature.model_copy(update={"task": task, "outputs": list(outputs)})
    version = bundle.version.model_copy(update={"configuration": configuration, "signature": signature})
    root = dataclasses.replace(bundle.parts[0], files=files)
    changed = dataclasses.replace(bundle, version=version, parts=(root,), self_test=())
    return write_bundle(with_self_test(changed, ROWS[:3]))


@pytest.fixture(scope="module")
def bundles(versions, rooted):
    first = versions[0]
    found = {
        "xgboost": first.content,
        "function": rooted.content,
        "linear": made(first, "linear", "regression", {"linear.json": json.dumps(LINEAR).encode()}),
        "logistic": made(first, "logistic", "binary", {"logistic.json": json.dumps(LINEAR).encode()}),
        "decision_tree": made(
            first, "decision_tree", "regression", DecisionTrees(TREES, [0.5, 0.5, 0.0]).to_files()
        ),
        "deep_net": made(first, "deep_net", "regression", deep_net()),
        "k_means": made(
            first,
            "k_means",
            "clustering",
            {"k_means.json": json.dumps(CLUSTERS).encode()},
            ("cluster", "distance"),
        ),
        "forecast": made(
            first,
            "forecast",
            "forecasting",
            {"forecast.json": json.dumps(FORECAST).encode()},
            ("forecast", "low", "high"),
            ["distance"],
        ),
    }
    assert found.keys() == {*MODEL_TYPES, "function"} - {"random_forest", "custom"}
    return found


def unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def signed(files, manifest):
    """The files with a manifest that vouches for them, otherwise as it was."""
    manifest = json.loads(manifest)
    manifest["files"] = {
        name: {"size": len(content), "sha256": digest(content)}
        for name, content in files.items()
        if name != "manifest.json"
    }
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def places(value, path=()):
    """The path of each value in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inside for place in places(each, (*path, key)))]


def changed_document(draw, content):
    """The JSON with a value in it replaced, left out, given twice or moved."""
    document = {"": json.loads(content)}
    path = draw(st.sampled_from(places(document)[1:]))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    kind = draw(st.sampled_from(("odd", "odd", "none", "nested", "other")))
    if kind == "none" and len(path) > 1:
        del holder[path[-1]]
    elif kind == "nested":
        for _ in range(draw(st.sampled_from((1, 50, 900)))):
            holder[path[-1]] = [holder[path[-1]]]
    elif kind == "other":
        of = document
        for key in draw(st.sampled_from(places(document)[1:])):
            of = of[key]
        holder[path[-1]] = of if json.dumps(of) else None
    else:
        holder[path[-1]] = draw(st.sampled_from(ODD_VALUES))
    try:
        return json.dumps(document.get("")).encode()
    except (ValueError, RecursionError):
        return b"[" * 5000  # it holds itself


def changed_bytes(draw, content):
    """The bytes with some of them flipped, replaced, left out or cut off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        kind = draw(st.sampled_from(("flip", "flip", "odd", "insert", "drop", "cut")))
        odd = draw(st.sampled_from(ODD_BYTES))
        if kind == "flip" and found:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "odd":
            found[at : at + len(odd)] = odd
        elif kind == "insert":
            found[at:at] = odd
        elif kind == "drop":
            del found[at : at + draw(st.integers(1, 20))]
        elif kind == "cut":
            del found[at:]
    return bytes(found)


def changed_archive(draw, files):
    """The files as another archive: one missing, renamed, twice, or packed by another method."""
    name, manifest = draw(st.sampled_from(sorted(files))), files["manifest.json"]
    kind = draw(st.sampled_from(("missing", "renamed", "added", "method", "swapped")))
    if kind == "method":
        return zipped(files, draw(st.sampled_from((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED))))
    if kind == "missing":
        del files[name]
    elif kind == "renamed":
        files[draw(st.sampled_from(("../x.json", "parts/00001/model.ubj", "x" * 300)))] = files.pop(name)
    elif kind == "added":
        files["parts/00000/more.json"] = b"{}"
    else:
        other = draw(st.sampled_from(sorted(files)))
        files[name], files[other] = files[other], files[name]
    return zipped(signed(files, manifest) if draw(st.booleans()) else files)


@st.composite
def mutations(draw, contents):
    content = contents[draw(st.sampled_from(sorted(contents)))]
    files = unzipped(content)
    kind = draw(st.sampled_from(("zip", "archive", "bytes", "bytes", "document", "document", "manifest")))
    if kind == "zip":
        return content, changed_bytes(draw, content)
    if kind == "archive":
        return content, changed_archive(draw, files)
    if kind == "manifest":
        change = draw(st.sampled_from((changed_bytes, changed_document)))
        return content, zipped(files | {"manifest.json": change(draw, files["manifest.json"])})
    names = sorted(name for name in files if name != "manifest.json")
    if kind == "document":
        name = draw(st.sampled_from([name for name in names if name.endswith(".json")]))
        return content, zipped(
            signed(files | {name: changed_document(draw, files[name])}, files["manifest.json"])
        )
    # The files that hold the model have most of what can be wrong.
    name = draw(st.sampled_from(names + [name for name in names if name.startswith("parts/")] * 3))
    return content, zipped(signed(files | {name: changed_bytes(draw, files[name])}, files["manifest.json"]))


def test_a_changed_bundle_answers_or_is_refused_with_its_reason(
    bundles, bundle_checks, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr(module, "SECONDS", 5.0)
    path = tmp_path_factory.mktemp("changed") / "bundle.zip"
    known = {content: open_model(content).scorer.rows(ROWS) for content in bundles.values()}
    outcomes = {"served": 0, "refused": 0, "silent": 0}

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(mutations(bundles))
    def judge(mutation):
        content, changed = mutation
        path.write_bytes(changed)
        try:
            bundle_checks.check(path, changed)
        except (BundleError, NotNowError) as refusal:
            outcomes["refused"] += bool(str(refusal).strip())
            outcomes["silent"] += not str(refusal).strip()
            return
        outcomes["served"] += 1
        model = open_model(changed)
        opened, original = open_bundle(changed), open_bundle(content)
        if dataclasses.replace(opened, version=original.version) == original:
            assert model.scorer.rows(ROWS) == known[content]
            return
        try:
            answers = model.scorer.rows(ROWS)
        except GiornataError:
            return  # which the server tells the caller
        assert all(isinstance(answer.value, str) or math.isfinite(answer.value) for answer in answers)

    judge()
    assert outcomes["silent"] == 0
    assert outcomes["refused"] > EXAMPLES / 4
