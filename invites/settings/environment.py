"""Settings in the environment: `INVITES_SECTION__KEY`, systemd's credentials, docker's names.

A list is written with commas (`a, b`) or as in TOML (`["a", "b"]`); true and false also as yes and
no, on and off, 1 and 0.
A variable that is empty counts as absent, except for keys where "" is a value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from invites.settings.faults import did_you_mean
from invites.settings.layers import Layer, keys_known_in
from invites.settings.sections import SECTIONS, SUBSECTIONS, keys_of

PREFIX: Final = "INVITES_"

CREDENTIALS: Final[dict[str, tuple[str, ...]]] = {
    "jitsi.secret": ("jitsi", "secret_file"),
    "jitsi.private_key": ("jitsi", "private_key_file"),
    "jitsi.room_key": ("jitsi", "room_key_file"),
    "smtp.password": ("smtp", "password_file"),
    "smtp.client_secret": ("smtp", "m365", "client_secret_file"),
}
"""The credentials that systemd may hand over (`LoadCredential=jitsi.secret:/etc/…`) by name."""

EMPTY_SAYS_SOMETHING: Final = frozenset(
    {
        ("roster", "date_format"),
        ("roster", "extra"),
        ("roster", "special_domains"),
        ("mail", "templates"),
        ("mail", "reminder"),
        ("smtp", "rate"),
        ("schedule", "listen"),
    }
)
"""Keys that an empty variable sets to "" or to an empty list."""

_SWITCHES: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of `INVITES_SECTION__KEY` and of systemd's credentials."""
    layer = Layer()
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" in name:
            _take_variable(layer, name, environ[name])
    folder = environ.get("CREDENTIALS_DIRECTORY")
    for credential, path in CREDENTIALS.items() if folder else ():
        file = Path(str(folder), credential)
        if file.exists() and path not in layer.given:
            layer.give(path, str(file), f"systemd credential {credential}")
    return layer


def _take_variable(layer: Layer, name: str, text: str) -> None:
    path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    if path[0] == "job":
        layer.complain(name, "a [[job]] is set in the settings file alone; remove the variable")
        return
    inside_section = len(path) == 2 and path[0] in SECTIONS and path not in SUBSECTIONS
    inside_subsection = len(path) == 3 and path[:2] in SUBSECTIONS
    known = keys_known_in(path[:-1]) if inside_section or inside_subsection else ()
    if known is not None and path[-1] not in known:
        near = did_you_mean("__".join(path), all_variables(short=True))
        spelled = (
            near.replace(near.split('"')[1], variable_name(near.split('"')[1].split("__")))
            if near
            else "; remove it or correct its name"
        )
        layer.complain(name, f"no setting has this name{spelled}")
    elif text or path in EMPTY_SAYS_SOMETHING:
        layer.give(path, _value(path, text), name)


def variable_name(path: tuple[str, ...] | list[str]) -> str:
    """Return the environment variable of a key: `INVITES_SECTION__KEY`."""
    return PREFIX + "__".join(path).upper()


def all_variables(*, short: bool = False) -> list[str]:
    """Return every variable that sets a key; `short`: without prefix, in lower case."""
    paths: list[tuple[str, ...]] = [
        (section, key) for section in SECTIONS for key in keys_of(section)
    ]
    paths += [(*inner, key) for inner in SUBSECTIONS for key in keys_known_in(inner) or ()]
    paths = [path for path in paths if path not in SUBSECTIONS]
    return ["__".join(path) if short else variable_name(path) for path in paths]


def _value(path: tuple[str, ...], text: str) -> object:
    """Return what the TOML file would hold for this text; what is no such thing stays text."""
    if path[:2] == ("roster", "columns"):
        return _items(text) if text.lstrip().startswith("[") else text
    annotation: Any = None if len(path) == 3 else keys_of(path[0])[path[1]].annotation
    if annotation is bool:
        return _SWITCHES.get(text.strip().lower(), text)
    if annotation is int:
        return int(text) if text.strip().isascii() and text.strip().isdigit() else text
    if annotation == tuple[str, ...]:
        return _items(text)
    return text


def _items(text: str) -> object:
    if text.lstrip().startswith("["):
        try:
            return tomllib.loads(f"items = {text}")["items"]
        except tomllib.TOMLDecodeError:
            return text
    return [item.strip() for item in text.split(",") if item.strip()]


def near_misses(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has `_` where a setting's name has `__`."""
    meant = {name.replace("__", "_"): name for name in all_variables()}
    return [
        f'{name} sets nothing; did you mean "{meant[name]}"?'
        for name in sorted(environ)
        if name in meant
    ]
