"""Settings put into a settings file's text: its comments, its order and all other lines stay."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from invites.errors import SettingsError

Value = str | int | Sequence[str]
Edits = Mapping[tuple[str, str], Value]
"""What to set, by section (`roster.columns`) and key."""

_SECTION: Final = re.compile(r"\s*\[([A-Za-z0-9_.\"' -]+)\]\s*(?:#.*)?")
_ANY_SECTION: Final = re.compile(r"\s*\[")
_COMMENT: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^"'#])*?\s(#.*)""")


def toml_value(value: Value) -> str:
    """Return a text, a number, a truth or a list of texts as TOML writes it."""
    if isinstance(value, int):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(toml_value(each) for each in value)}]"


def with_values(text: str, edits: Edits, source: str) -> str:
    """Return the text of a settings file with these values.

    A key that is set gets its new value in its place; one that stands there as an example behind
    "#" is set in that line; another comes last in its section.
    Raises SettingsError, with nothing changed, where the file is written so that this can't be done
    safely: the result is read again, and all else must be as it was.
    """
    lines = text.splitlines(keepends=True)
    for (section, key), value in edits.items():
        lines = _with_one(lines, section, key, value)
    edited = "".join(lines)
    try:
        as_wanted = tomllib.loads(edited) == _merged(tomllib.loads(text), edits)
    except tomllib.TOMLDecodeError:
        as_wanted = False
    if not as_wanted:
        raise SettingsError(
            f"{source}: is written in a way that can't be edited by itself; nothing was changed; put "
            "the lines that are shown into it by hand"
        )
    return edited


def _with_one(lines: list[str], section: str, key: str, value: Value) -> list[str]:
    first, last = _section(lines, section)
    if first is None:
        gap = [] if not lines or not lines[-1].strip() else ["\n"]
        ended = [*lines[:-1], lines[-1].rstrip("\n") + "\n"] if lines else []
        return [*ended, *gap, f"[{section}]\n", f"{key} = {toml_value(value)}\n"]
    # What stands behind an example of a column says what that example does.
    examples = () if section == "roster.columns" else (rf"#\s*{key}\s*=",)
    for pattern in (rf"\s*{key}\s*=", *examples):
        for at in range(first, last):
            if re.match(pattern, lines[at]):
                end = _end_of_value(lines, at) if "#" not in pattern else at + 1
                return [*lines[:at], _line(key, value, lines[at:end]), *lines[end:]]
    while last > first and not lines[last - 1].strip():
        last -= 1
    before = [*lines[:last]]
    if not before[-1].endswith("\n"):
        before[-1] += "\n"
    return [*before, f"{key} = {toml_value(value)}\n", *lines[last:]]


def _section(lines: Sequence[str], section: str) -> tuple[int | None, int]:
    """Return the first and the last line (exclusive) below a section's header."""
    for at, line in enumerate(lines):
        found = _SECTION.fullmatch(line.rstrip("\r\n"))
        if found and found[1].strip() == section:
            end = at + 1
            while end < len(lines) and not _ANY_SECTION.match(lines[end]):
                end += 1
            return at + 1, end
    return None, 0


def _end_of_value(lines: Sequence[str], at: int) -> int:
    """Return the line (exclusive) at which the value that begins at `at` ends."""
    for end in range(at + 1, len(lines) + 1):
        try:
            tomllib.loads("".join(lines[at:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    return at + 1


def _line(key: str, value: Value, replaced: Sequence[str]) -> str:
    """Return the new line, with the old one's comment in the column where it stood."""
    setting = f"{key} = {toml_value(value)}"
    comment = _COMMENT.match(replaced[0].lstrip("#")) if len(replaced) == 1 else None
    if comment is None:
        return f"{setting}\n"
    column = replaced[0].index(comment[1], len(replaced[0]) - len(comment[1]) - 2)
    return f"{setting:{column - 1}} {comment[1]}\n"


def _merged(settings: dict[str, Any], edits: Edits) -> dict[str, Any]:
    for (section, key), value in edits.items():
        table = settings
        for name in section.split("."):
            table = table.setdefault(name, {})
        table[key] = value if isinstance(value, (str, int)) else list(value)
    return settings


def replace_text(path: Path, text: str) -> None:
    """Put a new text in a settings file's place at once, with its mode and owner; a link stays one."""
    path = path.resolve()
    seen = path.stat()
    with replacing(path) as file:
        file.write(text.encode())
        if (seen.st_uid, seen.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), seen.st_uid, seen.st_gid)
        os.fchmod(file.fileno(), seen.st_mode & 0o7777)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that only its owner can read, which takes the place of `path` once it is whole."""
    # A name of its own, for two may be written at once.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink()
        raise
