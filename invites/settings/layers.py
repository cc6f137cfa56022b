"""The places that settings come from, each as one layer of keys, and how layers are laid together.

From weakest to strongest: Jitsi's docker names, the settings file (`load` reads it), the
environment with systemd's credentials, the command line.

In the environment a list is written with commas (`a, b`) or as in TOML (`["a", "b"]`); true and
false also as yes and no, on and off, 1 and 0; a key of a table inside a section has a third part
(`INVITES_ROSTER__COLUMNS__EMAIL`, `INVITES_SMTP__M365__TENANT`).
A variable that is empty counts as absent, except for keys where "" is a value.
Names without `__` are not ours: a cluster makes `INVITES_PORT` and the like for its services.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from invites.jitsi.deployment import DOCKER_DOMAIN, TRUE_WORDS, listed
from invites.settings.checks import Fault, nearest
from invites.settings.sections import SECTIONS, SOURCES, SUBSECTIONS, KeyPath, key_name, keys_of

COMMAND_LINE: Final = "command line"
PREFIX: Final = "INVITES_"

CREDENTIALS: Final[dict[str, KeyPath]] = {
    "jitsi.secret": ("jitsi", "secret_file"),
    "jitsi.private_key": ("jitsi", "private_key_file"),
    "jitsi.room_key": ("jitsi", "room_key_file"),
    "smtp.password": ("smtp", "password_file"),
    "smtp.client_secret": ("smtp", "m365", "client_secret_file"),
}
"""The credentials that systemd may hand over, such as `LoadCredential=jitsi.secret:/etc/…`."""

EMPTY_SAYS_SOMETHING: Final = frozenset(
    {
        ("roster", "date_format"),
        ("roster", "yes"),
        ("roster", "no"),
        ("roster", "extra"),
        ("roster", "attendees"),
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

NAMES: Final[dict[KeyPath, str]] = {
    ("jitsi", "url"): "PUBLIC_URL",
    ("jitsi", "app_id"): "JWT_APP_ID",
    ("jitsi", "secret"): "JWT_APP_SECRET",
}
"""The variable that gives a value which `invites` can't do without."""

ANY: Final = "*"
"""What a list has where the server accepts everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was given, hidden in `repr`, and the place that an error names."""

    value: Any = field(repr=False)
    place: str


@dataclass(slots=True)
class Layer:
    """What one place gives, by path; `faults` are keys that don't exist and the like."""

    given: dict[KeyPath, Given] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    jobs: list[Mapping[str, Any]] = field(default_factory=list, repr=False)

    def give(self, path: KeyPath, value: object, place: str) -> None:
        """Take in a value for a key."""
        self.given[path] = Given(value=value, place=place)

    def refuse(self, place: str, sentence: str) -> None:
        """Take in something that is wrong with a name."""
        self.faults.append(Fault(place, sentence))


def keys_known_in(path: KeyPath) -> tuple[str, ...] | None:
    """Return the keys of a section or subsection, None where any key may stand."""
    if len(path) == 1:
        return tuple(keys_of(path[0]))
    model = SUBSECTIONS[path[0], path[1]]
    return None if model is None else tuple(model.model_fields)


def merged(layers: Iterable[Layer]) -> dict[KeyPath, Given]:
    """Return the strongest value for each key; `layers` come weakest first.

    Of several ways to give one secret, those of the strongest layer that has any count alone.
    """
    result: dict[KeyPath, Given] = {}
    for layer in layers:
        for ways in _sources():
            if any(way in layer.given for way in ways):
                for way in ways:
                    result.pop(way, None)
        result.update(layer.given)
    return result


def two_sources(layers: Iterable[Layer]) -> list[Fault]:
    """Return a fault for each secret that one layer gives in two ways."""
    faults: list[Fault] = []
    for layer in layers:
        for ways in _sources():
            places = [layer.given[way].place for way in ways if way in layer.given]
            if len(places) > 1:
                sentence = f"found one secret given twice, by {places[1]} too; keep one of them"
                faults.append(Fault(places[0], sentence))
    return faults


def _sources() -> list[list[KeyPath]]:
    return [[(section, key) for key in keys] for section, keys in SOURCES.items()]


def override_layer(overrides: Mapping[str, object]) -> Layer:
    """Return the layer of flags: values by "section.key"; None says that a flag was not given.

    Raises KeyError for a key that doesn't exist: that is our own mistake, not the user's.
    """
    layer = Layer()
    for name, value in overrides.items():
        path = tuple(name.split("."))
        known = keys_known_in(path[:-1])
        if known is not None and path[-1] not in known:
            raise KeyError(name)
        if value is not None:
            layer.give(path, value, f"{COMMAND_LINE}: {key_name(path)}")
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of `INVITES_SECTION__KEY` and of systemd's credentials."""
    layer = Layer()
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" in name:
            _take_variable(layer, name, environ[name])
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        for credential, path in CREDENTIALS.items():
            file = Path(folder, credential)
            if file.is_file() and path not in layer.given:
                place = f"systemd credential {credential}: {key_name(path)}"
                layer.give(path, str(file.absolute()), place)
    return layer


def _take_variable(layer: Layer, name: str, text: str) -> None:
    path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    if path[0] == "job":
        layer.refuse(name, "jobs stand in the settings file alone; remove the variable")
    elif path in SUBSECTIONS:
        example = next(iter(keys_known_in(path) or ("email",))).upper()
        layer.refuse(name, f"a section has no value; set a key of it, such as {name}__{example}")
    elif not _is_setting(path):
        known = [each.removeprefix(PREFIX) for each in all_variables()]
        near = nearest(name.removeprefix(PREFIX), known)
        remedy = f'did you mean "{PREFIX}{near}"?' if near else "correct its name or remove it"
        layer.refuse(name, f"no setting has this name; {remedy}")
    elif text or path in EMPTY_SAYS_SOMETHING:
        layer.give(path, _value(path, text), f"{name}: {key_name(path)}")


def _is_setting(path: KeyPath) -> bool:
    if len(path) == 2:
        return path[0] in SECTIONS and path not in SUBSECTIONS and path[1] in keys_of(path[0])
    if len(path) != 3 or path[:2] not in SUBSECTIONS:
        return False
    known = keys_known_in(path[:2])
    return bool(path[2]) and (known is None or path[2] in known)


def variable_name(path: KeyPath) -> str:
    """Return the environment variable of a key: `INVITES_SECTION__KEY`."""
    return PREFIX + "__".join(path).upper()


def all_variables() -> list[str]:
    """Return every variable that sets a key."""
    paths: list[KeyPath] = [(section, key) for section in SECTIONS for key in keys_of(section)]
    paths += [(*inner, key) for inner in SUBSECTIONS for key in keys_known_in(inner) or ()]
    return [variable_name(path) for path in paths if path not in SUBSECTIONS]


def _value(path: KeyPath, text: str) -> object:
    """Return what the TOML file would hold for this text; what is no such thing stays text."""
    if path[:2] == ("roster", "columns"):
        return _items(text) if text.lstrip().startswith("[") else text
    annotation: Any = None if len(path) == 3 else keys_of(path[0])[path[1]].annotation
    if annotation is bool:
        return _SWITCHES.get(text.strip().lower(), text)
    if annotation is int:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
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
    """Return a warning for each variable that has `_` where a setting's name has `__`.

    It is no error: a cluster sets `INVITES_SMTP_PORT` for a service named `invites-smtp`.
    """
    meant = {name.replace("__", "_"): name for name in all_variables()}
    return [
        f'{name} in the environment sets nothing; did you mean "{meant[name]}"?'
        for name in sorted(environ)
        if name in meant
    ]


def docker_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of docker-jitsi-meet's variables; an empty one counts as absent."""
    layer = Layer()

    def give(key: str, value: str, name: str) -> None:
        path = ("jitsi", key)
        layer.give(path, value, f"{name}: {key_name(path)}")

    if url := environ.get("PUBLIC_URL", "").strip():
        give("url", url if "://" in url else f"https://{url}", "PUBLIC_URL")
    if issuer := _issuer(environ):
        give("app_id", *issuer)
    audiences = listed(environ, "JWT_ACCEPTED_AUDIENCES")
    if audiences and audiences[0] != ANY:
        give("audience", audiences[0], "JWT_ACCEPTED_AUDIENCES")
    if secret := environ.get("JWT_APP_SECRET"):
        give("secret", secret, "JWT_APP_SECRET")
    if algorithm := environ.get("JWT_SIGN_TYPE", "").strip():
        give("algorithm", algorithm, "JWT_SIGN_TYPE")
    elif environ.get("JWT_ASAP_KEYSERVER", "").strip():
        give("algorithm", "RS256", "JWT_ASAP_KEYSERVER")
    return layer


def _issuer(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the token's issuer and its variable: the app id, or the first accepted issuer.

    The second only where the server accepts others and not the app id: it would refuse that.
    """
    app_id = environ.get("JWT_APP_ID", "").strip()
    accepted = listed(environ, "JWT_ACCEPTED_ISSUERS")
    if accepted and ANY not in accepted and app_id not in accepted:
        return accepted[0], "JWT_ACCEPTED_ISSUERS"
    return (app_id, "JWT_APP_ID") if app_id else None


def xmpp_domain(environ: Mapping[str, str]) -> str | None:
    """Return the domain that the server compares `sub` with, where the environment says it.

    A server that verifies domains and names none has the docker set-up's own.
    """
    if domain := environ.get("XMPP_DOMAIN", "").strip():
        return domain
    verifies = environ.get("JWT_ENABLE_DOMAIN_VERIFICATION", "").strip().lower() in TRUE_WORDS
    return DOCKER_DOMAIN if verifies else None
