"""The Jinja2 environment of letters: sandboxed, strict, escaped by the template's name."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from invites.errors import TemplateError
from invites.templating.sources import TemplateFile, is_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN_AT_MOST = 80


def letter_environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """Return the environment: the same facts always give the same text."""
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: name is not None and is_html(name),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
    )
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


@contextmanager
def errors_located(files: Mapping[str, TemplateFile], *, reason_shown: bool) -> Iterator[None]:
    """Turn whatever a template raises into a TemplateError with file and line.

    `reason_shown` only where no secret is in the context: Jinja2's texts may quote values.
    """
    try:
        yield
    except TemplateError:
        raise
    except jinja2.TemplateSyntaxError as error:
        place = _place(files, error.name or "", error.lineno)
        raise TemplateError(f"{place}: {error.message}") from None
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        reason = f"{type(error).__name__}: {error}" if reason_shown else type(error).__name__
        raise TemplateError(_located(files, error, reason)) from None


def _located(files: Mapping[str, TemplateFile], error: Exception, reason: str) -> str:
    by_path = {str(file.path): file for file in files.values()}
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if frame.filename in by_path and frame.lineno is not None:
            file = by_path[frame.filename]
            lines = file.source.splitlines()
            line = lines[frame.lineno - 1].strip() if frame.lineno <= len(lines) else ""
            return f"{file.path}: line {frame.lineno}: {reason}; found in: {line[:SHOWN_AT_MOST]}"
    return f"a template: {reason}"


def _place(files: Mapping[str, TemplateFile], name: str, line: int) -> str:
    file = files.get(name)
    return f"{file.path if file else name}: line {line}"
