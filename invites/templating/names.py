"""Checks that templates name only what there is, before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from invites.core.model import Kind
from invites.errors import TemplateError
from invites.templating.analysis import Trees, closure_of, imported_names
from invites.templating.kinds import STEMS, PartName, names_for, part_files
from invites.templating.sources import Sources, TemplateFile
from invites.templating.views import NAMES, VIEWS, attributes

if TYPE_CHECKING:
    from jinja2 import Environment


def check_names(sources: Sources, environment: Environment, trees: Trees) -> None:
    """Raise TemplateError with file and line for a name or an attribute that does not exist."""
    used: set[str] = set()
    for kind in Kind:
        for part, entry in part_files(kind).items():
            closure = closure_of(entry, trees)
            used.update(closure)
            own = frozenset[str]().union(*(bound_names(trees[name]) for name in closure))
            known = names_for(kind, part) | own
            for name in closure:
                for unknown in unknown_names(trees[name], environment, known, own):
                    raise _error(sources.files[name], unknown, kind, part)
    _check_user_files(sources, used)


def _error(file: TemplateFile, unknown: UnknownName, kind: Kind, part: PartName) -> TemplateError:
    place = f"{file.path}: line {unknown.line}"
    if unknown.what in NAMES:
        where = f"the {part} of a {STEMS[kind]}"
        return TemplateError(
            f'{place}: found "{unknown.what}", which {where} must not show; remove it'
        )
    near = get_close_matches(unknown.what, unknown.known, n=1)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    known = ", ".join(unknown.known)
    return TemplateError(
        f'{place}: found "{unknown.what}", which does not exist{meant}; there are {known}'
    )


def _check_user_files(sources: Sources, used: set[str]) -> None:
    """Refuse a file that overrides nothing and that looks like a misspelt name of one of ours."""
    for name in sorted(sources.user_names - used):
        near = get_close_matches(name, sorted(sources.shipped_names), n=1, cutoff=0.9)
        if near and name not in sources.shipped_names:
            raise TemplateError(
                f'{sources.files[name].path}: no template has this name; did you mean "{near[0]}"? '
                "Rename it, or move it out of the folder"
            )


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that a template uses and nothing defines: `what` as it stands there."""

    line: int
    what: str
    known: tuple[str, ...]


def unknown_names(
    tree: nodes.Template,
    environment: Environment,
    known: frozenset[str],
    bound: frozenset[str],
) -> Iterator[UnknownName]:
    """Yield names that nothing defines and attributes that a known name does not have.

    The attributes of `bound` names, which the templates give a meaning themselves, are not known.
    """
    undeclared = find_undeclared_variables(tree) - known - set(environment.globals)
    for name in tree.find_all(nodes.Name):
        if name.name in undeclared and name.ctx == "load":
            yield UnknownName(name.lineno, name.name, tuple(sorted(known)))
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if (found := _attribute(node)) and found[0] not in bound:
            yield from _unknown_attribute(node.lineno, *found)


def bound_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template gives a meaning itself, anywhere in it."""
    names = {name.name for name in tree.find_all(nodes.Name) if name.ctx in {"store", "param"}}
    names |= {macro.name for macro in tree.find_all(nodes.Macro)}
    for node in tree.find_all((nodes.Import, nodes.FromImport)):
        names |= imported_names(node)  # type: ignore[arg-type]
    return frozenset(names)


def _attribute(node: nodes.Expr) -> tuple[str, str] | None:
    match node:
        case nodes.Getattr(node=nodes.Name(name=root), attr=attr):
            return root, attr
        case nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(attr))):
            return root, attr
        case _:
            return None


def _unknown_attribute(line: int, root: str, attr: str) -> Iterator[UnknownName]:
    known = attributes(VIEWS[root]) if root in VIEWS else frozenset({attr})
    if attr not in known:
        yield UnknownName(line, f"{root}.{attr}", tuple(sorted(f"{root}.{name}" for name in known)))
