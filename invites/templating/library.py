"""The set of templates: loaded, compiled, analysed and tried before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invites.core.model import Kind
from invites.templating.analysis import Trees
from invites.templating.environment import errors_located, letter_environment
from invites.templating.inlining import Inliner
from invites.templating.kinds import PartName, part_files
from invites.templating.names import check_names
from invites.templating.sources import STYLES, Sources, is_html
from invites.templating.trial import try_all
from invites.templating.variants import Variants, variants_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import jinja2

    from invites.templating.sources import TemplateFile


class Templates:
    """The templates of one run; make it with `load`."""

    def __init__(self, sources: Sources, environment: jinja2.Environment, trees: Trees) -> None:
        """Use `load` instead, which checks everything."""
        self._files: Mapping[str, TemplateFile] = sources.files
        self._parts = {
            kind: {part: environment.get_template(name) for part, name in part_files(kind).items()}
            for kind in Kind
        }
        self._variants = {kind: variants_of(kind, trees) for kind in Kind}

    @classmethod
    def load(cls, folder: Path | None = None) -> Templates:
        """Load, compile, analyse and try all templates, those in `folder` before the shipped ones.

        Raises TemplateError with file and line for whatever is wrong with any of them.
        """
        sources = Sources(folder)
        inliner = Inliner(sources.files[STYLES].source)
        environment = letter_environment(
            sources.loader(
                lambda file: (
                    inliner.inlined(file.source, str(file.path))
                    if is_html(file.name)
                    else file.source
                )
            )
        )
        with errors_located(sources.files, reason_shown=True):
            trees = {
                name: environment.parse(file.source, name, str(file.path))
                for name, file in sources.files.items()
                if name != STYLES
            }
            for name in trees:
                environment.get_template(name)
        check_names(sources, environment, trees)
        templates = cls(sources, environment, trees)
        try_all(templates)
        return templates

    def render(
        self,
        kind: Kind,
        part: PartName,
        context: Mapping[str, object],
        *,
        reason_shown: bool = False,
    ) -> str:
        """Return one part rendered; "" for a part that this kind has not.

        Raises TemplateError with file and line; with `reason_shown` also with Jinja2's own words,
        which may quote values.
        """
        template = self._parts[kind].get(part)
        if template is None:
            return ""
        with errors_located(self._files, reason_shown=reason_shown):
            return template.render(context)

    def variants(self, kind: Kind) -> Variants:
        """Return how attendees share the letters of a kind."""
        return self._variants[kind]
