"""Finds where a project's function would depend on the order of a set, which differs between processes.

The hash of a text is drawn anew by every Python process. So a function may ask a set for membership, size and equality;
it may build sets, change them and sort them; it must not iterate over one, pass it to other functions or return it.
Which values are sets is inferred from how they are written and from the names they are assigned to within a function.
"""

import ast
from collections.abc import Iterator

from dsl.udf_code.allowed_names import words

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
    """The uses of sets in a file where their order may matter."""
    constants = _Scope([node for node in tree.body if not isinstance(node, ast.FunctionDef)], frozenset())
    yield from constants.places()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from _Scope([node], frozenset(constants.names)).places()


class _Scope:
    """The sets of some statements; `names` are those assigned to one."""

    def __init__(self, statements: list[ast.stmt], outer: frozenset[str]) -> None:
        self.nodes = [node for statement in statements for node in ast.walk(statement)]
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.annotations = {
            id(part)
            for node in self.nodes
            for annotation in _annotations(node)
            for part in ast.walk(annotation)
        }
        self.names = set(outer)
        self.sets: set[ast.AST] = set()
        self.find()

    def find(self) -> None:
        """Find the sets and their names: what is one may make what holds it, or uses its name, one too."""
        uses: dict[str, list[ast.AST]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name):
                uses.setdefault(node.id, []).append(node)
        waiting = list(self.nodes)
        while waiting:
            node = waiting.pop()
            if node in self.sets or not self.is_made_a_set(node):
                continue
            self.sets.add(node)
            waiting += self.above(node)
            for name in self.given(node):
                if name not in self.names:
                    self.names.add(name)
                    waiting += uses.get(name, ())

    def places(self) -> Iterator[ast.AST]:
        """The sets whose order may matter."""
        for node in self.nodes:
            if id(node) in self.annotations:
                continue
            is_type = isinstance(node, ast.Name) and node.id in ("set", "frozenset")
            if (is_type and not self.is_type_use(node)) or (
                node in self.sets and not self.is_unordered_use(node)
            ):
                yield node

    def above(self, node: ast.AST) -> list[ast.AST]:
        """What may be a set because a node below is one; a copy is two levels above what is copied."""
        holder = self.parents.get(node)
        around = self.parents.get(holder) if holder else None
        return [each for each in (holder, around) if each is not None]

    def given(self, value: ast.AST) -> Iterator[str]:
        """The names that a value is assigned to."""
        holder = self.parents.get(value)
        match holder:
            case ast.Assign(value=given) if given is value:
                yield from (target.id for target in holder.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.NamedExpr(target=ast.Name(id=name)):
                yield name
            case ast.AugAssign(target=ast.Name(id=name)):
                yield name
            case ast.Tuple():
                place = holder.elts.index(value) if isinstance(value, ast.expr) else 0
                for target in self.unpacked(holder):
                    element = target.elts[place]
                    if isinstance(element, ast.Name):
                        yield element.id

    def unpacked(self, values: ast.Tuple) -> list[ast.Tuple]:
        """The tuples of names that a tuple of as many values is unpacked into; none if it is used in another way."""
        holder = self.parents.get(values)
        if not isinstance(holder, ast.Assign) or holder.value is not values:
            return []
        targets = [target for target in holder.targets if isinstance(target, ast.Tuple)]
        fitting = [target for target in targets if len(target.elts) == len(values.elts)]
        return fitting if len(fitting) == len(holder.targets) else []

    def is_made_a_set(self, node: ast.AST) -> bool:
        """Whether a node is recognisably a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in _MAKING:
                return True
            case ast.Call(func=ast.Attribute(value=value, attr="copy")):
                return value in self.sets
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ALGEBRA):
                return any(side in self.sets or _is_view(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return body in self.sets or orelse in self.sets
            case ast.BoolOp(values=values):
                return any(value in self.sets for value in values)
            case ast.NamedExpr(value=value):
                return value in self.sets
            case ast.Name(id=name, ctx=ast.Load()):
                return name in self.names
        return False

    def is_unordered_use(self, node: ast.AST) -> bool:
        """Whether a use of a set gives the same in any order."""
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
                return any(self.unpacked(parent)) and all(
                    isinstance(name, ast.Name) for target in self.unpacked(parent) for name in target.elts
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
    """Whether a node is a view of a dict; - | & ^ of it make sets."""
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
