"""Evaluates what was taken out of templates, together, and once of the same values (see `share`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from jinja2 import nodes
from markupsafe import Markup, escape

from invites.templating.dates import LocalTime
from invites.templating.language import CannotShareError

if TYPE_CHECKING:
    from jinja2 import Template

    from invites.templating.environment import LetterEnvironment
    from invites.templating.outline import Expressions, Path, Slot, TakenApart

_REMEMBERED_AT_MOST = 1024
"""Texts of a slot that are kept: some meetings have all their values for themselves."""

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
"""What no text of a letter has: its lines end in line feeds, and tabs may stand in it."""


class Evaluation:
    """Expressions that are evaluated together, those of HTML templates apart from those of text."""

    def __init__(self, environment: LetterEnvironment, expressions: Expressions) -> None:
        """Compile `expressions`."""
        self._environment = environment
        self.slots: list[Slot] = []
        self._templates: list[Template] = []
        for escaped, name in ((False, "facts.txt.j2"), (True, "facts.html.j2")):
            some = {slot: node for slot, node in expressions.items() if slot.escaped == escaped}
            if some:
                self._templates.append(environment.template_of(_evaluating(some), name))
                self.slots += some

    def values(self, context: Mapping[str, object]) -> list[object]:
        """Return the values, in the order of `slots`; raises whatever an expression raises."""
        values: list[object] = []
        for template in self._templates:
            shared = template.new_context(cast("dict[str, Any]", context), shared=True)
            self._environment.run(template, shared)
            values += shared.vars["values"]
        return values

    def texts(self, context: Mapping[str, object]) -> list[str]:
        """Return the values as a template puts them out."""
        return [
            escape(value) if slot.escaped else str(value)
            for slot, value in zip(self.slots, self.values(context), strict=True)
        ]


def _evaluating(expressions: Expressions) -> nodes.Template:
    """Return a template that sets `values` to the values of all expressions."""
    body: list[nodes.Node] = []
    items: list[nodes.Expr] = []
    for number, node in enumerate(expressions.values()):
        if isinstance(node, nodes.Expr):
            items.append(node)
            continue
        name = f"_text{number}"
        body.append(nodes.AssignBlock(nodes.Name(name, "store"), None, [node], lineno=1))
        items.append(nodes.Name(name, "load"))
    every = nodes.Tuple(items, "load")
    body.append(nodes.Assign(nodes.Name("values", "store"), every, lineno=1))
    return nodes.Template(body, lineno=1)


class Remembered:
    """The texts of a meeting's slots, each made once of the same values.

    Few meetings have times, a host or a description of their own, and what a template computes of a
    value takes ten times as long as to look it up.  Slots that read the same are made together; one
    that is a value as it stands needs no template.
    """

    def __init__(
        self,
        slots: Iterable[Slot],
        apart: TakenApart,
        evaluation: Callable[[Iterable[Slot]], Evaluation],
    ) -> None:
        """Take the slots, what they read, and what makes the evaluation of some of them."""
        alike: dict[frozenset[Path], list[Slot]] = {}
        plain = [slot for slot in slots if slot in apart.plain]
        for slot in slots:
            if slot not in apart.plain:
                alike.setdefault(apart.reads[slot], []).append(slot)
        self._paths = sorted({path for slot in slots for path in apart.reads[slot]})
        self._plain = [(self._paths.index(apart.plain[slot]), slot.escaped) for slot in plain]
        numbers = [[self._paths.index(path) for path in read] for read in alike]
        # One number more, so that `itemgetter` always returns a tuple.
        self._groups = [
            (itemgetter(*wanted, wanted[0]), evaluation(some), dict[Hashable, list[str]]())
            for wanted, some in zip(numbers, alike.values(), strict=True)
        ]
        made = [slot for _, evaluated, _ in self._groups for slot in evaluated.slots]
        self.slots = [*plain, *made]

    def texts(self, context: Mapping[str, object]) -> list[str]:
        """Return the texts of `slots`; raises CannotShareError, and whatever an expression raises."""
        values = [_value_at(path, context) for path in self._paths]
        every = [str(escape(values[at]) if escaped else values[at]) for at, escaped in self._plain]
        _refuse_control("".join(every))
        keys = [each if type(each) is str else as_key(each) for each in values]
        for wanted, evaluation, known in self._groups:
            key = wanted(keys)
            texts = known.get(key)
            if texts is None:
                texts = evaluation.texts(context)
                _refuse_control("".join(texts))
                if len(known) >= _REMEMBERED_AT_MOST:
                    known.clear()
                known[key] = texts
            every += texts
        return every


def _refuse_control(text: str) -> None:
    if CONTROL.search(text):
        raise CannotShareError


def _value_at(path: Path, context: Mapping[str, object]) -> object:
    value = context[path[0]]
    return getattr(value, path[1]) if len(path) > 1 else value


UNKNOWN = object()
"""A value that can't be had."""

_BY_VALUE = (str, Markup, int, LocalTime)
_BY_WORDS = (float, datetime, timedelta)


def as_key(value: object) -> Hashable:
    """Return what two values have in common only if a template can't tell them apart."""
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind in _BY_VALUE or value is UNKNOWN:
        return kind, value
    if kind in _BY_WORDS:
        return kind, repr(value)
    if isinstance(value, list | tuple):
        return kind, tuple(map(as_key, value))
    if is_dataclass(value):
        return kind, tuple([as_key(getattr(value, each.name)) for each in fields(value)])
    raise CannotShareError
