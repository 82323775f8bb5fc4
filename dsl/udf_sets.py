"""Where a function of a project would depend on the order of a set, which is another in every process.

The hash of a text is drawn anew by every Python process. A set may therefore be asked what is in it, how many there
are and whether it equals another; it may be made of sets, changed, and sorted; it may not be gone through, handed to
other functions or given back. Which values are sets is told from how they are written and from the names they are
given within a function.
"""

import ast
from collections.abc import Iterator

from dsl.udf_names import words

_MAKING = words("union intersection difference symmetric_difference")
_ASKING = _MAKING | words(
    """
    isdisjoint issubset issuperset add clear copy discard remove update difference_update intersection_update
    symmetric_difference_update
    """
)
_TAKING = words("all any bool frozenset isinstance len max min set sorted")
_ALGEBRA = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)


def places_of_order(tree: ast.Module) -> Iterator[ast.AST]:
    """The sets of a file that are used in a way in which their order may count."""
    constants = _Scope([node for node in tree.body if not isinstance(node, ast.FunctionDef)], frozenset())
    yield from constants.places()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from _Scope([node], constants.names).places()


class _Scope:
    """The sets of some statements; names are those that stand for one."""

    def __init__(self, statements: list[ast.stmt], outer: frozenset[str]) -> None:
        self.nodes = [node for statement in statements for node in ast.walk(statement)]
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.annotations = {
            id(part)
            for node in self.nodes
            for annotation in _annotations(node)
            for part in ast.walk(annotation)
        }
        self.names = outer
        while more := {name for node in self.nodes for name in self.named(node)} - self.names:
            self.names |= more

    def places(self) -> Iterator[ast.AST]:
        """The sets whose order may count."""
        for node in self.nodes:
            if id(node) in self.annotations:
                continue
            is_type = isinstance(node, ast.Name) and node.id in ("set", "frozenset")
            if (is_type and not self.is_type_use(node)) or (
                self.is_set(node) and not self.is_unordered_use(node)
            ):
                yield node

    def named(self, node: ast.AST) -> Iterator[str]:
        """The names that a node gives to sets."""
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        match node:
            case ast.Assign():
                pairs = [(target, node.value) for target in node.targets]
            case ast.AnnAssign() | ast.NamedExpr() | ast.AugAssign():
                pairs = [(node.target, node.value)]
        for target, value in pairs:
            match target, value:
                case ast.Name(id=name), ast.expr() if self.is_set(value):
                    yield name
                case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                    for each, part in zip(targets, values, strict=True):
                        if isinstance(each, ast.Name) and self.is_set(part):
                            yield each.id

    def is_set(self, node: ast.AST) -> bool:
        """Whether a node can be seen to be a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in _MAKING:
                return True
            case ast.Call(func=ast.Attribute(value=value, attr="copy")):
                return self.is_set(value)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ALGEBRA):
                return any(self.is_set(side) or _is_view(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.BoolOp(values=values):
                return any(map(self.is_set, values))
            case ast.NamedExpr(value=value):
                return self.is_set(value)
            case ast.Name(id=name, ctx=ast.Load()):
                return name in self.names
        return False

    def is_unordered_use(self, node: ast.AST) -> bool:
        """Whether what is done with a set is the same in any order."""
        parent = self.parents.get(node)
        match parent:
            case ast.Compare() | ast.BoolOp() | ast.NamedExpr() | ast.UnaryOp(op=ast.Not()) | ast.Expr():
                return True
            case ast.BinOp(op=op) | ast.AugAssign(op=op):
                return isinstance(op, _ALGEBRA)
            case ast.Assign() | ast.AnnAssign():
                targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
                return all(isinstance(target, ast.Name) for target in targets)
            case ast.Tuple():
                assigned = self.parents.get(parent)
                return (
                    isinstance(assigned, ast.Assign)
                    and assigned.value is parent
                    and all(
                        isinstance(target, ast.Tuple)
                        and len(target.elts) == len(parent.elts)
                        and all(isinstance(each, ast.Name) for each in target.elts)
                        for target in assigned.targets
                    )
                )
            case ast.If() | ast.While() | ast.Assert() | ast.IfExp():
                return True
            case ast.comprehension():
                return node in parent.ifs
            case ast.Attribute(attr=attr):
                return attr in _ASKING
            case ast.Call(func=ast.Name(id=name)):
                is_keyed = any(keyword.arg in ("key", None) for keyword in parent.keywords)
                return name in _TAKING and not is_keyed
            case ast.Call(func=ast.Attribute(attr=attr)):
                return attr in _ASKING
        return False

    def is_type_use(self, node: ast.AST) -> bool:
        """Whether the name of the type is called, asked for with isinstance, or owns the method that is used."""
        match self.parents.get(node):
            case ast.Call(func=func) if func is node:
                return True
            case ast.Call(func=ast.Name(id="isinstance")) | ast.Attribute():
                return True
            case ast.Tuple() as several:
                match self.parents.get(several):
                    case ast.Call(func=ast.Name(id="isinstance")):
                        return True
        return False


def _is_view(node: ast.AST) -> bool:
    """Whether a node is the view of a dict, of which - | & ^ make sets."""
    match node:
        case ast.Call(func=ast.Attribute(attr="keys" | "items")):
            return True
    return False


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.arg(annotation=ast.expr() as annotation):
            yield annotation
        case ast.AnnAssign(annotation=annotation):
            yield annotation
        case ast.FunctionDef(returns=ast.expr() as annotation):
            yield annotation
