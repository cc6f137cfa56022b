# ruff: noqa: INP001 - a script beside the pages that it makes
"""Writes docs/settings.md and docs/invites.1 from the code, so that they say what is true.

Run it from the repository's root after a change of the settings or of the command line:

    .venv/bin/python -m docs.reference

Keys, forms and defaults are those of `invites.settings.sections`; what a key means is its comment
in invites.example.toml.  The manual page has each command's `--help`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from invites.cli.app import COMMANDS, command_named
from invites.cli.init import example_settings
from invites.settings.sections import SECTIONS, SUBSECTIONS, Job, Section

FOLDER = Path(__file__).resolve().parent
WIDTH = "78"
_SECTION = re.compile(r"#?\[+(?P<name>[a-z0-9_.]+)\]+\s*(?:#\s*(?P<words>.*))?")
_KEY = re.compile(r"(?P<off>#?)(?P<key>[a-z0-9_]+) = (?P<rest>.*)")


def settings_page() -> str:
    """Return the page of all settings, a table for each section."""
    lines = [
        "# Settings",
        "",
        "All of `invites.toml`: `invites init` writes it with a comment on each key.",
        "A key that you leave out has the value shown here, or is not set.",
        "Durations are numbers with d, h, m or s (`15m`, `1h30m`); paths start at the file's folder.",
        "Each key but those of a job can come from the environment as `INVITES_SECTION__KEY`.",
        "",
        "The file is found by `--config`, `INVITES_CONFIG`, `./invites.toml`, `$XDG_CONFIG_HOME/invites/`, `/etc/invites/`.",
        "One that is found without being named must be root's or your own; settings, secrets and keys that everybody can write are refused.",
        "Flags beat the environment, which beats the file, which beats Jitsi's own docker names (`PUBLIC_URL`, `XMPP_DOMAIN`, `JWT_APP_ID`, `JWT_APP_SECRET`, `JWT_ACCEPTED_AUDIENCES`), which beat the defaults.",
    ]
    for section, rows in _sections(example_settings().read_text(encoding="utf-8")):
        lines += ["", f"## [{section}]", "", "| key | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _sections(example: str) -> Iterator[tuple[str, list[str]]]:
    section, rows = "", list[str]()
    for line in example.splitlines():
        if found := _SECTION.fullmatch(line):
            if rows:
                yield section, rows
            section, rows = found["name"], []
            if words := found["words"]:
                rows.append(f"| | | {_words(words)} |")
        elif section and (found := _KEY.fullmatch(line)):
            value, words = _value_and_words(found["rest"])
            if _unset(section, found["key"]):
                value = f"unset; such as {value}" if value != '`""`' else "unset"
            rows.append(f"| `{found['key']}` | {value} | {_words(words)} |")
        elif rows and line.startswith(" ") and line.strip().startswith("#"):
            more = _words(line.strip().removeprefix("#").strip())
            rows[-1] = f"{rows[-1].removesuffix(' |')} {more} |"
    yield section, rows


def _unset(section: str, key: str) -> bool:
    """Return whether the key has no default of its own."""
    outer, _, inner = section.partition(".")
    models: dict[str, type[Section]] = {**SECTIONS, "job": Job}
    model = SUBSECTIONS.get((outer, inner)) if inner else models[outer]
    field = model.model_fields.get(key) if model else None
    return field is None or field.is_required() or field.default in {None, ""}


def _value_and_words(rest: str) -> tuple[str, str]:
    """Split `"15m"   # links open` at the comment's sign, which a text may hold as well."""
    for found in re.finditer(r"\s#\s?", rest):
        try:
            tomllib.loads(f"x = {rest[: found.start()]}")
        except tomllib.TOMLDecodeError:
            continue
        return f"`{rest[: found.start()].strip()}`", rest[found.end() :]
    return f"`{rest.strip()}`", ""


def _words(text: str) -> str:
    return text.replace("|", "\\|")


def manual_page() -> str:
    """Return the manual page, in the macros of man(7)."""
    os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = WIDTH
    lines = [
        '.TH INVITES 1 "" "invites" "User Commands"',
        ".SH NAME",
        r"invites \- personal Jitsi join links, mailed as calendar invitations, from a roster",
        ".SH SYNOPSIS",
        ".B invites",
        r".I command",
        r"[\fIoption\fR ...] [\fIargument\fR ...]",
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        lines += [f".SS invites {name}", ".nf", *map(_roff, _help(name)), ".fi"]
    return "\n".join([*lines, *_ENDING]) + "\n"


def _help(name: str) -> list[str]:
    command = command_named(name)
    context: Any = command.make_context(f"invites {name}", [], resilient_parsing=True)
    text: str = command.get_help(context)
    return text.strip().splitlines()


def _roff(line: str) -> str:
    escaped = line.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


_ENDING = (
    ".SH EXIT STATUS",
    *(
        line
        for code, words in (
            (0, "done"),
            (1, "unexpected failure; disk full or read-only; a message that fails our own check"),
            (2, "wrong usage; roster file missing; the output folder is refused"),
            (3, "the roster is refused"),
            (4, "done in part"),
            (5, "settings, secret, template, ledger, SMTP login or TLS, a finding of doctor"),
            (6, "a guard refused"),
            (75, "run it again"),
        )
        for line in (".TP", f".B {code}", words)
    ),
    ".SH FILES",
    ".TP",
    r".I ./invites.toml, $XDG_CONFIG_HOME/invites/, /etc/invites/",
    r"the settings, unless \-\-config or INVITES_CONFIG names them",
)


def main() -> None:
    """Write both pages."""
    (FOLDER / "settings.md").write_text(settings_page(), encoding="utf-8")
    (FOLDER / "invites.1").write_text(manual_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
