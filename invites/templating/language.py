"""The languages of letters: a catalog of gettext and a CLDR locale each, read when first needed.

A catalog is a .po file in `catalogs/`, the user's before the shipped ones; what it lacks, the next
one of its line has: `de-AT@informal`, `de-AT`, `de@informal`, `de`, and English, which the
templates themselves are written in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from typing import TYPE_CHECKING

from babel import Locale, UnknownLocaleError
from jinja2 import pass_context
from markupsafe import escape

from invites.errors import TemplateError
from invites.shipped import INFORMAL, SOURCE_LANGUAGE, catalogs
from invites.text import catalog_for, lookups

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2.runtime import Context

MARKERS = "\x01\x02"
"""Control characters that mark slots while a letter is rendered; no value of a letter has them."""

_PLAIN_VALUE = re.compile(r"%(?:%|\([^()]*\)[sd])")

_LOCALES = {SOURCE_LANGUAGE: "en_150"}
"""English is CLDR's for Europe: the day before the month and 24 hours, for readers anywhere, who may
not share a convention ("Tuesday, 2 December 2031, 09:00")."""


class CannotShareError(Exception):
    """What a letter says can't be filled in later: it is rendered for each one."""


@dataclass(frozen=True, eq=False)
class Language:
    """What letters say in one language; `tag` is for HTML's `lang`."""

    tag: str
    locale: Locale
    catalog: NullTranslations

    @cached_property
    def direction(self) -> str:
        """`ltr` or `rtl`, for HTML's `dir`."""
        return self.locale.text_direction

    def says(self, message: str, /, **values: object) -> str:
        """Return a message of the catalog with its values, as plain text."""
        return self.catalog.gettext(message) % values

    def counts(self, one: str, many: str, number: int) -> str:
        """Return a message in the plural form that the language has for `number`."""
        return self.catalog.ngettext(one, many, number) % {"num": number}

    def name_of(self, tag: str) -> str:
        """Return what this language calls the language of a tag; the tag where CLDR does not know."""
        named = _locale(tag)
        return (named and named.get_display_name(self.locale)) or tag

    @cached_property
    def callables(self) -> Mapping[str, Callable[..., str]]:
        """Return what Jinja2's i18n extension calls; in HTML a translation is text, never markup."""
        catalog = self.catalog

        @pass_context
        def gettext(context: Context, message: str, /, **values: object) -> str:
            return _shown(context, catalog.gettext(message), values)

        @pass_context
        def ngettext(context: Context, one: str, many: str, num: int, /, **values: object) -> str:
            return _shown(context, catalog.ngettext(one, many, num), {"num": num, **values})

        @pass_context
        def pgettext(context: Context, about: str, message: str, /, **values: object) -> str:
            return _shown(context, catalog.pgettext(about, message), values)

        @pass_context
        def npgettext(
            context: Context, about: str, one: str, many: str, num: int, /, **values: object
        ) -> str:
            text = catalog.npgettext(about, one, many, num)
            return _shown(context, text, {"num": num, **values})

        return {
            "gettext": gettext,
            "ngettext": ngettext,
            "pgettext": pgettext,
            "npgettext": npgettext,
        }


@lru_cache(maxsize=1024)
def _as_they_are(text: str) -> bool:
    """Tell whether a message shows its values as they are, and none by width or in quotes."""
    return "%" not in _PLAIN_VALUE.sub("", text)


def _shown(context: Context, text: str, values: Mapping[str, object]) -> str:
    if not _as_they_are(text) and any(MARKERS[0] in str(value) for value in values.values()):
        raise CannotShareError  # a mark is as wide as no value is
    return (escape(text) if context.eval_ctx.autoescape else text) % values


ENGLISH = Language(SOURCE_LANGUAGE, Locale.parse(_LOCALES[SOURCE_LANGUAGE]), NullTranslations())


class Languages:
    """The languages of one run; each catalog is read once."""

    def __init__(
        self, folder: Path | None = None, *, default: str = SOURCE_LANGUAGE, informal: bool = False
    ) -> None:
        """Find the catalogs of `folder` and the shipped ones.

        `default` is the language where an attendee has none that has a catalog.
        """
        self._catalogs = catalogs(folder)
        self._tags = frozenset(tag.removesuffix(INFORMAL) for tag in self._catalogs)
        self._tags |= {SOURCE_LANGUAGE}
        self._informal = informal
        self._known: dict[str | None, Language] = {}
        self.default = self._found(default) or self._found(SOURCE_LANGUAGE) or ENGLISH

    def of(self, tag: str | None) -> Language:
        """Return the language of a tag, else the default; raises TemplateError for a bad catalog."""
        language = self._known.get(tag)
        if language is None:
            language = (tag and self._found(tag)) or self.default
            self._known[tag] = language
        return language

    def check(self) -> None:
        """Read every catalog; raises TemplateError with file and line."""
        for files in self._catalogs.values():
            for path in files:
                _catalog(path, ENGLISH.catalog)

    def _found(self, tag: str) -> Language | None:
        base = catalog_for(tag, self._tags)
        if base is None:
            return None
        files: list[Path] = []
        for each in lookups(base):
            names = (each + INFORMAL, each) if self._informal else (each,)
            files += (path for name in names for path in self._catalogs.get(name, ()))
        locale = _locale(tag) or _locale(base) or ENGLISH.locale
        catalog: NullTranslations = ENGLISH.catalog
        for path in reversed(files):
            catalog = _catalog(path, catalog)
        return Language(tag if _locale(tag) else base, locale, catalog)


def _catalog(path: Path, fallback: NullTranslations) -> NullTranslations:
    """Return a .po file as gettext reads a .mo; what it lacks, `fallback` has."""
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - English needs none of it
    from babel.messages.pofile import PoFileError, read_po  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            read = read_po(file, abort_invalid=True)
        for message in read:
            faults = message.check(read) if message.id and any(message.string or ()) else ()
            for fault in faults:
                raise TemplateError(f"{path}: line {message.lineno}: {fault}")
        compiled = BytesIO()
        write_mo(compiled, read)
    except PoFileError as error:
        raise TemplateError(f"{path}: line {error.lineno}: {error}") from None
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path}: can't be read as a catalog: {error}") from None
    compiled.seek(0)
    catalog = GNUTranslations(compiled)
    catalog.add_fallback(fallback)
    return catalog


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale | None:
    """Return CLDR's locale of a tag, None where it has none; regions and scripts count."""
    try:
        return Locale.parse(_LOCALES.get(tag, tag.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return None
