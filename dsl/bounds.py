"""Bounds of whole-number expressions, which tell where 64 bits may not be enough and a check is needed."""

from dsl.tree import Call, Constant, If, Node
from dsl.types import INT_BOUNDS, IntBounds, Type


class BoundsOf:
    """Least and greatest value of every int node of some trees; remembers what it worked out."""

    def __init__(self) -> None:
        self._known: dict[Node, IntBounds | None] = {}

    def __call__(self, node: Node) -> IntBounds | None:
        """Bounds of the node's value, held to 64 bits; other types have none."""
        if node not in self._known:
            self._known[node] = self._held(node)
        return self._known[node]

    def _held(self, node: Node) -> IntBounds | None:
        if node.type != Type.INT:
            return None
        low, high = self.unlimited(node)
        return max(low, INT_BOUNDS[0]), min(high, INT_BOUNDS[1])

    def unlimited(self, node: Node) -> IntBounds:
        """Bounds of an int node before its result is held to 64 bits."""
        match node:
            case Constant(value=int() as value):
                return value, value
            case If():
                sides = [bounds for bounds in (self(node.then), self(node.otherwise)) if bounds]
                return min(low for low, _ in sides), max(high for _, high in sides)
            case Call() if node.function.bounds:
                return node.function.bounds(*(self(argument) for argument in node.arguments))
        return INT_BOUNDS

    def overflows(self, node: Node) -> bool:
        """Whether an int node's result may not fit in 64 bits."""
        low, high = self.unlimited(node)
        return low < INT_BOUNDS[0] or high > INT_BOUNDS[1]

    def partial(self, node: Call) -> bool:
        """Whether the call may be null though no argument is."""
        if node.function.partial is None:
            return False
        return node.function.partial(*(self(argument) for argument in node.arguments))
