"""Bounds of whole-number expressions, which tell where a result may not fit in 64 bits and needs a check."""

from dsl.tree import Call, Constant, If, Node
from dsl.types import INT_BOUNDS, IntBounds, Type


class BoundsOf:
    """Least and greatest value of every int node of some trees; caches its results."""

    def __init__(self) -> None:
        self._known: dict[Node, IntBounds | None] = {}

    def __call__(self, node: Node) -> IntBounds | None:
        """Bounds of the node's value, clipped to 64 bits; None for other types."""
        if node not in self._known:
            self._known[node] = self._held(node)
        return self._known[node]

    def _held(self, node: Node) -> IntBounds | None:
        if node.type != Type.INT:
            return None
        low, high = self.unlimited(node)
        return max(low, INT_BOUNDS[0]), min(high, INT_BOUNDS[1])

    def unlimited(self, node: Node) -> IntBounds:
        """Bounds of an int node before its result is clipped to 64 bits."""
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
