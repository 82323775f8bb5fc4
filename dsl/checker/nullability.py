"""Finds the inputs whose null can make an expression null.

Nulls that an operation produces by itself, such as a division by zero, do not count.
"""

from dsl.checker.lower import written_out
from dsl.tree import And, Call, Constant, If, In, Node, Not, Or, RowColumn, StoreFeature, children
from dsl.udfs import UdfFunction

Names = frozenset[str]


class NullsOf:
    """Row columns, or store features, whose null can make a node null; caches its results."""

    def __init__(self, *, of_store: bool = False) -> None:
        self._of_store = of_store
        self._known: dict[tuple[Node, frozenset[Node]], Names] = {}

    def __call__(self, node: Node, present: frozenset[Node] = frozenset()) -> Names:
        """The columns, or store features as columns, given that the nodes in `present` are not null."""
        key = (node, present)
        if key not in self._known:
            self._known[key] = frozenset() if node in present else self._of(node, present)
        return self._known[key]

    def _of(self, node: Node, present: frozenset[Node]) -> Names:
        match node:
            case Constant():
                return frozenset()
            case RowColumn():
                return frozenset() if self._of_store else frozenset({node.name})
            case StoreFeature() if self._of_store:
                return frozenset({node.column})
            case StoreFeature():
                return frozenset(column.name for _, column in node.keys)
            case If():
                then = self(node.then, present | _proved(node.condition))
                return then | self(node.otherwise, present | _refuted(node.condition))
            case Call(function=UdfFunction() as function):
                needed = [
                    self(argument, present)
                    for argument, optional in zip(node.arguments, function.optional, strict=True)
                    if not (optional and not function.gives_null)
                ]
                return frozenset().union(*needed)
            case Call() if node.function.handles_null:
                if node.function.definition and not node.function.fit:
                    return self(written_out(node), present)
                if node.function.partial is None:
                    return frozenset()
        return frozenset().union(*(self(child, present) for child in children(node)))


def _proved(condition: Node) -> frozenset[Node]:
    """Nodes that are not null if a condition is true."""
    match condition:
        case And():
            return frozenset().union(*map(_proved, condition.operands))
        case Not():
            return _refuted(condition.operand)
        case Or() | Constant():
            return frozenset()
        case Call() if condition.function.handles_null:
            return frozenset()
        case Call() | In():
            return frozenset(children(condition))
    return frozenset({condition})


def _refuted(condition: Node) -> frozenset[Node]:
    """Nodes that are not null if a condition is not true, which includes null."""
    match condition:
        case Call() if condition.function.name == "is_null":
            return frozenset(condition.arguments)
        case Not():
            return frozenset()
        case Or():
            return frozenset().union(*map(_refuted, condition.operands))
    return frozenset()
