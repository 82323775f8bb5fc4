"""Explains expressions step by step: each step with its type, its fitted state, and its value for one row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsl.errors import NotFittedError, UdfError
from dsl.features import CompiledFeatures
from dsl.tree import And, Call, Constant, If, In, Node, Not, Or, RowColumn, StoreFeature, children, text


@dataclass(frozen=True)
class Step:
    """One step of a computation.

    `says` is what it does, without its operands; `type` is the type of its value and `value` the value for the row;
    `problem` says why there is no value (None if there is one, or no row); `state` is the state of a fitted function;
    `operands` are the steps before; `is_literal` says whether it is written in the expression as it is.
    """

    says: str
    type: str
    value: Any
    problem: str | None
    state: Mapping[str, Any]
    operands: tuple["Step", ...]
    is_literal: bool = False


def trace(features: CompiledFeatures, row: Mapping[str, Any] | None = None) -> dict[str, Step]:
    """The last step of each feature, with all steps before it; with values only if a row is given.

    A row maps inputs to values as `CompiledFeatures.row` takes it. Raises InputError for a value of another type.
    """
    steps: dict[Node, Step] = {}

    def step(node: Node) -> Step:
        if node not in steps:
            value, problem = _value(features, node, row) if row is not None else (None, None)
            state = (
                features.states.get(text(node), {}) if isinstance(node, Call) and node.function.fit else {}
            )
            operands = tuple(step(child) for child in children(node))
            steps[node] = Step(
                _says(node), str(node.type), value, problem, state, operands, isinstance(node, Constant)
            )
        return steps[node]

    return {name: step(tree) for name, tree in features.trees.items()}


def _value(features: CompiledFeatures, node: Node, row: Mapping[str, Any]) -> tuple[Any, str | None]:
    try:
        (value,) = CompiledFeatures({"value": node}, features.states).row(row)
    except NotFittedError:
        return None, "is not fitted yet"
    except UdfError as error:
        return None, str(error)
    return value, None


def _says(node: Node) -> str:
    match node:
        case Constant() | RowColumn() | StoreFeature():
            return text(node)
        case Call():
            return node.function.name if node.function.is_operator else f"{node.function.name}(…)"
        case If():
            return "if: condition, then, else"
        case And():
            return "and"
        case Or():
            return "or"
        case Not():
            return "not"
        case In():
            return f"in {list(node.items)!r}"
