"""How a Jitsi server is set up: what its docker `.env` or Prosody's configuration says of it.

Sources: docker-jitsi-meet's `jitsi-meet.cfg.lua` and `jicofo.conf`, and the defaults of
`token/util.lib.lua`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

DOCKER_DOMAIN: Final = "meet.jitsi"
"""The XMPP domain of docker-jitsi-meet where its `.env` names none."""

ROLE_MODULES: Final = frozenset(
    {"token_affiliation", "token_affiliation_legacy", "token_moderation"}
)
"""The MUC modules that read the token's moderator flag."""

_DOCKER: Final = ("PUBLIC_URL", "XMPP_DOMAIN", "JWT_APP_ID")
TRUE_WORDS: Final = frozenset({"1", "t", "true", "y", "yes", "on"})
"""What docker-jitsi-meet's scripts take for true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is known of a server; what nothing is known of is None.

    `names` says by whose names a line is told that has to change.
    `issuers` and `audiences` are what it accepts, `*` among them for any; `domain` is Prosody's.
    `takes_tokens` is false where it authenticates otherwise, `lets_in_without` true where it lets
    people in without a token as well.
    `secret` is the one that the server checks tokens with.
    `auto_owner` and `jicofo_authenticates` are jicofo's; `host_rules` is Prosody's
    `wait_for_host_disable_auto_owners`.
    `modules` are the MUC component's, `presence_identity` the host's module of that name.
    """

    names: Literal["docker", "prosody"] | None = None
    issuers: tuple[str, ...] | None = None
    audiences: tuple[str, ...] | None = None
    domain: str | None = None
    verifies_domains: bool | None = None
    key_server: str | None = None
    algorithm: str | None = None
    secret: bytes | None = field(default=None, repr=False)
    takes_tokens: bool | None = None
    lets_in_without: bool | None = None
    modules: frozenset[str] | None = None
    presence_identity: bool | None = None
    auto_owner: bool | None = None
    jicofo_authenticates: bool | None = None
    host_rules: bool | None = None

    def told(self, docker: str, prosody: str) -> str:
        """Return a name or a line to change as this server has it."""
        return docker if self.names == "docker" else prosody


UNKNOWN: Final = Deployment()
"""A server of which nothing is known."""


def from_docker(environ: Mapping[str, str], *, whole: bool) -> Deployment:
    """Return what docker-jitsi-meet's variables say.

    `whole` is true for the server's own `.env`, where what is not named has docker's default; in
    somebody's environment it may merely be left out.
    """

    def flag(name: str, *, default: bool | None) -> bool | None:
        said = environ.get(name, "").strip().lower()
        return said in TRUE_WORDS if said else default if whole else None

    if not whole and not any(environ.get(name) for name in (*_DOCKER, *_SAID_ALONE)):
        return UNKNOWN
    # jicofo.conf takes ENABLE_AUTH where JICOFO_ENABLE_AUTH is not named: the usual trap.
    authenticates = flag("ENABLE_AUTH", default=False)
    kind = environ.get("AUTH_TYPE") or ("internal" if whole else None)
    modules = listed(environ, "XMPP_MUC_MODULES")
    # Without a list the plugin accepts its own app id alone, and every audience.
    issuers = listed(environ, "JWT_ACCEPTED_ISSUERS") or listed(environ, "JWT_APP_ID")
    audiences = listed(environ, "JWT_ACCEPTED_AUDIENCES") or (["*"] if whole else [])
    named = whole or any(environ.get(name) for name in _DOCKER)
    presence = "presence_identity" in listed(environ, "XMPP_MODULES")
    return Deployment(
        names="docker",
        issuers=tuple(issuers) or None,
        audiences=tuple(audiences) or None,
        domain=environ.get("XMPP_DOMAIN") or (DOCKER_DOMAIN if named else None),
        verifies_domains=flag("JWT_ENABLE_DOMAIN_VERIFICATION", default=False),
        key_server=environ.get("JWT_ASAP_KEYSERVER") or None,
        algorithm=environ.get("JWT_SIGN_TYPE") or None,
        secret=environ.get("JWT_APP_SECRET", "").encode() or None if whole else None,
        takes_tokens=bool(authenticates) and kind == "jwt" if whole else None,
        lets_in_without=(
            flag("JWT_ALLOW_EMPTY", default=False) or flag("ENABLE_GUESTS", default=False)
        ),
        modules=frozenset(modules) if modules or whole else None,
        presence_identity=presence or (False if whole else None),
        auto_owner=flag("ENABLE_AUTO_OWNER", default=True),
        jicofo_authenticates=flag("JICOFO_ENABLE_AUTH", default=authenticates),
        host_rules=flag("WAIT_FOR_HOST_DISABLE_AUTO_OWNERS", default=False),
    )


_SAID_ALONE: Final = (
    "JWT_ACCEPTED_ISSUERS",
    "JWT_ACCEPTED_AUDIENCES",
    "JWT_ENABLE_DOMAIN_VERIFICATION",
    "JWT_ASAP_KEYSERVER",
    "JWT_SIGN_TYPE",
    "JICOFO_ENABLE_AUTH",
)


def listed(environ: Mapping[str, str], name: str) -> list[str]:
    """Return what a variable lists with commas."""
    return [one for one in (part.strip() for part in environ.get(name, "").split(",")) if one]


def env_file(text: str) -> dict[str, str]:
    """Return the variables of a docker `.env`: quotes taken off, comments left out."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in {'"', "'"}:
            value = value[1:].partition(value[0])[0]
        else:
            value = re.split(r"\s#", f" {value}", maxsplit=1)[0].strip()
        variables[name.strip()] = value
    return variables


def from_prosody(text: str, *, host: str) -> Deployment:
    """Return what Prosody's configuration says of the host that takes tokens.

    Of several it is the one called `host`, or else the first.
    Jicofo is not set up in this file, so that its part stays unknown.
    """
    common, sections = _sections(text)
    hosts = [one for one in sections if one.kind == "VirtualHost" and _takes_tokens(one, common)]
    if not hosts:
        return Deployment(names="prosody", takes_tokens=False)
    chosen = next((one for one in hosts if one.name == host), hosts[0])
    options = {**common, **chosen.options}
    app_id = options.get("app_id")
    issuers = _strings(options.get("asap_accepted_issuers")) or _strings(app_id)
    rooms = _rooms_of(sections, chosen)
    room_options = {**common, **rooms.options} if rooms is not None else common
    return Deployment(
        names="prosody",
        issuers=issuers or None,
        audiences=_strings(options.get("asap_accepted_audiences")) or ("*",),
        domain=chosen.name,
        verifies_domains=options.get("enable_domain_verification", True) is True,
        key_server=next(iter(_strings(options.get("asap_key_server"))), None),
        algorithm=next(iter(_strings(options.get("signature_algorithm"))), None),
        secret=_secret(options.get("app_secret")),
        takes_tokens=True,
        lets_in_without=options.get("allow_empty_token") is True or _has_guests(sections, common),
        modules=None if rooms is None else frozenset(_strings(room_options.get("modules_enabled"))),
        presence_identity="presence_identity" in _strings(options.get("modules_enabled")),
        host_rules=room_options.get("wait_for_host_disable_auto_owners") is True,
    )


_Value = str | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """A `VirtualHost` or `Component` and its own options."""

    kind: str
    name: str
    plugin: str
    options: dict[str, _Value]


_LUA_TOKEN: Final = re.compile(
    r"""--\[\[(?:.*?\]\]|.*+)|--[^\n]*+             # comments
    |"((?:\\.|[^"\\\n])*+)"|'((?:\\.|[^'\\\n])*+)'   # strings
    |([A-Za-z_]\w*+)|([={}])                         # names and what assigns""",
    re.DOTALL | re.VERBOSE,
)


def _sections(text: str) -> tuple[dict[str, _Value], list[_Section]]:
    """Return the global options and the sections of a Prosody configuration, which is Lua.

    Strings, true, false and lists of strings are understood, and nothing is computed.
    """
    common: dict[str, _Value] = {}
    sections: list[_Section] = []
    options = common
    tokens = list(_lua_tokens(text))
    at = 0
    while at < len(tokens):
        kind, word = tokens[at]
        following = tokens[at + 1 : at + 3]
        if kind == "name" and word in {"VirtualHost", "Component"}:
            names = [said for what, said in following if what == "string"]
            options = {}
            plugin = names[1] if word == "Component" and len(names) > 1 else ""
            sections.append(_Section(word, names[0] if names else "", plugin, options))
        # A table's inner names (`ssl = { key = … }`) never come here: the value swallows them.
        elif kind == "name" and following[:1] == [("mark", "=")] and len(following) == 2:
            at, options[word] = _lua_value(tokens, at + 2)
            continue
        at += 1
    return common, sections


def _lua_tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in _LUA_TOKEN.finditer(text):
        double, single, name, mark = found.groups()
        if name is not None:
            yield "name", name
        elif mark is not None:
            yield "mark", mark
        elif double is not None or single is not None:
            yield "string", double if double is not None else single


def _lua_value(tokens: list[tuple[str, str]], at: int) -> tuple[int, _Value]:
    """Return the value that begins at a token, and the number of the token behind it."""
    kind, word = tokens[at]
    if (kind, word) != ("mark", "{"):
        return at + 1, word if kind == "string" else word == "true"
    depth, strings = 0, []
    while at < len(tokens):
        kind, word = tokens[at]
        depth += {"{": 1, "}": -1}.get(word, 0) if kind == "mark" else 0
        at += 1
        if depth == 0:
            break
        if kind == "string" and depth == 1:
            strings.append(word)
    return at, tuple(strings)


def _strings(value: _Value | None) -> tuple[str, ...]:
    """Return an option's texts: one, several, or none."""
    match value:
        case str():
            return (value,)
        case tuple():
            return value
        case _:
            return ()


def _secret(value: _Value | None) -> bytes | None:
    """Return a secret that is written without escapes; of another one it is not known what it is."""
    return value.encode() if isinstance(value, str) and "\\" not in value else None


def _takes_tokens(section: _Section, common: Mapping[str, _Value]) -> bool:
    return {**common, **section.options}.get("authentication") == "token"


def _has_guests(sections: list[_Section], common: Mapping[str, _Value]) -> bool:
    hosts = (one for one in sections if one.kind == "VirtualHost")
    merged = ({**common, **one.options}.get("authentication") for one in hosts)
    return any(kind in {"anonymous", "jitsi-anonymous"} for kind in merged)


def _rooms_of(sections: list[_Section], host: _Section) -> _Section | None:
    """Return the MUC component of the meetings: it verifies tokens, or has the host's name."""
    components = [one for one in sections if one.plugin == "muc"]
    # The breakout rooms, the lobby and jicofo's own rooms are MUC components as well.
    for one in components:
        if "token_verification" in _strings(one.options.get("modules_enabled")):
            return one
    named = (f"conference.{host.name}", f"muc.{host.name}")
    return next((one for one in components if one.name in named), None)
