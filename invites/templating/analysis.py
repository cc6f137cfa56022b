"""Reads templates' syntax trees: which names they use, and which values may be slots.

A value of the attendee may be a slot where every use of it is a bare output (`{{ attendee.name }}`)
in a place whose text nothing captures or transforms.
Whatever is not plainly so counts as computed with: that is always right, only slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import nodes

from invites.templating.environment import errors_located
from invites.templating.letters import LINK, TEXT_FIELDS
from invites.templating.sources import STYLES, Sources, is_html

if TYPE_CHECKING:
    from jinja2 import Environment

ATTENDEE = "attendee"
COLUMNS = "columns"
_ROOTS = frozenset({ATTENDEE, COLUMNS, LINK})
"""The names whose values differ from attendee to attendee within a variant."""

Path = tuple[str, ...]
"""`("attendee", "name")`, `("columns", "phone")`, `("link",)`; `("attendee",)` is the whole."""

_NEVER_EMPTY = frozenset({(ATTENDEE, "name"), (ATTENDEE, "email")})
"""What a subject may have as slots: its blanks are folded, and two could meet around nothing."""

_CAPTURING = (
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.AssignBlock,
    nodes.EvalContextModifier,
)
"""Statements whose body is captured, transformed or escaped in another way."""


@dataclass(slots=True)
class Uses:
    """What templates do with the attendee's values: `bare` outputs, and all that is `computed`."""

    bare: set[Path] = field(default_factory=set)
    computed: set[Path] = field(default_factory=set)
    untraceable: bool = False
    """True where a template's name is computed, or a block's text is captured: no slots at all."""

    def add(self, other: Uses, *, only_filled: bool = False) -> None:
        """Take over what `other` found; `only_filled` where a slot must never be empty."""
        self.bare |= other.bare
        self.computed |= other.computed
        if only_filled:
            self.computed |= other.bare - _NEVER_EMPTY
        self.untraceable |= other.untraceable

    def slots(self) -> frozenset[Path]:
        """Return the paths that may be slots: never computed with, nor their whole."""
        if self.untraceable:
            return frozenset()
        return frozenset(
            path for path in self.bare - self.computed if path[:1] not in self.computed
        )

    def used(self) -> frozenset[Path]:
        """Return everything used in any way."""
        return frozenset(self.bare | self.computed)


@dataclass(slots=True)
class Reference:
    """A template that another one includes, extends or imports; `safe` where it is plain output."""

    name: str
    safe: bool


class _Walk:
    """One walk through one template's tree."""

    def __init__(self) -> None:
        self.uses = Uses()
        self.references: list[Reference] = []

    def visit(self, node: nodes.Node, *, safe: bool) -> None:
        """Record the uses in `node`; `safe` where its text goes into the letter as it is."""
        match node:
            case nodes.Output():
                for output in node.nodes:
                    self._output(output, safe=safe)
                return
            case nodes.Include() | nodes.Extends():
                self._refer(node.template, safe=safe)
            case nodes.Import() | nodes.FromImport():
                self._refer(node.template, safe=False)
                self._bind(imported_names(node))
            case nodes.Name():
                self._name(node)
            case nodes.Getattr() | nodes.Getitem() if path := _path(node):
                self.uses.computed.add(path)
                return
            case nodes.Macro():
                self._bind({node.name})
            case nodes.Block() if not safe:
                # What stands in this place may be another file's block, which looks plain there.
                self.uses.untraceable = True
            case _:
                pass
        inner = safe and not _captures(node)
        for child in node.iter_child_nodes():
            self.visit(child, safe=inner)

    def _output(self, node: nodes.Node, *, safe: bool) -> None:
        path = _path(node)
        if path and safe and _may_be_slot(path):
            self.uses.bare.add(path)
        elif not (safe and _is_plain_super(node)):
            self.visit(node, safe=safe)

    def _name(self, node: nodes.Name) -> None:
        if node.name in _ROOTS:
            self.uses.computed.add((node.name,))
        elif node.name in {"self", "super"}:
            self.uses.untraceable = True

    def _bind(self, names: set[str]) -> None:
        """Take note that a template gives names a meaning itself: ours are not ours then."""
        self.uses.computed |= {(name,) for name in names & _ROOTS}

    def _refer(self, template: nodes.Expr, *, safe: bool) -> None:
        names = _constant_names(template)
        if names is None:
            self.uses.untraceable = True
            return
        self.references += [Reference(name, safe) for name in names]


def _captures(node: nodes.Node) -> bool:
    """`loop(...)` of a recursive loop gives its text to an expression, as a macro does."""
    return isinstance(node, _CAPTURING) or (isinstance(node, nodes.For) and node.recursive)


def _path(node: nodes.Node) -> Path | None:
    match node:
        case nodes.Name(name=name, ctx="load") if name == LINK:
            return (LINK,)
        case nodes.Getattr(node=nodes.Name(name=root), attr=attr) if root in {ATTENDEE, COLUMNS}:
            return (root, attr)
        case nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(item))) if (
            root in {ATTENDEE, COLUMNS}
        ):
            return (root, item)
        case _:
            return None


def _may_be_slot(path: Path) -> bool:
    return path[0] != ATTENDEE or path[1] in TEXT_FIELDS


def _is_plain_super(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "super"
        and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
    )


def imported_names(node: nodes.Import | nodes.FromImport) -> set[str]:
    """Return the names under which a template can use what it imports."""
    if isinstance(node, nodes.Import):
        return {node.target}
    return {name if isinstance(name, str) else name[1] for name in node.names}


def _constant_names(template: nodes.Expr) -> list[str] | None:
    match template:
        case nodes.Const(value=str(name)):
            return [name]
        case nodes.Const(value=tuple() | list() as names):
            return [str(name) for name in names]
        case nodes.Tuple(items=items) | nodes.List(items=items):
            return (
                [i.value for i in items if isinstance(i, nodes.Const)]
                if all(isinstance(i, nodes.Const) for i in items)
                else None
            )
        case _:
            return None


class Trees(Mapping[str, nodes.Template]):
    """The syntax trees of all templates by name; each is parsed when it is first asked for."""

    def __init__(self, sources: Sources, environment: Environment) -> None:
        """Parse what is in `sources` as `environment` reads it."""
        self._sources = sources
        self._environment = environment
        self._parsed: dict[str, nodes.Template] = {}

    def __getitem__(self, name: str) -> nodes.Template:
        """Return a template's tree; raises TemplateError with file and line."""
        tree = self._parsed.get(name)
        if tree is None:
            if name not in self:
                raise KeyError(name)
            file = self._sources.files[name]
            with errors_located(self._sources.files, reason_shown=True):
                tree = self._environment.parse(file.source, name, str(file.path))
            self._parsed[name] = tree
        return tree

    def __iter__(self) -> Iterator[str]:
        """Go through the names of all templates."""
        return (name for name in self._sources.files if name != STYLES)

    def __len__(self) -> int:
        """Return how many templates there are."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a template of this name, without parsing it."""
        return name != STYLES and name in self._sources.files


def uses_of(entry: str, trees: Trees) -> Uses:
    """Return how the template `entry` and all that it refers to use the attendee's values.

    A file that is escaped otherwise than `entry` counts as captured.
    Names that are in no file are left to Jinja2, which reports them.
    """
    found = Uses()
    seen: set[tuple[str, bool]] = set()
    waiting = [Reference(entry, safe=True)]
    while waiting:
        reference = waiting.pop()
        name, safe = reference.name, reference.safe and is_html(reference.name) == is_html(entry)
        if (name, safe) in seen or name not in trees:
            continue
        seen.add((name, safe))
        walk = _Walk()
        walk.visit(trees[name], safe=safe)
        found.add(walk.uses)
        waiting += walk.references
    return found


def closure_of(entry: str, trees: Trees) -> list[str]:
    """Return `entry` and the names of all files that it refers to, by names that are constant."""
    found: list[str] = []
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in found or name not in trees:
            continue
        found.append(name)
        walk = _Walk()
        walk.visit(trees[name], safe=True)
        waiting += [reference.name for reference in walk.references]
    return found
