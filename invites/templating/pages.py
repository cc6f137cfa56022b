"""Pages for operators: the program's own templates, escaped and strict, written piece by piece."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
