"""The tree of parts: which rows a part has, who is kept, who answers."""

import math

import pytest

from giornata.errors import DataError
from giornata.partitions import (
    CandidateLosses,
    Losses,
    PartIndex,
    PartRows,
    candidates,
    check_levels,
    choose_sets,
    chosen_losses,
    decide,
    key_text,
    level_of,
    parse_key,
    part_names,
    path_of,
    prefixes,
)

CHICAGO, AURORA = ("US", "IL", "Chicago"), ("US", "IL", "Aurora")
BOSTON, MAINE, OREGON = ("US", "MA", "Boston"), ("US", "ME", "Portland"), ("US", "OR", "Portland")


def test_paths():
    assert path_of(["Chicago", "IL", "US"]) == CHICAGO
    assert path_of(["Chicago", None, "US"]) == ("US",)
    assert path_of([None, None, None]) == ()
    assert prefixes(("US", "IL")) == [(), ("US",), ("US", "IL")]
    for key in [(), CHICAGO, ('Zürich "x"', True, 3)]:
        assert parse_key(key_text(key)) == key


def test_names():
    levels = ["city", "state", "country"]
    keys = [(), ("US",), CHICAGO, MAINE, OREGON]
    assert part_names(keys, levels) == {
        (): "all",
        ("US",): "country=US",
        CHICAGO: "city=Chicago",
        MAINE: "city=Portland (state=ME, country=US)",
        OREGON: "city=Portland (state=OR, country=US)",
    }
    assert [level_of(key, levels) for key in keys] == ["all", "country", "city", "city", "city"]
    assert part_names([(True,)], ["express"]) == {(True,): "express=true"}


def test_deepest_part_answers():
    index = PartIndex([(), ("US", "IL"), CHICAGO, MAINE])
    assert index.find(["Chicago", "IL", "US"]) == 2
    assert index.find(["Aurora", "IL", "US"]) == 1  # the city is not kept: the state answers
    assert index.find(["Chicago", "MA", "US"]) == 0  # another Chicago
    assert index.find(["Chicago", None, "US"]) == 0  # the path ends before the missing state
    assert index.find(["Portland", "ME", "US"]) == 3  # kept though its state is not
    assert index.find([None, None, None]) == 0


def test_candidates_by_hand():
    paths = {
        CHICAGO: PartRows(80, 20),
        AURORA: PartRows(3, 1),
        BOSTON: PartRows(50, 10),
        MAINE: PartRows(60, 0),
        OREGON: PartRows(0, 60),
    }
    rows, dropped = candidates(paths, 50)
    assert rows[()] == PartRows(193, 91)
    assert rows[("US", "IL")] == PartRows(83, 21)
    assert dropped == {
        ("US",): "the same rows as its parent",
        AURORA: "4 rows, fewer than 50",
        BOSTON: "the same rows as its parent",
        ("US", "ME"): "no validation rows",
        MAINE: "the same rows as its parent",
        ("US", "OR"): "no training rows",
        OREGON: "the same rows as its parent",
    }


def test_decisions_by_hand():
    # State IL is better than the root (30 < 50 over its 10 + 5 rows), so its cities must beat IL, not the root:
    # Chicago is better than the root (20 < 40) and worse than IL (18); Aurora is better than IL (8 < 12).
    # State MA is no better than the root, so Boston is compared with the root.
    losses = {
        CHICAGO: Losses(10, {0: 40.0, 2: 18.0, 3: 20.0}),
        AURORA: Losses(5, {0: 10.0, 2: 12.0, 3: 8.0}),
        BOSTON: Losses(4, {0: 8.0, 2: 8.0, 3: 6.0}),
    }
    decided = decide([(), ("US", "IL"), ("US", "MA"), CHICAGO, AURORA, BOSTON], losses)
    assert {key: decision.kept for key, decision in decided.items()} == {
        (): True,
        ("US", "IL"): True,
        ("US", "MA"): False,
        CHICAGO: False,
        AURORA: True,
        BOSTON: True,
    }
    assert (decided[()].loss, decided[()].parent_loss) == (pytest.approx(58 / 19), None)
    assert (decided["US", "IL"].loss, decided["US", "IL"].parent_loss) == (2.0, pytest.approx(50 / 15))
    assert (decided[CHICAGO].loss, decided[CHICAGO].parent_loss) == (2.0, 1.8)
    assert (decided[BOSTON].loss, decided[BOSTON].parent_loss) == (1.5, 2.0)
    assert decided["US", "MA"].reason == "not more accurate than its parent"
    assert decided[BOSTON].reason == "more accurate than its parent by 25.0%"


def test_a_margin_is_of_the_error_not_of_the_loss():
    # Errors are roots of losses: 0.81 of a loss is 0.9 of an error, 10 % below.
    losses = {("a",): Losses(100, {0: 100.0, 1: 80.9}), ("b",): Losses(100, {0: 100.0, 1: 81.1})}
    keys = [(), ("a",), ("b",)]
    assert all(decision.kept for decision in decide(keys, losses).values())
    strict = decide(keys, losses, 0.1, math.sqrt)
    assert (strict[("a",)].kept, strict[("b",)].kept) == (True, False)
    assert strict[("b",)].reason == "not more accurate than its parent enough, only by 9.9%"
    assert not any(decision.kept for key, decision in decide(keys, losses, 0.2, float).items() if key)


# By hand, of two sets on a root with two parts: set 1 is better in a (3 < 5), set 0 in b (1 < 4), so that set 0 is
# better for both together (6 < 7).
TWO_SETS = {
    ("a",): CandidateLosses(10, {(0, 0): 9.0, (1, 0): 5.0, (1, 1): 3.0}),
    ("b",): CandidateLosses(10, {(0, 0): 9.0, (1, 0): 1.0, (1, 1): 4.0}),
}
CANDIDATES = [((), 0), (("a",), 0), (("a",), 1), (("b",), 0), (("b",), 1)]


def test_parts_choose_their_parameters_alone_or_by_level():
    alone = choose_sets(CANDIDATES, TWO_SETS, "part")
    assert alone == {(): 0, ("a",): 1, ("b",): 0}
    assert choose_sets(CANDIDATES, TWO_SETS, "level") == {(): 0, ("a",): 0, ("b",): 0}
    assert chosen_losses(TWO_SETS, alone) == {
        ("a",): Losses(10, {0: 9.0, 1: 3.0}),
        ("b",): Losses(10, {0: 9.0, 1: 1.0}),
    }


def test_a_set_that_cannot_be_fitted_or_has_no_loss_is_not_chosen():
    broken = {("a",): CandidateLosses(10, {(0, 0): 9.0, (1, 0): math.nan, (1, 1): 3.0})}
    assert choose_sets(CANDIDATES[:3], broken, "part")[("a",)] == 1
    # Set 1 could not be fitted in b: the level shares what all of its parts have.
    assert choose_sets([one for one in CANDIDATES if one != (("b",), 1)], TWO_SETS, "level")[("a",)] == 0


def test_a_loss_that_is_not_a_number_loses():
    decided = decide([(), ("a",)], {("a",): Losses(2, {0: 5.0, 1: math.nan})})
    assert not decided[("a",)].kept


def test_levels_must_be_able_to_name_a_part():
    check_levels({"city": "str", "express": "bool", "zone": "int"})
    with pytest.raises(DataError, match="level distance is of type float"):
        check_levels({"distance": "float"})
