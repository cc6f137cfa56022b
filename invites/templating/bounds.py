"""What a template of somebody's own may take: time, memory, and the length of its text.

A loop too many must not stop the night, nor fill the machine that it runs on.
What can run for long, a pass of a loop, a call or an included file, is a *step*: at each one, the
process is looked at.  What a single step could take without end is bounded beforehand.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import wraps
from math import inf
from typing import Any, Final

from jinja2 import nodes
from jinja2.filters import do_format
from jinja2.runtime import Context

from invites.templating.environment import LetterEnvironment, TooMuchError

SECONDS_AT_MOST: Final = 5.0
"""CPU seconds of the process for one part of one letter."""

MEMORY_AT_MOST: Final = 256 * 1024**2
"""Bytes by which the process may grow meanwhile."""

TEXT_AT_MOST: Final = 2_000_000
"""Characters of one part of one letter; Gmail clips mails of a twentieth of that."""

NUMBER_AT_MOST: Final = 1_000_000
"""A width, a count or a factor; the longest column is a fiftieth of that."""

BITS_AT_MOST: Final = 4096
"""Of a whole number."""

_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
_LONG_NUMBER: Final = re.compile("[0-9]{7}")
_WITH_WIDTH: Final = ("batch", "center", "format", "indent", "round", "slice")
"""The filters that make as much as a number says."""


class BoundedEnvironment(LetterEnvironment):
    """The letters' environment, for templates that nobody has tried yet."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what the environment of letters takes."""
        super().__init__(*arguments, **options)
        self._seconds_until = self._memory_until = inf
        for name in _WITH_WIDTH:
            self.filters[name] = _with_small_numbers(self.filters[name])

    def joined(self, pieces: Generator[str, None, None]) -> str:
        """Return a part of a letter; TooMuchError where it takes too much."""
        seconds, memory = _taken()
        self._seconds_until = seconds + SECONDS_AT_MOST
        self._memory_until = memory + MEMORY_AT_MOST
        made, length = [], 0
        try:
            for piece in pieces:
                length += len(piece)
                if length > TEXT_AT_MOST:
                    # Thrown where the template is, so that the error has its line.
                    pieces.throw(TooMuchError(f"a text of more than {TEXT_AT_MOST:,} characters"))
                made.append(piece)
        finally:
            self._seconds_until = self._memory_until = inf
        return "".join(made)

    def step(self) -> None:
        """Look at what was taken since the part was begun."""
        seconds, memory = _taken()
        if seconds > self._seconds_until:
            raise TooMuchError(f"more than {SECONDS_AT_MOST:g} seconds of the processor")
        if memory > self._memory_until:
            raise TooMuchError(f"more than {MEMORY_AT_MOST // 1024**2} MB of memory")

    def passes(self, items: Iterable[object]) -> Iterator[object]:
        """Yield the items of a loop, each one a step."""
        for item in items:
            self.step()
            yield item

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls: a step."""
        self.step()
        _refuse_large(*args, *kwargs.values())
        return super().call(context, obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the sandbox's way to format a text, None for what is no such method."""
        if getattr(value, "__name__", "") in {"format", "format_map"}:
            _refuse_wide(getattr(value, "__self__", None))
        return super().wrap_str_format(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply, raise to a power, or format: what could make very much of little."""
        match operator, left, right:
            case "%", str(), _:
                _refuse_wide(left)
                _refuse_large(*(right if isinstance(right, tuple) else (right,)))
            case "*", int(), int() if left.bit_length() + right.bit_length() > BITS_AT_MOST:
                raise TooMuchError(f"a number of more than {BITS_AT_MOST:,} bits")
            case "**", int(), int() if left.bit_length() * abs(right) > BITS_AT_MOST:
                raise TooMuchError(f"a number of more than {BITS_AT_MOST:,} bits")
            case ("*", int(times), (str() | list() | tuple()) as repeated) | (
                "*",
                (str() | list() | tuple()) as repeated,
                int(times),
            ):
                _refuse_large(len(repeated) * times)
            case _:
                pass
        return super().call_binop(context, operator, left, right)

    def get_template(self, *arguments: Any, **options: Any) -> Any:
        """Return a template: a step, for one may include itself."""
        self.step()
        return super().get_template(*arguments, **options)

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        *rest: Any,
        **more: Any,
    ) -> str:
        for loop in source.find_all(nodes.For):
            passes = nodes.EnvironmentAttribute("passes", lineno=loop.lineno)
            loop.iter = nodes.Call(passes, [loop.iter], [], None, None, lineno=loop.lineno)
            loop.iter.set_environment(self)
        return super()._generate(source, name, filename, *rest, **more)


def _taken() -> tuple[float, int]:
    """Return the CPU seconds and the most bytes of memory that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT


def _refuse_large(*values: object) -> None:
    for value in values:
        if isinstance(value, (int, float)) and abs(value) > NUMBER_AT_MOST:
            raise TooMuchError(f"a number above {NUMBER_AT_MOST:,}")


def _refuse_wide(text: object) -> None:
    if isinstance(text, str) and _LONG_NUMBER.search(text):
        raise TooMuchError(f"a width above {NUMBER_AT_MOST:,}")


def _with_small_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def bounded(value: Any, *arguments: Any, **named: Any) -> Any:
        if function is do_format:
            _refuse_wide(value)
        _refuse_large(*arguments, *named.values())
        return function(value, *arguments, **named)

    return bounded
