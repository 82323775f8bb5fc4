"""Checks one expression: resolves names in the schema, infers types, and reports every mistake with its position."""

import ast
import math
from collections.abc import Mapping

from dsl.checker.application import Application, Typed, conversion_hint, kind_of, listed
from dsl.checker.parse import Source
from dsl.checker.resolve import Null, common_type, convert
from dsl.errors import LanguageError
from dsl.functions import names, overloads
from dsl.schema import AGE, Schema
from dsl.signature import Function
from dsl.tree import And, Constant, If, In, Node, Not, Or, RowColumn, StoreFeature
from dsl.types import INT_BOUNDS, LISTS, NUMBERS, Type, is_text, nearest

OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
NOT_IN_THE_LANGUAGE: dict[type, tuple[str, str | None]] = {
    ast.Lambda: ("functions cannot be made in an expression", None),
    ast.ListComp: ("comprehensions are not part of the language", None),
    ast.SetComp: ("comprehensions are not part of the language", None),
    ast.DictComp: ("comprehensions are not part of the language", None),
    ast.GeneratorExp: ("comprehensions are not part of the language", None),
    ast.JoinedStr: ("f-strings are not part of the language", None),
    ast.NamedExpr: ("an expression cannot assign", None),
    ast.Subscript: (
        "square brackets do not select",
        "write row.name, store.group.feature or element(list, 0)",
    ),
    ast.Tuple: ("a tuple is not a value", "write a list: [a, b]"),
    ast.Set: ("a set is not a value", "write value in [a, b]"),
    ast.Dict: ("a dictionary is not a value", None),
}


class Checker(Application):
    """Checks one expression; `errors` collects every mistake.

    `names` are further names that may be used, with their nodes, None where a mistake in one was already reported.
    `is_definition` says whether the expression is the definition of a function, which may also call internal functions.
    """

    def __init__(
        self,
        source: Source,
        schema: Schema,
        names: Mapping[str, Node | None] | None = None,
        is_definition: bool = False,
    ) -> None:
        self.source = source
        self.schema = schema
        self.names = names or {}
        self.is_definition = is_definition
        functions = schema.udfs.functions.values() if schema.udfs else ()
        self.udfs: dict[str, Function] = {function.name: function for function in functions}
        self.errors: list[LanguageError] = []

    def root(self, body: ast.expr) -> Node | None:
        """The checked tree of a whole expression, or None if there are errors."""
        checked = self.node(body)
        if isinstance(checked, Null):
            return self.fail(body, "the value is always null, so it has no type")
        return None if self.errors else checked

    def node(self, node: ast.expr) -> Node | Null | None:
        """The checked tree of a part."""
        match node:
            case ast.Constant():
                return self.constant(node, node.value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return self.constant(node, -value) if not isinstance(value, bool) else self.unary(node)
            case ast.Attribute():
                return self.accessor(node)
            case ast.Name():
                return self.name(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.BoolOp():
                return self.logical(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.IfExp():
                return self.conditional(node)
            case ast.Call():
                return self.call(node)
            case ast.List():
                return self.list_literal(node)
        message, suggestion = NOT_IN_THE_LANGUAGE.get(
            type(node), ("this kind of expression is not part of the language", None)
        )
        return self.fail(node, message, suggestion)

    def constant(self, node: ast.expr, value: object) -> Node | Null | None:
        """A literal."""
        match value:
            case None:
                return Null()
            case bool():
                return Constant(value, Type.BOOL)
            case int():
                if not INT_BOUNDS[0] <= value <= INT_BOUNDS[1]:
                    return self.fail(
                        node, "the number does not fit in 64 bits", "write it as a float, such as 1e19"
                    )
                return Constant(value, Type.INT)
            case float():
                if not math.isfinite(value):
                    return self.fail(node, "the number is too large for a float")
                return Constant(value + 0.0, Type.FLOAT)
            case str():
                if not is_text(value):
                    return self.fail(
                        node, "half of a surrogate pair is not text", "write the whole character"
                    )
                return Constant(value, Type.STR)
        return self.fail(
            node, f"a literal of Python's type {type(value).__name__} is not part of the language"
        )

    def list_literal(self, node: ast.List) -> Node | None:
        """A list literal `[a, b]`; its items may be null."""
        if not node.elts:
            return self.fail(node, "the list is empty, so it has no type")
        items = [self.node(item) for item in node.elts]
        for item, checked in zip(node.elts, items, strict=True):
            if checked is not None and not isinstance(checked, Constant | Null):
                return self.fail(item, "only literals can be listed")
            if isinstance(checked, Constant) and checked.type.item:
                return self.fail(item, "a list holds no lists")
        present = [item for item in items if isinstance(item, Constant)]
        if len(present) < sum(not isinstance(item, Null) for item in items):
            return None
        if not present:
            return self.fail(node, "the list holds only null, so it has no type")
        common = common_type({item.type for item in present})
        if common is None:
            listed = " and ".join(sorted({item.type for item in present}))
            return self.fail(node, f"a list holds values of one type, not {listed}")
        converted = [convert(item, common) for item in items if item is not None]
        values = tuple(item.value for item in converted if isinstance(item, Constant))
        return Constant(values, LISTS[common])

    def accessor(self, node: ast.Attribute) -> Node | None:
        """row.name, store.group.feature or store.group(entity=row.name).feature."""
        match node.value:
            case ast.Name(id="row"):
                return self.row_input(node)
            case ast.Attribute(value=ast.Name(id="store"), attr=group):
                return self.store_input(node, node.value, group)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="store"), attr=group) as named) as call:
                return self.store_input(node, named, group, call)
            case ast.Name(id="udfs"):
                return self.fail(node, f"udfs.{node.attr} is a function", f"write udfs.{node.attr}(…)")
            case ast.Name(id="store"):
                return self.fail(
                    node, "a feature of the group is missing", f"write store.{node.attr}.feature"
                )
        return self.fail(
            node, "only row and store have names after a dot", "write row.name or store.group.feature"
        )

    def row_input(self, node: ast.Attribute) -> Node | None:
        """row.name."""
        name = node.attr
        if name in self.schema.barred:
            return self.fail(node, f"row.{name} {self.schema.barred[name]}")
        if name in self.schema.row:
            return RowColumn(name, Type(self.schema.row[name]))
        near = nearest(name, self.schema.row)
        return self.fail(
            node,
            f"the row has no column {name!r}",
            f"did you mean row.{near}?" if near else f"it has {listed(self.schema.row)}",
        )

    def store_input(
        self, node: ast.Attribute, named: ast.expr, group: str, call: ast.Call | None = None
    ) -> Node | None:
        """A feature of the store. `call` states keys; the others are the row columns of the same names."""
        if group not in self.schema.store:
            near = nearest(group, self.schema.store)
            return self.fail(
                named,
                f"the store has no feature group {group!r}",
                f"did you mean store.{near}?" if near else f"it has {listed(self.schema.store)}",
            )
        schema = self.schema.store[group]
        stated = self.stated_keys(call, group, schema.entity) if call else {}
        features = {**schema.features, AGE: Type.FLOAT}
        if node.attr not in features:
            near = nearest(node.attr, features)
            return self.fail(
                node,
                f"feature group {group!r} has no feature {node.attr!r}",
                f"did you mean store.{group}.{near}?" if near else f"it has {listed(schema.features)}",
            )
        if stated is None:
            return None
        keys = []
        for entity, kind in schema.entity.items():
            column = stated.get(entity) or self.key_by_name(node, group, entity, kind)
            if column is None:
                return None
            keys.append((entity, column))
        return StoreFeature(schema.name or group, node.attr, tuple(keys), Type(features[node.attr]))

    def key_by_name(self, node: ast.expr, group: str, entity: str, kind: str) -> RowColumn | None:
        """The row column with the name and type of an entity."""
        found = self.schema.row.get(entity)
        if entity in self.schema.barred:
            self.fail(
                node,
                f"feature group {group!r} is looked up by row.{entity}, which {self.schema.barred[entity]}",
                f"state another column that holds it: store.{group}({entity}=row.…)",
            )
            return None
        if found == kind:
            return RowColumn(entity, Type(kind))
        has = f"it has row.{entity} of type {found}" if found else f"the row has no column {entity!r}"
        self.fail(
            node,
            f"feature group {group!r} is looked up by row.{entity} of type {kind}, but {has}",
            f"state the column that holds it: store.{group}({entity}=row.…)",
        )
        return None

    def stated_keys(
        self, call: ast.Call, group: str, entity: Mapping[str, str]
    ) -> dict[str, RowColumn] | None:
        """The row columns of `store.group(entity=row.name)`, or None if a mistake was reported."""
        stated: dict[str, RowColumn] = {}
        form = f"store.{group}({', '.join(f'{name}=row.…' for name in entity)})"
        before = len(self.errors)
        for argument in call.args:
            self.fail(argument, "a key is stated with the name of its entity", f"write {form}")
        if not (call.args or call.keywords):
            self.fail(call, "no key is stated in the brackets", f"write {form}, or leave them out")
        for keyword in call.keywords:
            name = keyword.arg
            if name is None:
                self.fail(keyword, "keys cannot be unpacked with **", f"write {form}")
            elif name not in entity:
                near = nearest(name, entity)
                self.fail(
                    keyword,
                    f"the entity of feature group {group!r} has no {name!r}",
                    f"did you mean {near}=?" if near else f"it is {listed(entity)}",
                )
            elif name in stated:
                self.fail(keyword, f"the key {name} is stated twice")
            else:
                self.stated_key(keyword.value, name, group, entity[name], stated)
        return stated if len(self.errors) == before else None

    def stated_key(
        self, node: ast.expr, name: str, group: str, kind: str, stated: dict[str, RowColumn]
    ) -> None:
        """Add the row column of one stated key to `stated`, or report why it cannot be one."""
        value = self.node(node)
        if isinstance(value, RowColumn):
            stated[name] = value
            if value.type != kind:
                self.fail(
                    node, f"{name} of feature group {group!r} is {kind}, but row.{value.name} is {value.type}"
                )
        elif value is not None:
            self.fail(
                node,
                "a key is a column of the row",
                f"write {name}=row.name; compute other keys in the table",
            )

    def name(self, node: ast.Name) -> Node | None:
        """A bare name: another expression, or a parameter inside a definition."""
        if node.id in self.names:
            return self.names[node.id]
        if node.id in ("row", "store"):
            return self.fail(node, f"{node.id} alone is not a value", "write row.name or store.group.feature")
        if node.id in self.schema.row:
            return self.fail(node, f"the name {node.id!r} is not known", f"did you mean row.{node.id}?")
        words = {"true": "True", "false": "False", "null": "None", "nan": "None"}
        if node.id.lower() in words:
            return self.fail(
                node, f"the name {node.id!r} is not known", f"did you mean {words[node.id.lower()]}?"
            )
        said = {name: f"{name}(…)" for name in names()}
        said |= {name: f"row.{name}" for name in self.schema.row} | {name: name for name in self.names}
        near = nearest(node.id, said)
        return self.fail(
            node,
            f"the name {node.id!r} is not known",
            f"did you mean {said[near]}?" if near else "columns are written row.name",
        )

    def binary(self, node: ast.BinOp) -> Node | Null | None:
        """An arithmetic operator."""
        left, right = self.node(node.left), self.node(node.right)
        symbol = OPERATORS.get(type(node.op))
        if symbol is None:
            return self.fail(node, "this operator is not part of the language", "there are + - * / // % **")
        return self.apply(node, symbol, [left, right])

    def unary(self, node: ast.UnaryOp) -> Node | Null | None:
        """not, or a sign."""
        operand = self.node(node.operand)
        match node.op:
            case ast.Not():
                checked = self.condition(node.operand, operand, "not")
                return Not(checked) if checked else None
            case ast.USub():
                return self.apply(node, "-", [operand])
            case ast.UAdd():
                if isinstance(operand, Null) or operand is None or operand.type in NUMBERS:
                    return operand
                return self.fail(node, f"+ needs a number, not {operand.type}")
        return self.fail(node, "this operator is not part of the language", "there are + - * / // % **")

    def condition(self, node: ast.expr, checked: Node | Null | None, word: str) -> Typed:
        """A checked part as a condition."""
        if isinstance(checked, Null):
            return Constant(None, Type.BOOL)
        if checked is not None and checked.type != Type.BOOL:
            hint = {Type.INT: "compare it, such as with != 0", Type.FLOAT: "compare it, such as with != 0"}
            return self.fail(
                node,
                f"{word} needs true or false, not {checked.type}",
                hint.get(checked.type, "write a comparison"),
            )
        return checked

    def logical(self, node: ast.BoolOp) -> Node | None:
        """and, or."""
        word = "and" if isinstance(node.op, ast.And) else "or"
        operands = [self.condition(value, self.node(value), word) for value in node.values]
        present = tuple(operand for operand in operands if operand is not None)
        if len(present) < len(operands):
            return None
        return And(present) if word == "and" else Or(present)

    def conditional(self, node: ast.IfExp) -> Node | Null | None:
        """then if condition else otherwise."""
        condition = self.condition(node.test, self.node(node.test), "if")
        then, otherwise = self.node(node.body), self.node(node.orelse)
        if condition is None or then is None or otherwise is None:
            return None
        if isinstance(then, Null) and isinstance(otherwise, Null):
            return then
        kinds = {side.type for side in (then, otherwise) if not isinstance(side, Null)}
        common = common_type(kinds)
        if common is None:
            return self.fail(
                node,
                f"both values of an if must be of one type, not {kind_of(then)} and {kind_of(otherwise)}",
                conversion_hint(kinds),
            )
        return If(condition, convert(then, common), convert(otherwise, common), common)

    def comparison(self, node: ast.Compare) -> Node | None:
        """A chain of comparisons: each link is one, and all must hold."""
        parts: list[Typed] = []
        left, left_checked = node.left, self.node(node.left)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                parts.append(self.membership(node, left_checked, right, isinstance(operator, ast.NotIn)))
                left_checked = None
            else:
                checked = self.node(right)
                parts.append(self.link(node, operator, left, left_checked, right, checked))
                left, left_checked = right, checked
        present = tuple(part for part in parts if part is not None)
        if len(present) < len(parts):
            return None
        return present[0] if len(present) == 1 else And(present)

    def link(
        self,
        node: ast.Compare,
        operator: ast.cmpop,
        left: ast.expr,
        left_checked: Node | Null | None,
        right: ast.expr,
        right_checked: Node | Null | None,
    ) -> Typed:
        """One comparison of a chain."""
        for side, other, checked in ((right, left, right_checked), (left, right, left_checked)):
            if isinstance(checked, Null):
                said = ast.get_source_segment(f"(\n{self.source.text}\n)", other)
                negated = "not " if isinstance(operator, ast.NotEq | ast.IsNot) else ""
                return self.fail(
                    side, "a comparison with None is always null", f"write {negated}is_null({said or '…'})"
                )
        if isinstance(operator, ast.Is | ast.IsNot):
            return self.fail(node, "`is` is not part of the language", "write ==, or is_null(…)")
        result = self.apply(node, OPERATORS[type(operator)], [left_checked, right_checked])
        return None if isinstance(result, Null) else result

    def membership(
        self, node: ast.Compare, operand: Node | Null | None, right: ast.expr, is_negated: bool
    ) -> Typed:
        """value in [literals], or value in a list."""
        if len(node.ops) > 1:
            return self.fail(node, "`in` cannot be part of a chain", "put brackets around it")
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            items_checked = self.node(right)
            if items_checked is None or operand is None:
                return None
            if isinstance(items_checked, Null) or not items_checked.type.item:
                return self.fail(right, "`in` needs a list", "write value in [a, b], or contains(text, part)")
            found = self.apply(node, "contains", [items_checked, operand])
            if found is None or isinstance(found, Null):
                return None
            return Not(found) if is_negated else found
        if not right.elts:
            return self.fail(right, "the list is empty")
        items = [self.node(item) for item in right.elts]
        constants = []
        for item, checked in zip(right.elts, items, strict=True):
            if isinstance(checked, Constant):
                constants.append(checked)
            elif checked is not None:
                what = (
                    "null is not a member of a list"
                    if isinstance(checked, Null)
                    else "only literals can be listed"
                )
                self.fail(item, what, "write is_null(…)" if isinstance(checked, Null) else "compare with ==")
        if len(constants) < len(items) or operand is None:
            return None
        if isinstance(operand, Null):
            return self.fail(node.left, "null is in no list")
        common = common_type({operand.type, *(constant.type for constant in constants)})
        if common is None:
            listed = " and ".join(sorted({constant.type for constant in constants}))
            return self.fail(node, f"the list holds {listed}, but the value is {operand.type}")
        values = []
        for constant in constants:
            converted = convert(constant, common)
            if (
                isinstance(converted, Constant)
                and converted.value is not None
                and converted.value not in values
            ):
                values.append(converted.value)
        checked_in = In(convert(operand, common), tuple(values))
        return Not(checked_in) if is_negated else checked_in

    def call(self, node: ast.Call) -> Node | Null | None:
        """A function call."""
        match node.func:
            case ast.Attribute(value=ast.Name(id="store"), attr=group):
                return self.fail(node, "a feature of the group is missing", f"write store.{group}(…).feature")
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="store"), attr=group), attr=feature):
                return self.fail(
                    node, "keys are stated behind the group", f"write store.{group}(…).{feature}"
                )
            case ast.Attribute(value=ast.Name(id="udfs")):
                name = f"udfs.{node.func.attr}"
            case ast.Name():
                name = node.func.id
            case _:
                self.node(node.func)
                return self.fail(
                    node.func, "only functions can be called", "values have no methods: write lower(x)"
                )
        positional = [self.node(argument) for argument in node.args if not isinstance(argument, ast.Starred)]
        keywords = {keyword.arg or "**": self.node(keyword.value) for keyword in node.keywords}
        known = (*names(), *self.udfs)
        if name not in known and not (self.is_definition and overloads(name)):
            near = nearest(name, known)
            return self.fail(
                node.func,
                f"there is no function {name!r}",
                f"did you mean {near}(…)?" if near else "the reference page lists all functions",
            )
        if len(positional) < len(node.args) or "**" in keywords:
            return self.fail(node, "arguments cannot be unpacked with * or **", "write each argument")
        if len(keywords) < len(node.keywords):
            return self.fail(node, "a keyword argument is given twice")
        return self.apply(node, name, positional, keywords)
