"""The set of templates: what is somebody's own is checked and tried before anything is written.

The shipped ones are tried by the tests, so a run compiles and analyses those alone that it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from invites.invitation import Brand, Kind
from invites.shipped import SOURCE_LANGUAGE
from invites.templating.context import PartName, part_files
from invites.templating.environment import (
    LetterEnvironment,
    errors_located,
    letter_environment,
    located,
)
from invites.templating.inline import Inliner
from invites.templating.language import Languages
from invites.templating.share import Sharing
from invites.templating.sources import STYLES, Sources, is_html
from invites.templating.views import brand_view

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2
    from jinja2 import nodes


class Templates:
    """The templates of one run; make it with `load`."""

    def __init__(
        self, sources: Sources, environment: LetterEnvironment, languages: Languages, brand: Brand
    ) -> None:
        """Use `load` instead, which checks what there is to check."""
        self.languages = languages
        self.brand, self.picture = brand_view(brand), brand.picture
        self._sources = sources
        self._environment = environment
        self._parts: dict[Kind, dict[PartName, jinja2.Template]] = {}
        self._sharing: dict[Kind, Sharing] = {}

    @classmethod
    def load(
        cls,
        folder: Path | None = None,
        *,
        language: str = SOURCE_LANGUAGE,
        informal: bool = False,
        brand: Brand | None = None,
    ) -> Templates:
        """Load the templates and catalogs, those in `folder` before the shipped ones.

        `language` is that of attendees who have none; `informal` how they are addressed.
        With a `folder` all of them are compiled, analysed and tried.
        Raises TemplateError with file and line for whatever is wrong with any of them.
        """
        sources = Sources(folder)
        brand = brand or Brand()
        inliner = Inliner(sources.files[STYLES].source, brand.colour)
        loader = sources.loader(
            lambda file: (
                inliner.inlined(file.source, str(file.path)) if is_html(file.name) else file.source
            )
        )
        environment = letter_environment(loader, _kind_for(folder))
        languages = Languages(folder, default=language, informal=informal)
        templates = cls(sources, environment, languages, brand)
        if folder is not None:
            templates._check()
        return templates

    def _check(self) -> None:
        from invites.templating.checks import check_names, try_all  # noqa: PLC0415

        self.languages.check()
        trees = Trees(self._sources, self._environment)
        with errors_located(self._sources.files, reason_shown=True):
            for name in trees:
                self._environment.get_template(name)
        check_names(self._sources, self._environment, trees)
        try_all(self)

    def render(
        self,
        kind: Kind,
        part: PartName,
        context: Mapping[str, object],
        *,
        reason_shown: bool = False,
    ) -> str:
        """Return one part rendered; "" for a part that this kind has not.

        `context` has all that the part may name, `names_of_jinja` included.

        Raises TemplateError with file and line; with `reason_shown` also with Jinja2's own words,
        which may quote values.
        """
        try:
            template = self._parts_of(kind).get(part)
            return "" if template is None else self._environment.rendered(template, context)
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            raise located(self._sources.files, error, reason_shown=reason_shown) from None

    def _parts_of(self, kind: Kind) -> Mapping[PartName, jinja2.Template]:
        parts = self._parts.get(kind)
        if parts is None:
            parts = self._parts[kind] = {
                part: self._environment.get_template(name)
                for part, name in part_files(kind).items()
            }
        return parts

    @property
    def names_of_jinja(self) -> Mapping[str, object]:
        """What every template may name besides what a letter is about, such as `range`."""
        return self._environment.globals

    def sharing(self, kind: Kind) -> Sharing:
        """Return how attendees share the letters of a kind."""
        sharing = self._sharing.get(kind)
        if sharing is None:
            sharing = self._sharing[kind] = Sharing(kind, self._environment)
        return sharing


def _kind_for(folder: Path | None) -> type[LetterEnvironment]:
    """Return the bounded environment where a folder of somebody's own is read."""
    if folder is None:
        return LetterEnvironment
    from invites.templating.bounds import BoundedEnvironment  # noqa: PLC0415 - else never needed

    return BoundedEnvironment


class Trees(Mapping[str, "nodes.Template"]):
    """The syntax trees of all templates by name; each is parsed when it is first asked for."""

    def __init__(self, sources: Sources, environment: jinja2.Environment) -> None:
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
