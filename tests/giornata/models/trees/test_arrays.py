"""Trees as arrays: where rows go, the same bits for one row and for many, and files that hold no trees."""

import dataclasses
import io

import numpy as np
import pytest

from giornata.errors import BundleError, DataError
from giornata.models.trees.arrays import NODE_FILES, Nodes, Walk, read_nodes

# x0 <= 1.5 (missing left): x1 <= -2 (missing right): 10 | 20; else 30.
ONE = Nodes(
    roots=np.array([0], np.int32),
    left=np.array([1, 3, -1, -1, -1], np.int32),
    feature=np.array([0, 1, 0, 0, 0], np.int32),
    missing_left=np.array([True, False, False, False, False]),
    threshold=np.array([1.5, -2, 0, 0, 0], np.float32),
    value=np.array([0, 0, 30, 10, 20], np.float64),
)
LEAF = Nodes(
    roots=np.array([0], np.int32),
    left=np.array([-1], np.int32),
    feature=np.array([0], np.int32),
    missing_left=np.array([False]),
    threshold=np.array([0], np.float32),
    value=np.array([-1.0]),
)


def test_where_rows_go():
    nan = np.nan
    rows = {
        (1.5, -2): 10,
        (1.5, np.nextafter(np.float32(-2), np.float32(0))): 20,
        (np.nextafter(np.float32(1.5), np.float32(2)), -2): 30,
        (nan, -2): 10,
        (1, nan): 20,
        (nan, nan): 20,
        (3e38, nan): 30,
        (-3e38, -3e38): 10,
    }
    matrix = np.array(list(rows), np.float32)
    expected = list(rows.values())
    alone = Walk(ONE, 2)
    assert alone(matrix).tolist() == expected
    assert [alone(matrix[at : at + 1])[0] for at in range(len(matrix))] == expected
    assert alone(np.tile(matrix, (100, 1))).tolist() == expected * 100
    assert alone(matrix[:0]).shape == (0,)
    three = Walk(Nodes.joined([LEAF, ONE, LEAF]), 2)
    assert three(matrix).tolist() == [(value - 2) / 3 for value in expected]
    assert Walk(LEAF, 2)(np.tile(matrix, (10, 1))).tolist() == [-1.0] * 80


@pytest.mark.parametrize("trees", [1, 3, 100])
def test_one_row_at_a_time_gives_the_same_bits(trees):
    random = np.random.default_rng(trees)
    nodes = Nodes.joined([drawn(random) for _ in range(trees)])
    matrix = random.normal(size=(2000, 5)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    walk = Walk(nodes, 5)
    alone = [walk(matrix[at : at + 1])[0] for at in range(300)]
    assert [by_hand(nodes, row) for row in matrix[:300]] == alone
    assert walk(matrix)[:300].tolist() == alone
    assert walk(np.asfortranarray(matrix))[:300].tolist() == alone
    for size in (2, 13, 14, 40, 41, 150):
        assert walk(matrix[5 : 5 + size]).tolist() == alone[5 : 5 + size]


@pytest.mark.parametrize("trees", [1, 3, 100])
def test_several_numbers_are_as_many_walks(trees):
    random = np.random.default_rng(trees)
    nodes = Nodes.joined([drawn(random) for _ in range(trees)])
    values = random.normal(size=(len(nodes.left), 3))
    both = dataclasses.replace(nodes, value=values)
    matrix = random.normal(size=(2000, 5)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    walk = Walk(read_nodes(both.to_files(), 5), 5)
    expected = np.column_stack(
        [Walk(dataclasses.replace(nodes, value=column), 5)(matrix) for column in values.T]
    ).tolist()
    assert walk(matrix).tolist() == expected
    assert [walk(matrix[at : at + 1])[0].tolist() for at in range(300)] == expected[:300]
    for size in (2, 13, 14, 40, 41, 150):
        assert walk(matrix[5 : 5 + size]).tolist() == expected[5 : 5 + size]
    assert walk(matrix[:0]).shape == (0, 3)


def drawn(random):
    """A tree of 63 nodes, half of whose inner nodes below the third level are leaves after all."""
    places = np.arange(63)
    inner = (places < 31) & ((places < 7) | (random.random(63) < 0.5))
    return Nodes(
        roots=np.zeros(1, np.int32),
        left=np.where(inner, 2 * places + 1, -1).astype(np.int32),
        feature=random.integers(0, 5, 63).astype(np.int32),
        missing_left=random.random(63) < 0.5,
        threshold=random.normal(size=63).astype(np.float32),
        value=random.normal(size=63),
    )


def by_hand(nodes, row):
    total = 0.0
    for place in nodes.roots:
        while nodes.left[place] >= 0:
            value = row[nodes.feature[place]]
            goes_left = (
                nodes.missing_left[place] if np.isnan(value) else bool(value <= nodes.threshold[place])
            )
            place = nodes.left[place] + (not goes_left)
        total += float(nodes.value[place])
    return total / len(nodes.roots)


def test_rows_of_another_width():
    with pytest.raises(DataError, match="takes 2 features, and rows have 3"):
        Walk(ONE, 2)(np.zeros((1, 3), np.float32))


def test_files_give_the_same_nodes():
    nodes = Nodes.joined([ONE, LEAF, ONE])
    files = nodes.to_files()
    assert set(files) == set(NODE_FILES)
    read = read_nodes(files, 2)
    for field in dataclasses.fields(Nodes):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(nodes, field.name))
    assert read.to_files() == files


def array(values, type_=None):
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, type_), allow_pickle=True)
    return buffer.getvalue()


def claiming(numbers):
    """A file of five numbers whose header says that they are as many as that."""
    return array([0, 0, 30, 10, 20], np.float64).replace(b"(5,)", f"({numbers},)".encode())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("value", b"nonsense", "value.npy is no array"),
        ("value", b"", "value.npy is no array"),
        ("value", array([0, 0, 30, 10, 20], np.float64)[:-4], "value.npy is no array"),
        ("value", array([{}], object), "1 dimensions of object, not one of float64"),
        ("value", array([0, 0, 30, 10, 20], np.float32), "1 dimensions of float32, not one of float64"),
        ("value", array([[[0, 0, 30, 10, 20]]], np.float64), "3 dimensions"),
        ("value", array([[0, 0, 30, 10, 20]], np.float64), "value.npy has 1 nodes, and left.npy 5"),
        ("value", array(np.zeros((5, 0)), np.float64), "value.npy holds no numbers"),
        ("value", array(np.full((5, 2), np.inf), np.float64), "value.npy holds a number that is not finite"),
        ("left", array([[1, 3, -1, -1, -1]], np.int32), "2 dimensions"),
        ("value", array([0, 0, 30, 10], np.float64), "value.npy has 4 nodes, and left.npy 5"),
        ("value", array([0, 0, 30, 10, np.nan], np.float64), "value.npy holds a number that is not finite"),
        ("threshold", array([np.inf, 0, 0, 0, 0], np.float32), "threshold.npy holds a number"),
        ("roots", array([], np.int32), "roots.npy"),
        ("roots", array([1], np.int32), "roots.npy"),
        ("roots", array([0, 5], np.int32), "roots.npy"),
        ("roots", array([0, 3, 2], np.int32), "roots.npy"),
        ("roots", array([0, 3], np.int32), "left.npy holds a node"),
        ("left", array([1, 0, -1, -1, -1], np.int32), "left.npy holds a node"),
        ("left", array([1, 1, -1, -1, -1], np.int32), "left.npy holds a node"),
        ("left", array([1, 4, -1, -1, -1], np.int32), "left.npy holds a node"),
        ("left", array([1, 3, -2, -1, -1], np.int32), "left.npy holds a node"),
        ("left", array([1, 2**31 - 1, -1, -1, -1], np.int32), "left.npy holds a node whose children"),
        ("left", array([1, 2, -1, -1, -1], np.int32), "left.npy holds a node that is the child of two"),
        ("value", claiming(10**12), "value.npy is no array: its header says that its shape"),
        ("value", claiming(-5), "value.npy is no array: its header says that its shape"),
        ("missing_left", array([2, 0, 0, 0, 0], np.uint8).replace(b"|u1", b"|b1"), "neither true nor false"),
        ("feature", array([0, 1, 2, 0, 0], np.int32), "feature.npy holds a feature that"),
        ("feature", array([0, 2, 0, 0, 0], np.int32), "feature.npy holds a feature that is none of the 2"),
        ("feature", array([0, -1, 0, 0, 0], np.int32), "feature.npy holds a feature"),
    ],
)
def test_files_that_hold_no_trees(name, content, message):
    with pytest.raises(BundleError, match=message):
        read_nodes(ONE.to_files() | {f"{name}.npy": content}, 2)
