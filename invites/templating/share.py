r"""Templates are rendered once for all letters of a run that can share them; the rest is filled in.

To render a template takes a hundred times as long as to join strings.  So it is rendered without
the facts of a letter, as an *outline*: each largest expression that reads facts alone is taken out.

    the template   Hi {{ attendee.name }}! {% if meeting.tentative %}{{ meeting.title|upper }}?{% endif %}
    its outline    Hi \x010\x02! {% if _decided[0] %}\x011\x02?{% endif %}

What was put out as it is, is a *slot*: 0 is `attendee.name`, 1 is `meeting.title|upper`.  All else
*decides*: here `meeting.tentative`.  An outline reads nothing but what decides, so whoever has the
same decided values shares what came of it, in any meeting:

    for (True,)    "Hi ", Slot("attendee.name"), "! ", Slot("meeting.title|upper"), "?"

The meeting's slots are filled in once for each meeting, the attendee's once for each attendee; a
text that was made of the same values before, such as the times of an evening, is not made again.
What can't be followed so is not taken apart (`Sharing.alone`), and what fails is tried once more as
Jinja2 does it, which says where and why: both are always right, only slower.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, Environment, Template, TemplateNotFound, nodes
from markupsafe import escape

from invites.errors import TemplateError
from invites.templating.context import PartName, part_files
from invites.templating.environment import LetterEnvironment
from invites.templating.evaluate import CONTROL, UNKNOWN, Evaluation, Remembered, as_key
from invites.templating.language import CannotShareError
from invites.templating.outline import (
    DECIDED,
    END,
    START,
    Slot,
    TakenApart,
    paths,
)
from invites.templating.views import (
    ATTENDEE,
    COLUMNS,
    FEW,
    LINK,
    TEXT_FIELDS,
    TRANSLATING,
    column_of,
    one_line,
)

if TYPE_CHECKING:
    from invites.invitation import Kind
    from invites.model import Attendee

_AT_MOST = 256
"""Variants that are kept: where names decide, there are as many as names."""

Part = tuple[str | Slot, ...]
"""Text with slots: strings that are never empty, and no two of them in a row."""

_MARKER = re.compile(f"{START}([0-9]+){END}")


def split(text: str, slots: Sequence[Slot], template: str) -> Part:
    """Return rendered `text` with slots in place of their markers.

    Raises TemplateError where the template made a control character of its own.
    """
    pieces: list[str | Slot] = []
    # Every second piece is a marker's number.
    for index, piece in enumerate(_MARKER.split(text)):
        is_marker = index % 2 == 1
        if int(piece) >= len(slots) if is_marker else CONTROL.search(piece):
            raise TemplateError(
                f"{template}: found a control character, expected text whose lines end in line "
                "feeds; remove it from the template"
            )
        if is_marker:
            pieces.append(slots[int(piece)])
        elif piece:
            pieces.append(piece)
    return tuple(pieces)


def own_text(slot: Slot) -> Callable[[Attendee, str], str] | None:
    """Return what gives a slot's value from an attendee and a link; None for other expressions."""
    name = slot.name.removeprefix(f"{ATTENDEE}.")
    if slot.name == LINK:
        return (lambda _, link: str(escape(link))) if slot.escaped else (lambda _, link: link)
    if name == slot.name or name not in TEXT_FIELDS:
        return None
    if slot.escaped:
        return lambda attendee, _: str(escape(one_line(getattr(attendee, name))))
    return lambda attendee, _: one_line(getattr(attendee, name))


class Variant:
    """The parts of a letter for one combination of decided values; all slots are open.

    `own` gives the values of an attendee's slots; those that a template computes, `computed` does.
    """

    def __init__(
        self,
        parts: Mapping[PartName, Part],
        apart: TakenApart,
        evaluation: Callable[[Iterable[Slot]], Evaluation],
    ) -> None:
        """Take what has slots, what is known of them, and what makes the evaluation of some."""
        slots = {
            piece: None for part in parts.values() for piece in part if isinstance(piece, Slot)
        }
        meetings = Remembered([slot for slot in slots if slot in apart.reads], apart, evaluation)
        self._meetings = meetings
        number_of = {slot: number for number, slot in enumerate(meetings.slots)}
        self._parts: dict[PartName, list[Slot | list[str | int]]] = {}
        personal = [slot for slot in slots if slot not in number_of]
        for name, part in parts.items():
            runs: list[Slot | list[str | int]] = [[]]
            for piece in part:
                if isinstance(piece, Slot) and piece not in number_of:
                    runs += [piece, []]
                else:
                    run = runs[-1]
                    assert isinstance(run, list)  # noqa: S101 - as it was put there
                    run.append(number_of[piece] if isinstance(piece, Slot) else piece)
            self._parts[name] = runs
        self.own = [(slot, value) for slot in personal if (value := own_text(slot)) is not None]
        computed = [slot for slot in personal if own_text(slot) is None]
        self.computed = evaluation(computed) if computed else None

    def filled(self, context: Mapping[str, object]) -> dict[PartName, Part]:
        """Return the parts with the meeting's slots filled in.

        Raises CannotShareError, and whatever an expression raises.
        """
        texts = self._meetings.texts(context)
        parts: dict[PartName, Part] = {}
        for name, runs in self._parts.items():
            pieces = [
                run
                if isinstance(run, Slot)
                else "".join([texts[each] if isinstance(each, int) else each for each in run])
                for run in runs
            ]
            parts[name] = tuple(filter(None, pieces))
        return parts


class Sharing:
    """How the letters of one kind are shared.

    `alone` is true where nobody shares; `computes_columns` where a letter computes with the
    roster's own columns.  `rendered` counts how often the outlines were, `failed` how
    often what decides could not be had at once.
    """

    def __init__(self, kind: Kind, environment: LetterEnvironment) -> None:
        """Take the templates of `kind` apart, with all that they refer to."""
        self._environment = environment.with_plain_attributes()
        self._files = part_files(kind)
        apart = TakenApart(environment)
        for name in self._files.values():
            apart.add(name)
        self.computes_columns = apart.computes_columns
        self.alone = apart.untraceable
        self.rendered = self.failed = 0
        self._outlines = environment.with_loader(_Outlines(apart.trees))
        self._slots, self._apart = tuple(apart.slots), apart
        deciding = apart.deciding
        self._numbered = list(deciding)
        self._expressions = {**deciding, **apart.slots}
        self._deciding = Evaluation(self._environment, deciding)
        self._evaluations: dict[frozenset[Slot], Evaluation] = {}
        self._variants: dict[Hashable, Variant] = {}
        read = {path for node in deciding.values() for path in paths(node)}
        self._all_of_attendee, self._all_columns = (ATTENDEE,) in read, (COLUMNS,) in read
        self._columns = sorted({path[1] for path in read if path[0] == COLUMNS and path[1:]})
        names = sorted({path[1] for path in read if path[0] == ATTENDEE and path[1:]})
        # The zone and the language decide what the times look like.
        self._fields: Callable[[Attendee], Hashable] = attrgetter(
            "timezone",
            "language",
            *(made_of for name in names for made_of in _FIELDS_OF.get(name, (name,))),
        )

    def key(self, attendee: Attendee) -> Hashable:
        """Return what of an attendee decides: those of a meeting with equal keys share a letter."""
        if self._all_of_attendee:
            return attendee.address  # unique within a meeting
        key, columns = self._fields(attendee), attendee.columns
        if self._all_columns:
            return key, tuple(columns.items())
        return key, tuple([column_of(columns, name) for name in self._columns])

    def variant(self, context: Mapping[str, object]) -> Variant:
        """Return the letter for what `context` decides.

        Raises CannotShareError, and whatever a template raises.
        """
        decided = self._decided(context)
        few = {name: context[name] for name in (*FEW, *TRANSLATING) if name in context}
        key = (*map(as_key, decided), *few.values())
        variant = self._variants.get(key)
        if variant is None:
            if len(self._variants) >= _AT_MOST:
                self._variants.clear()
            variant = self._variants[key] = self._rendered(few, decided)
        return variant

    def evaluation(self, slots: Iterable[Slot]) -> Evaluation:
        """Return the evaluation of some slots."""
        wanted = frozenset(slots)
        found = self._evaluations.get(wanted)
        if found is None:
            if len(self._evaluations) >= _AT_MOST:
                self._evaluations.clear()
            expressions = {s: node for s, node in self._expressions.items() if s in wanted}
            found = self._evaluations[wanted] = Evaluation(self._environment, expressions)
        return found

    def _decided(self, context: Mapping[str, object]) -> list[object]:
        """Return the values that decide, in order; UNKNOWN for one that can't be had."""
        try:
            return self._deciding.values(context)
        except Exception:  # noqa: BLE001 - a template can raise anything
            # The template may ask for such a value only where there is one.
            self.failed += 1
            return [_value_of(self.evaluation([slot]), context) for slot in self._deciding.slots]

    def _rendered(self, few: Mapping[str, object], decided: Sequence[object]) -> Variant:
        self.rendered += 1
        by_slot = dict(zip(self._deciding.slots, decided, strict=True))
        known = _Decided([by_slot[slot] for slot in self._numbered])
        context = {**self._environment.globals, **few, DECIDED: known}
        parts = {
            part: split(
                self._outlines.rendered(self._outlines.get_template(name), context),
                self._slots,
                name,
            )
            for part, name in self._files.items()
        }
        return Variant(parts, self._apart, self.evaluation)


class _Decided:
    """The decided values in an outline."""

    def __init__(self, values: Sequence[object]) -> None:
        self._values = values

    def __getitem__(self, number: int) -> object:
        """Return a value; CannotShareError for one that can't be had."""
        value = self._values[number]
        if value is UNKNOWN:
            raise CannotShareError
        return value


def _value_of(evaluation: Evaluation, context: Mapping[str, object]) -> object:
    try:
        (value,) = evaluation.values(context)
    except Exception:  # noqa: BLE001 - a template can raise anything
        return UNKNOWN
    return value


class _Outlines(BaseLoader):
    """Gives the templates that were taken apart in place of the whole ones."""

    def __init__(self, trees: Mapping[str, nodes.Template]) -> None:
        self._trees = trees

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002, ARG002 - Jinja2's
    ) -> Template:
        """Compile an outline."""
        if name not in self._trees:
            raise TemplateNotFound(name)
        assert isinstance(environment, LetterEnvironment)  # noqa: S101 - `with_loader` made it
        return environment.template_of(self._trees[name], name)


_FIELDS_OF: Mapping[str, tuple[str, ...]] = {"optional": ("attendance", "moderator"), "is_host": ()}
"""What a template may say of an attendee, and the fields that it is made of, where it is none; who
is the host, the meeting tells."""
