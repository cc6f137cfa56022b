"""The Jinja2 environments: of letters (sandboxed, strict, escaped by name), and of operators' pages."""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import islice
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Any, Self, cast

import jinja2
import jinja2.sandbox
import jinja2.utils
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import escape

from invites.errors import TemplateError
from invites.templating.language import ENGLISH
from invites.templating.sources import TemplateFile, is_html
from invites.templating.views import TRANSLATING, VIEWS, ChangeView, Columns, attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping
    from pathlib import Path


SHOWN_AT_MOST = 80
"""Characters of a template's line that an error shows."""

LINE_AT_MOST = 78
"""Characters of a line of text (RFC 5322 2.1.1)."""

_WRAPPER = TextWrapper(
    LINE_AT_MOST,
    expand_tabs=False,
    replace_whitespace=False,
    break_long_words=False,
    break_on_hyphens=False,
)

_WITHOUT_BLANKS = re.compile("([。、])(?=[^ ])")
"""Where a line of Japanese or Chinese may be broken."""

AS_HTML = " in HTML"
"""Ends the name under which an HTML template knows a text template that it includes."""

CAPTURED = " captured"
"""Ends the name under which a template is known where its text is not put out as it is."""

_GETTEXT = {**{name: name for name in TRANSLATING}, "_": "gettext"}
_PLAIN = {name: attributes(view) for name, view in VIEWS.items()}
_SHOWN = {view: attributes(view) for view in (*VIEWS.values(), ChangeView)}


class MissingColumnError(jinja2.UndefinedError):
    """A template names a column that the roster does not have; the text quotes no value."""


class TooMuchError(Exception):
    """A template takes more than it may; the text says of what, and quotes no value."""


class UnknownValue(jinja2.StrictUndefined):
    """Something that a template names and that is not there; any use of it is an error."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = jinja2.utils.missing,
        name: str | None = None,
        exc: type[jinja2.TemplateRuntimeError] = jinja2.UndefinedError,
    ) -> None:
        """Take what Jinja2 gives; the roster's columns have an error of their own."""
        if isinstance(obj, Columns):
            hint = f'expected a column of the roster, which has no "{str(name)[:SHOWN_AT_MOST]}"'
            exc = MissingColumnError
        super().__init__(hint, obj, name, exc)


class _DirectNames(CodeGenerator):
    """Reads what the views show, and translates, without asking the sandbox: each name means that."""

    def visit_Call(  # type: ignore[override] # noqa: N802 - Jinja2's, whose decorator mypy can't read
        self, node: nodes.Call, frame: Frame, **options: bool
    ) -> None:
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        if name in _GETTEXT and not options:
            # `_` is another name of `gettext`, by which a context has its language's.
            self.write(f"resolve({_GETTEXT[name]!r})(context")
            self.signature(node, frame)
            self.write(")")
        else:
            super().visit_Call(node, frame, **options)

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja2's
        if isinstance(node.node, nodes.Name) and node.attr in _PLAIN.get(node.node.name, ()):
            self.visit(node.node, frame)
            self.write(f".{node.attr}")
        else:
            super().visit_Getattr(node, frame)


class LetterEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, with short ways to what the views show and to files that are compiled.

    A letter is made of a dozen files, and Jinja2 looks each one up in several steps.

    A text template that an HTML one includes or imports is compiled once more, all of it escaped:
    Jinja2 escapes by the file's own name, and would take a macro's text for HTML.
    """

    def __init__(self, loader: jinja2.BaseLoader, **options: Any) -> None:
        """Take what Jinja2 takes."""
        super().__init__(loader=_PlainNames(loader), **options)
        self._compiled: dict[object, jinja2.Template] = {}

    def join_path(self, template: str, parent: str) -> str:
        """Return the name under which the template `parent` knows `template`."""
        captured = template.endswith(CAPTURED) or parent.endswith(CAPTURED)
        template = template.removesuffix(CAPTURED)
        if is_escaped(parent) and not is_html(template):
            template += AS_HTML
        return template + CAPTURED if captured else template

    def with_loader(self, loader: jinja2.BaseLoader) -> Self:
        """Return the same environment with other templates."""
        return self._like(loader=loader)

    def tree(self, name: str) -> nodes.Template:
        """Return a template's syntax tree; raises TemplateNotFound."""
        assert self.loader is not None  # noqa: S101 - it was made with one
        source, path, _ = self.loader.get_source(self, name)
        return self._parse(source, name, path)

    def with_plain_attributes(self) -> Self:
        """Return the same environment for templates in which the facts' names mean the facts."""
        other = self._like()
        other.code_generator_class = _DirectNames
        return other

    def _like(self, **options: Any) -> Self:
        other = self.overlay(**options)
        other._compiled = {}  # noqa: SLF001 - it is one of us
        return other

    def template_of(self, tree: nodes.Template, name: str) -> jinja2.Template:
        """Return the template that a syntax tree stands for."""
        tree.set_environment(self)
        code = self.compile(tree, name, f"<{name}>")
        return self.template_class.from_code(self, code, self.globals)

    def rendered(self, template: jinja2.Template, context: Mapping[str, object]) -> str:
        """Return what `template.render` does, without the two copies that it makes of `context`."""
        shared = template.new_context(cast("dict[str, Any]", context), shared=True)
        try:
            return self.run(template, shared)
        except Exception:  # noqa: BLE001 - a template can raise anything
            self.handle_exception()

    def run(self, template: jinja2.Template, context: jinja2.runtime.Context) -> str:
        """Return what a template puts out."""
        return self.joined(cast("Generator[str, None, None]", template.root_render_func(context)))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if name is not None and name.removesuffix(CAPTURED).endswith(AS_HTML):
            for text in tree.find_all(nodes.TemplateData):
                text.data = str(escape(text.data))
        return tree

    def joined(self, pieces: Generator[str, None, None]) -> str:
        """Return a part of a letter."""
        return "".join(pieces)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return what a template may name; no view of two mappings where there is but one."""
        return super().make_globals(d) if d else self.globals

    def get_template(
        self,
        name: str | jinja2.Template,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja2's name
    ) -> jinja2.Template:
        """Return a template, whose name means the same in all HTML, and in all text."""
        if parent is not None and isinstance(name, str):
            name = self.join_path(name, parent)
        template = self._compiled.get(name)
        if template is None:
            template = super().get_template(name, None, globals)
            if globals is None:
                self._compiled[name] = template
        return template

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute; those of views are plain values, and need no look at safety."""
        if attribute in _SHOWN.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


class _PlainNames(jinja2.BaseLoader):
    """Loads a template under its file's name, whoever asks for it."""

    def __init__(self, loader: jinja2.BaseLoader) -> None:
        self._loader = loader

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        return self._loader.get_source(environment, _file_name(template))


def letter_environment(
    loader: jinja2.BaseLoader, kind: type[LetterEnvironment] = LetterEnvironment
) -> LetterEnvironment:
    """Return an environment of this kind: the same facts always give the same text."""
    environment = kind(
        loader,
        extensions=["jinja2.ext.i18n"],
        undefined=UnknownValue,
        autoescape=is_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.policies["ext.i18n.trimmed"] = True
    # English, for a file imported without context; each letter's context has its own language's.
    environment.newstyle_gettext = True  # type: ignore[attr-defined] # so that {% trans %} passes values on
    environment.globals.update(ENGLISH.callables)
    environment.filters["wrapped"] = wrapped
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


def wrapped(text: str) -> str:
    """Return `text` with its lines broken at blanks; a long word, such as a link, stays whole."""
    if len(text) <= LINE_AT_MOST:
        return text
    return "\n".join(
        line if len(line) <= LINE_AT_MOST else _WRAPPER.fill(_WITHOUT_BLANKS.sub(r"\1 ", line))
        for line in text.split("\n")
    )


@lru_cache(maxsize=256)
def is_escaped(name: str | None) -> bool:
    """Tell whether a template of this name makes HTML."""
    name = (name or "").removesuffix(CAPTURED)
    return is_html(name) or name.endswith(AS_HTML)


def _file_name(name: str) -> str:
    return name.removesuffix(CAPTURED).removesuffix(AS_HTML)


@contextmanager
def errors_located(files: Mapping[str, TemplateFile], *, reason_shown: bool) -> Iterator[None]:
    """Turn whatever a template raises into a TemplateError with file and line.

    `reason_shown` only where no secret is in the context: Jinja2's texts may quote values.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        raise located(files, error, reason_shown=reason_shown) from None


def located(
    files: Mapping[str, TemplateFile], error: Exception, *, reason_shown: bool
) -> TemplateError:
    """Return what a template raised as a TemplateError with file and line."""
    match error:
        case TemplateError():
            return error
        case jinja2.TemplateSyntaxError():
            place = _place(files, error.name or "", error.lineno)
            return TemplateError(f"{place}: {error.message}")
        case _:
            return TemplateError(_located(files, error, reason_shown=reason_shown))


def _located(files: Mapping[str, TemplateFile], error: Exception, *, reason_shown: bool) -> str:
    reason = _reason(error, shown=reason_shown)
    by_path = {str(file.path): file for file in files.values()}
    frames = traceback.walk_tb(error.__traceback__)
    # The innermost line of a template: what it called, Jinja2's code and ours, says nobody a thing.
    for name, number in reversed([(frame.f_code.co_filename, line) for frame, line in frames]):
        if name in by_path:
            line = _line(by_path[name].source, number)
            return f'{name}: line {number}: found "{line}", {reason}'
    return f"a template can't be rendered: {reason}"


def _reason(error: Exception, *, shown: bool) -> str:
    match error:
        case MissingColumnError():
            return str(error)
        case TooMuchError():
            return f"which takes {error}"
        case jinja2.UndefinedError():
            expected = "expected names that are known (docs/templates.md lists them)"
        case jinja2.exceptions.SecurityError():
            expected = "expected only what the sandbox allows"
        case _:
            expected = f"which fails ({type(error).__name__})"
    return f"{expected}: {error}" if shown else expected


def _line(source: str, number: int) -> str:
    lines = source.splitlines()
    line = lines[number - 1].strip() if number <= len(lines) else ""
    return line if len(line) <= SHOWN_AT_MOST else line[:SHOWN_AT_MOST] + "…"


def _place(files: Mapping[str, TemplateFile], name: str, line: int) -> str:
    file = files.get(_file_name(name))
    return f"{file.path if file else name}: line {line}"


PIECES_AT_ONCE = 10_000


@cache
def _environment(folder: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def page_pieces(template: Path, **values: object) -> Iterator[bytes]:
    """Yield the page that `template` makes of `values`; what they iterate is never held whole."""
    pieces = _environment(template.parent).get_template(template.name).generate(**values)
    while some := "".join(islice(pieces, PIECES_AT_ONCE)):
        yield some.encode()
