"""The set of templates: loaded, compiled and tried before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from invites.core.model import Kind
from invites.templating.environment import errors_located, letter_environment
from invites.templating.sources import Sources, TemplateFile
from invites.templating.views import KINDS_WITH_LINK

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2

PartName = Literal["subject", "text", "html", "notes"]

STEMS = {
    Kind.INVITATION: "invitation",
    Kind.UPDATE: "update",
    Kind.CANCELLED: "cancellation",
    Kind.WITHDRAWN: "withdrawal",
    Kind.REMINDER: "reminder",
}
NOTES = "calendar.txt.j2"
_ENDINGS = {"subject": ".subject.j2", "text": ".txt.j2", "html": ".html.j2"}


def part_files(kind: Kind) -> dict[PartName, str]:
    """Return the template of each part of a kind of letter; only links have notes."""
    files: dict[PartName, str] = {
        "subject": STEMS[kind] + ".subject.j2",
        "text": STEMS[kind] + ".txt.j2",
        "html": STEMS[kind] + ".html.j2",
    }
    if kind in KINDS_WITH_LINK and kind is not Kind.REMINDER:
        files["notes"] = NOTES
    return files


class Templates:
    """The templates of one run; make it with `load`."""

    def __init__(self, environment: jinja2.Environment, files: dict[str, TemplateFile]) -> None:
        """Use `load` instead, which checks everything."""
        self._environment = environment
        self._files = files

    @classmethod
    def load(cls, folder: Path | None = None) -> Templates:
        """Load, compile and try all templates, those in `folder` before the shipped ones.

        Raises TemplateError with file and line for whatever is wrong with any of them.
        """
        sources = Sources(folder)
        environment = letter_environment(sources.loader(_as_it_is))
        with errors_located(sources.files, reason_shown=True):
            for name in sources.files:
                environment.get_template(name)
        return cls(environment, sources.files)

    def render(self, kind: Kind, part: PartName, context: dict[str, object]) -> str:
        """Return one part rendered; "" for a part that this kind has not."""
        name = part_files(kind).get(part)
        if name is None:
            return ""
        with errors_located(self._files, reason_shown=False):
            return self._environment.get_template(name).render(context)


def _as_it_is(file: TemplateFile) -> str:
    return file.source
