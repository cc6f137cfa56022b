r"""What the attendees of a meeting have in common is rendered once, and the rest is filled in.

To render a template takes a hundred times as long as to join strings.  So a letter is rendered
once, with a marker in place of each value that differs from attendee to attendee, and is cut at
the markers.  An example:

    the template     Hello {{ attendee.name }}! {% if attendee.moderator %}You lead.{% endif %}
    rendered         Hello \x010\x02! You lead.
    shared           ("Hello ", Slot("name"), "! You lead.")
    filled for Ada   Hello Ada! You lead.

A value may be such a slot only where every template that uses it puts it out bare, as `name` here.
Whatever else happens to a value, anywhere, makes it *computed*: a filter, a test, a condition (as
`moderator` here), an expression, a block whose text is captured.  Attendees whose computed values
are equal have equal *keys*, and share one rendering.

The templates' syntax trees tell which is which.  What is not plainly bare counts as computed: that
is always right, only slower.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from jinja2 import nodes

from invites.errors import TemplateError
from invites.templating.context import (
    LINK,
    MARKERS,
    TEXT_FIELDS,
    column_of,
    one_line,
    part_files,
    plain,
)
from invites.templating.sources import is_html

if TYPE_CHECKING:
    from invites.model import Attendee, Kind

ATTENDEE = "attendee"
COLUMNS = "columns"
COLUMN = f"{COLUMNS}."
_ROOTS = frozenset({ATTENDEE, COLUMNS, LINK})
"""The names whose values differ from attendee to attendee."""

Trees = Mapping[str, nodes.Template]
"""The syntax trees of templates, by their names."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one attendee's value in a shared letter.

    `name` is a field of the attendee (`name`, `email`, `avatar`, `user_id`, `group`), `link`, or
    `columns.` and the name of one of the roster's own columns.
    """

    name: str

    def value(self, attendee: Attendee, link: str) -> str:
        """Return what stands here for `attendee`: raw, so still to be escaped in HTML.

        Raises KeyError where the roster lacks the column.
        """
        if self.name == LINK:
            return link
        if self.name.startswith(COLUMN):
            name = self.name.removeprefix(COLUMN)
            text = column_of(attendee.columns, name)
            if text is None:
                raise KeyError(name)
            return plain(text)
        return one_line(getattr(attendee, self.name))


Part = tuple[str | Slot, ...]
"""Text with slots: strings that are never empty, and no two of them in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLetter:
    """One rendering for all attendees of a meeting with equal keys, with slots for the rest.

    A slot's value goes raw into `subject`, `text` and `notes`, and HTML-escaped
    (`markupsafe.escape`) into `html`.
    Where a template computes with the link, the texts hold a live one.
    """

    subject: Part = field(repr=False)
    text: Part = field(repr=False)
    html: Part = field(repr=False)
    notes: Part = field(repr=False)

    @property
    def slots(self) -> frozenset[Slot]:
        """The slots that occur in any part."""
        parts = (self.subject, self.text, self.html, self.notes)
        return frozenset(piece for part in parts for piece in part if isinstance(piece, Slot))


def filled(part: Part, attendee: Attendee, link: str) -> str:
    """Return `part` with the attendee's values as they are in its slots."""
    return "".join(
        [piece.value(attendee, link) if isinstance(piece, Slot) else piece for piece in part]
    )


START, END = MARKERS[0], MARKERS[1]
_MARKER = re.compile(f"{START}([0-9]+){END}")


def markers(slots: Sequence[Slot]) -> dict[str, str]:
    """Return what stands for each slot while a letter is rendered; HTML leaves it as it is."""
    return {slot.name: f"{START}{number}{END}" for number, slot in enumerate(slots)}


def split(text: str, slots: Sequence[Slot], template: str) -> Part:
    """Return rendered `text` with slots in place of their markers.

    Raises TemplateError where the template made a marker's character of its own.
    """
    pieces: list[str | Slot] = []
    # Every second piece is a marker's number.
    for index, piece in enumerate(_MARKER.split(text)):
        is_marker = index % 2 == 1
        if int(piece) >= len(slots) if is_marker else (START in piece or END in piece):
            raise TemplateError(
                f"{template}: writes the control character U+0001 or U+0002, expected text only; "
                "remove it from the template"
            )
        if is_marker:
            pieces.append(slots[int(piece)])
        elif piece:
            pieces.append(piece)
    return tuple(pieces)


Path = tuple[str, ...]
"""`("attendee", "name")`, `("columns", "phone")`, `("link",)`; `("attendee",)` is the whole."""

_NEVER_EMPTY = frozenset({(ATTENDEE, "name"), (ATTENDEE, "email")})
"""What a subject may have as slots: its blanks are folded, and two could meet around nothing."""

_FIELDS_OF = {"optional": ("attendance", "moderator")}
"""What a template may say of an attendee, and the fields that it is made of, where it is none."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How attendees share the letters of one kind.

    `fields` and `columns` are what the letters compute with; `alone` where nobody shares.
    """

    slots: tuple[Slot, ...]
    fields: attrgetter[Hashable]
    columns: tuple[str, ...]
    computes_columns: bool
    alone: bool

    def key(self, attendee: Attendee) -> Hashable:
        """Return what the letter depends on apart from its slots and the meeting's facts."""
        if self.alone:
            return attendee.address  # unique within a meeting
        key = self.fields(attendee)
        if not self.computes_columns:
            return key
        if not self.columns:
            return key, tuple(attendee.columns.items())
        return key, tuple([column_of(attendee.columns, name) for name in self.columns])


def sharing_of(kind: Kind, trees: Trees) -> Sharing:
    """Return how the templates of `kind` let attendees share letters.

    A value is a slot only where every part that uses it lets it be one.
    """
    uses = Uses(trees)
    for part, name in part_files(kind).items():
        uses.add(name, only_filled=part == "subject")
    slots = uses.slots()
    computed = sorted(set(uses.bare) - set(slots))
    fields = [name for root, *rest in computed if root == ATTENDEE for name in rest]
    whole_columns = (COLUMNS,) in computed
    return Sharing(
        slots=tuple(Slot(COLUMN + path[-1] if path[0] == COLUMNS else path[-1]) for path in slots),
        # The zone is computed with wherever a time is shown; a second field makes it a tuple.
        fields=attrgetter("timezone", *(f for n in fields for f in _FIELDS_OF.get(n, (n,)))),
        columns=()
        if whole_columns
        else tuple(name for root, *rest in computed if root == COLUMNS for name in rest),
        computes_columns=uses.untraceable or any(root == COLUMNS for root, *_ in computed),
        alone=uses.untraceable or (ATTENDEE,) in computed or (LINK,) in computed,
    )


_CAPTURING = (
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.AssignBlock,
    nodes.EvalContextModifier,
)
"""Statements whose body is captured, transformed or escaped in another way."""


class Uses:
    """What templates, with all that they refer to, do with the attendee's values.

    `bare` tells of each value that is used whether every use of it is a bare output.
    `untraceable` is true where a template's name is computed, or a block's text is captured.
    `files` are the names of the templates that were looked into.
    """

    def __init__(self, trees: Trees) -> None:
        """Look into `trees`; names that are in no file are left to Jinja2, which reports them."""
        self._trees = trees
        self._entry_is_html = False
        self._only_filled = False
        self._seen: set[tuple[str, bool, bool, bool]] = set()
        self.files: list[str] = []
        self.bare: dict[Path, bool] = {}
        self.untraceable = False

    def add(self, entry: str, *, only_filled: bool = False) -> None:
        """Take note of what a part's template does; `only_filled` where no slot may be empty."""
        self._entry_is_html, self._only_filled = is_html(entry), only_filled
        self._file(entry, safe=True)

    def slots(self) -> list[Path]:
        """Return the values that may be slots: always put out bare, and so is their whole."""
        if self.untraceable:
            return []
        bare = self.bare
        return sorted(path for path in bare if bare[path] and bare.get(path[:1], True))

    def _file(self, name: str, *, safe: bool) -> None:
        # A file that is escaped otherwise than the part's own counts as captured.
        safe = safe and is_html(name) == self._entry_is_html
        reading = (name, safe, self._entry_is_html, self._only_filled)
        if reading in self._seen or name not in self._trees:
            return
        self._seen.add(reading)
        if name not in self.files:
            self.files.append(name)
        self._visit(self._trees[name], safe=safe)

    def _note(self, path: Path, *, bare: bool) -> None:
        self.bare[path] = bare and self.bare.get(path, True)

    def _visit(self, node: nodes.Node, *, safe: bool) -> None:
        """Take note of the uses in `node`; `safe` where its text goes into the letter as it is."""
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
                self.untraceable |= node.name in {"self", "super"}
                self._bind({node.name})
            case nodes.Getattr() | nodes.Getitem() if path := _path(node):
                self._note(path, bare=False)
                return
            case nodes.Macro():
                self._bind({node.name})
            case nodes.Block() if not safe:
                # What stands in this place may be another file's block, which looks plain there.
                self.untraceable = True
            case _:
                pass
        # `loop(...)` of a recursive loop gives its text to an expression, as a macro does.
        captures = isinstance(node, _CAPTURING) or (isinstance(node, nodes.For) and node.recursive)
        for child in node.iter_child_nodes():
            self._visit(child, safe=safe and not captures)

    def _output(self, node: nodes.Node, *, safe: bool) -> None:
        path = _path(node)
        if path and safe and (path[0] != ATTENDEE or path[1] in TEXT_FIELDS):
            self._note(path, bare=path in _NEVER_EMPTY or not self._only_filled)
        elif not (safe and _is_plain_super(node)):
            self._visit(node, safe=safe)

    def _bind(self, names: set[str]) -> None:
        """Take note of names used whole, or given another meaning: ours are not ours then."""
        for name in names & _ROOTS:
            self._note((name,), bare=False)

    def _refer(self, template: nodes.Expr, *, safe: bool) -> None:
        names = _constant_names(template)
        self.untraceable |= names is None
        for name in names or ():
            self._file(name, safe=safe)


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
