"""Takes templates apart: their outlines, what is put out as it is, and what decides (see `share`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeGuard

from jinja2 import TemplateNotFound, nodes
from jinja2.meta import find_undeclared_variables

from invites.templating.environment import CAPTURED, is_escaped
from invites.templating.language import MARKERS
from invites.templating.views import (
    ATTENDEE,
    COLUMNS,
    FEW,
    GETTEXT,
    LINK,
    NAMES,
    NEVER_NONE,
    attributes,
)

if TYPE_CHECKING:
    from invites.templating.environment import LetterEnvironment

START, END = MARKERS[0], MARKERS[1]
PERSONAL = frozenset({ATTENDEE, COLUMNS, LINK})
"""The facts that differ from attendee to attendee."""

_FACTS = NAMES - FEW
_KNOWN = NAMES | GETTEXT
_SHOWN = {name: attributes(view) for name, view in NEVER_NONE.items()}
DECIDED = "_decided"


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """The place of a value: an expression, named as the template writes it or by its syntax tree.

    Where it is `escaped`, the value is HTML.  Equal only to itself, for hashing has to be quick.
    """

    name: str
    escaped: bool = False


Expressions = Mapping[Slot, nodes.Node]
"""Expressions, and statements that make text, by the slots that name them."""


Guards = tuple[nodes.Expr, ...]
"""Conditions that hold, each where those before it do, where a part of a template is reached."""

_CAPTURING = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock)
"""Statements whose body's text is not put out as it is."""

_IMPORTS = (nodes.Import, nodes.FromImport)
_BOUND_ELSEWHERE = (nodes.Block, *_IMPORTS, nodes.Macro, nodes.CallBlock)


class TakenApart:
    """Templates taken apart into outlines (`trees`), `slots` and what is `deciding`.

    `personal` are the slots that differ from attendee to attendee; `reads` has what each other one
    reads, and `plain` those that are what they read, as it stands.
    `untraceable` is true where the outlines would not tell all.
    """

    def __init__(self, environment: LetterEnvironment) -> None:
        """Read templates as `environment` does; `add` takes them apart."""
        self._environment = environment
        self.trees: dict[str, nodes.Template] = {}
        self.slots: dict[Slot, nodes.Node] = {}
        self.personal: set[Slot] = set()
        self.reads: dict[Slot, frozenset[Path]] = {}
        self.plain: dict[Slot, Path] = {}
        self._deciding: dict[Slot, nodes.Node] = {}
        self._reached: dict[Slot, set[Guards]] = {}
        self._guards: Guards = ()
        self._seen: set[tuple[str, str]] = set()
        self.untraceable = self.computes_columns = False

    def add(self, name: str) -> None:
        """Take a template apart, unless it is in no file: that is left to Jinja2 to report."""
        # Once more where it is reached in another way, so that all ways are known.
        if (name, repr(self._guards)) in self._seen:
            return
        self._seen.add((name, repr(self._guards)))
        try:
            tree = self.trees[name] = self._environment.tree(name)
        except TemplateNotFound:
            return
        self.untraceable |= not _KNOWN.isdisjoint(bound_names(tree))
        self._inside(tree, name, safe=not name.endswith(CAPTURED))

    @property
    def deciding(self) -> dict[Slot, nodes.Node]:
        """What decides; None in place of a value in a part of a template that is not reached."""
        return {slot: _where(self._reached[slot], node) for slot, node in self._deciding.items()}

    def _inside(
        self, node: nodes.Node, name: str, *, safe: bool, only: Collection[str] | None = None
    ) -> None:
        """Take apart what is in a node; `safe` where its text goes into the letter as it is."""
        for attribute, value in node.iter_fields(only=only):
            if isinstance(value, nodes.Node):
                setattr(node, attribute, self._outlined(value, name, safe=safe))
            elif isinstance(value, list):
                value[:] = [
                    self._outlined(item, name, safe=safe) if isinstance(item, nodes.Node) else item
                    for item in value
                ]

    def _outlined(self, node: nodes.Node, name: str, *, safe: bool) -> nodes.Node:
        """Return what stands for `node` in the outline."""
        match node:
            case nodes.Expr() if self._reads_facts_alone(node):
                return self._decides(node, name)
            case nodes.Output():
                node.nodes = [self._output(each, name, safe=safe) for each in node.nodes]
                return node
            case nodes.FilterBlock() | nodes.For() if safe and self._is_slot(node, name):
                return nodes.Output([self._slot(node, name)], lineno=node.lineno)
            case nodes.If() if self._reads_facts_alone(node.test):
                self._branches(node, name, safe=safe)
                return node
            case nodes.CondExpr() if self._reads_facts_alone(node.test):
                node.test = nodes.Not(nodes.Not(node.test, lineno=node.lineno), lineno=node.lineno)
            case nodes.Include() | nodes.Extends() | nodes.Import() | nodes.FromImport():
                # Without context, what is included is to fail where it reads facts.
                plain = not isinstance(node, _IMPORTS) and getattr(node, "with_context", True)
                self._refer(node, name, safe=safe and plain)
            case nodes.Name(name="self" | "super") | nodes.EvalContextModifier():
                self.untraceable = True
            case nodes.Block() if not safe:
                # What stands in this place may be another file's block, which looks plain there.
                self.untraceable = True
            case _:
                pass
        # `loop(...)` of a recursive loop gives its text to an expression, as a macro does.
        captures = isinstance(node, _CAPTURING) or (isinstance(node, nodes.For) and node.recursive)
        self._inside(node, name, safe=safe and not captures)
        return node

    def _branches(self, node: nodes.If, name: str, *, safe: bool) -> None:
        """Take the branches apart, each under the condition that it is reached by."""
        test, before = node.test, self._guards
        assert isinstance(test, nodes.Expr)  # noqa: S101 - what else can be asked
        node.test = self._decides(_truth(test), name)
        ways = ((test, ("body",)), (nodes.Not(test, lineno=node.lineno), ("elif_", "else_")))
        for guard, branches in ways:
            self._guards = before if guard in before else (*before, guard)
            self._inside(node, name, safe=safe, only=branches)
        self._guards = before

    def _output(self, node: nodes.Expr, name: str, *, safe: bool) -> nodes.Expr:
        if safe and _is_personal_message(node):
            return self._message(node, name)
        if safe and self._reads_facts_alone(node):
            return self._slot(node, name)
        if safe and _is_plain_super(node):
            return node
        outlined = self._outlined(node, name, safe=safe)
        assert isinstance(outlined, nodes.Expr)  # noqa: S101 - as it was
        return outlined

    def _message(self, node: nodes.Call, name: str) -> nodes.Expr:
        """Return a translated text with slots in place of the values that stand in it."""
        for keyword in node.kwargs:
            if self._reads_facts_alone(keyword.value):
                marker = self._slot(keyword.value, name).data
                keyword.value = nodes.Const(marker, lineno=node.lineno)
            else:
                keyword.value = self._output(keyword.value, name, safe=False)
        node.args = [self._output(each, name, safe=False) for each in node.args]
        return node

    def _slot(self, node: nodes.Node, name: str) -> nodes.TemplateData:
        path = _path(node)
        slot = self._named(".".join(path) if path else repr(node), name, self.slots, node)
        read = self._free(node, name, set()) or frozenset()
        if not PERSONAL.isdisjoint(read):
            self.personal.add(slot)
        elif any(node.find_all(nodes.Include)):
            self.reads[slot] = frozenset((fact,) for fact in read & _FACTS)
        else:
            self.reads[slot] = frozenset(_facts_read(node))
            if (fact := _fact(node)) is not None:
                self.plain[slot] = fact
        # A letter that computes with its link is looked at whole, by the checks of letters.
        self.untraceable |= LINK in read and path != (LINK,)
        self.computes_columns |= COLUMNS in read and path is None
        return nodes.TemplateData(f"{START}{list(self.slots).index(slot)}{END}")

    def _decides(self, node: nodes.Expr, name: str) -> nodes.Expr:
        slot = self._named(repr(node), name, self._deciding, node)
        self._reached.setdefault(slot, set()).add(self._guards)
        self.computes_columns |= any(path[0] == COLUMNS for path in paths(node))
        self.untraceable |= (LINK,) in paths(node)
        number = list(self._deciding).index(slot)
        at = nodes.Const(number, lineno=node.lineno)
        return nodes.Getitem(nodes.Name(DECIDED, "load"), at, "load", lineno=node.lineno)

    def _named(self, what: str, name: str, known: dict[Slot, nodes.Node], node: nodes.Node) -> Slot:
        """Return the one slot for all equal expressions in files that are escaped alike."""
        escaped = is_escaped(name)
        for slot in known:
            if (slot.name, slot.escaped) == (what, escaped):
                return slot
        slot = Slot(what, escaped)
        known[slot] = node
        return slot

    def _reads_facts_alone(self, node: nodes.Node) -> bool:
        names = _all(nodes.Name, node)
        return (
            all(each.ctx == "load" and each.name in _KNOWN for each in names)
            and any(each.name in _FACTS for each in names)
            and not isinstance(node, nodes.Slice | nodes.Helper)
            and all(each.node is not None for each in _all(nodes.Filter, node))
        )

    def _is_slot(self, node: nodes.FilterBlock | nodes.For, name: str) -> bool:
        read = self._free(node, name, set())
        if read is None or not read <= _KNOWN or read.isdisjoint(_FACTS):
            return False
        return isinstance(node, nodes.FilterBlock) or read.isdisjoint(PERSONAL)

    def _free(self, node: nodes.Node, name: str, seen: set[str]) -> frozenset[str] | None:
        """Return the names that `node` reads from outside; None where that can't be told."""
        if isinstance(node, nodes.Expr):
            return frozenset(each.name for each in _all(nodes.Name, node))
        if any(node.find_all((*_BOUND_ELSEWHERE, nodes.EvalContextModifier, nodes.Extends))):
            return None
        tree = node if isinstance(node, nodes.Template) else nodes.Template([node], lineno=1)
        if not _KNOWN.isdisjoint(bound_names(tree)):
            return None
        tree.set_environment(self._environment)
        read = frozenset(find_undeclared_variables(tree))
        for include in node.find_all(nodes.Include):
            names = constant_names(include.template)
            if names is None:
                return None
            for each in {self._environment.join_path(file, name) for file in names} - seen:
                seen.add(each)
                try:
                    more = self._free(self._environment.tree(each), each, seen)
                except TemplateNotFound:
                    continue
                if more is None:
                    return None
                read |= more
        return read

    def _refer(
        self,
        node: nodes.Include | nodes.Extends | nodes.Import | nodes.FromImport,
        name: str,
        *,
        safe: bool,
    ) -> None:
        names = constant_names(node.template)
        if names is None:
            self.untraceable = True
            return
        if not safe:
            names = [file + CAPTURED for file in names]
        constants: list[nodes.Expr] = [nodes.Const(file, lineno=node.lineno) for file in names]
        several = not (
            isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)
        )
        node.template = nodes.List(constants, lineno=node.lineno) if several else constants[0]
        for file in names:
            self.add(self._environment.join_path(file, name))


def _truth(node: nodes.Expr) -> nodes.Expr:
    """Return whether `node` holds: all that a condition tells of a value."""
    return nodes.Not(nodes.Not(node, lineno=node.lineno), lineno=node.lineno)


def _where(reached: Collection[Guards], node: nodes.Node) -> nodes.Node:
    """Return `node` as it is asked for where it is reached, and None elsewhere."""
    if () in reached or not isinstance(node, nodes.Expr):
        return node
    ways = [reduce(nodes.And, guards) for guards in reached]
    return nodes.CondExpr(reduce(nodes.Or, ways), node, nodes.Const(None), lineno=node.lineno)


Path = tuple[str, ...]
"""`("attendee", "name")`, `("columns", "phone")`, `("link",)`; `("attendee",)` is the whole."""


def _all(kind: type, node: nodes.Node) -> list[Any]:
    own = [node] if isinstance(node, kind) else []
    return [*own, *node.find_all(kind)]


def paths(node: nodes.Node) -> set[Path]:
    """Return what an expression reads of the attendee's facts."""
    path = _path(node)
    if path is not None:
        return {path}
    if isinstance(node, nodes.Name):
        return {(node.name,)} if node.name in PERSONAL else set()
    return {path for child in node.iter_child_nodes() for path in paths(child)}


def _facts_read(node: nodes.Node) -> set[Path]:
    """Return what is read of the facts: `("meeting", "title")`, or `("meeting",)` for all of it."""
    fact = _fact(node)
    if fact is not None:
        return {fact}
    return {path for child in node.iter_child_nodes() for path in _facts_read(child)}


def _fact(node: nodes.Node) -> Path | None:
    match node:
        case nodes.Getattr(node=nodes.Name(name=root), attr=name) if name in _SHOWN.get(root, ()):
            return (root, name)
        case nodes.Name(name=name) if name in _FACTS:
            return (name,)
        case _:
            return None


def _path(node: nodes.Node) -> Path | None:
    match node:
        case nodes.Name(name=name, ctx="load") if name == LINK:
            return (LINK,)
        case (
            nodes.Getattr(node=nodes.Name(name=root), attr=name)
            | nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(name)))
        ) if root in {ATTENDEE, COLUMNS}:
            return (root, name)
        case _:
            return None


def _is_personal_message(node: nodes.Expr) -> TypeGuard[nodes.Call]:
    """Tell whether `node` is a translated text with values of an attendee: `_("…", name=…)`."""
    match node:
        case nodes.Call(
            node=nodes.Name(name="_" | "gettext"), kwargs=[_, *_], dyn_args=None, dyn_kwargs=None
        ):
            return any(paths(keyword) for keyword in node.kwargs)
        case _:
            return False


def _is_plain_super(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "super"
        and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
    )


def bound_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template gives a meaning itself, anywhere in it."""
    names = {name.name for name in tree.find_all(nodes.Name) if name.ctx in {"store", "param"}}
    names |= {macro.name for macro in tree.find_all(nodes.Macro)}
    names |= {module.target for module in tree.find_all(nodes.Import)}
    for imported in tree.find_all(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in imported.names}
    return frozenset(names)


def constant_names(template: nodes.Expr) -> list[str] | None:
    """Return the names of the files that an include may mean; None where they are computed."""
    if isinstance(template, (nodes.Tuple, nodes.List)):
        items = [item.value for item in template.items if isinstance(item, nodes.Const)]
        return items if len(items) == len(template.items) else None
    match template:
        case nodes.Const(value=str(name)):
            return [name]
        case nodes.Const(value=tuple() | list() as names):
            return [str(name) for name in names]
        case _:
            return None
