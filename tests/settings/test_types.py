"""The forms of single settings."""

from __future__ import annotations

import pytest

from invites.jitsi.rooms import TenantRefused
from invites.settings import types
from invites.settings.types import Listen, Unfit
from invites.text import CellRefused


def test_where_to_listen_is_an_address_and_a_port() -> None:
    """IPv4, a name, or IPv6 in brackets; empty text for nowhere."""
    assert types.listen("127.0.0.1:9108") == Listen(host="127.0.0.1", port=9108)
    assert types.listen("[::1]:9108") == Listen(host="::1", port=9108)
    assert types.listen("") is None


@pytest.mark.parametrize("value", ["9108", ":9108", "::1:9108", "a:0", "a:65536", "a:b", 9108])
def test_what_is_no_address_with_port_is_refused(value: object) -> None:
    """A port alone or one that does not exist is refused."""
    with pytest.raises(Unfit, match="an address and port"):
        types.listen(value)


def test_a_command_is_words_and_no_shell_text() -> None:
    """Text is split as a shell would, a list is taken as it is."""
    assert types.command("pass show 'jitsi app'") == ("pass", "show", "jitsi app")
    assert types.command(["pass", "show", "a b"]) == ("pass", "show", "a b")


@pytest.mark.parametrize("value", ["", "  ", "it's", [], [""], ["a", 1], ["a\0b"], 7, None])
def test_what_is_no_command_is_refused(value: object) -> None:
    """No words, open quotes, or other things than text are refused."""
    with pytest.raises(Unfit, match="a command such as"):
        types.command(value)


def test_a_language_is_a_tag() -> None:
    """Of the form that a roster's cell has, for one is the other's default."""
    assert types.language("pt-br") == "pt-BR"
    for value in ("e", "english language", "de-", "german"):
        with pytest.raises(CellRefused, match="a language tag"):
            types.language(value)
    with pytest.raises(CellRefused, match="did you mean pt-BR"):
        types.language("pt_BR")
    for value in ("", 7):
        with pytest.raises(Unfit, match="text"):
            types.language(value)


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\0", "a\u2028b", "a\u202eb", 7, None, True])
def test_text_is_one_line_that_says_something(value: object) -> None:
    """Empty text, control characters, line separators and bidi overrides are refused."""
    with pytest.raises(Unfit.__base__, match=r"expected (text|one line)"):
        types.text(value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://meet.example.com", "https://meet.example.com"),
        ("https://meet.example.com/", "https://meet.example.com"),
        ("https://Meet.Example.COM:8443/Team.One/", "https://meet.example.com:8443/Team.One"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_url_has_its_host_in_one_spelling_and_no_slash_at_its_end(given: str, url: str) -> None:
    """The host is lower case and ASCII, the path stays, for the tenant is folded apart."""
    assert types.server_url(given) == url


@pytest.mark.parametrize(
    "value",
    [
        "meet.example.com",
        "ftp://meet.example.com",
        "https://",
        "https:///room",
        "https://meet.example.com?jwt=x",
        "https://meet.example.com#x",
        "https://login:word@meet.example.com",
        "https://meet.example.com:0",
        "https://meet.example.com:99999",
        "https://meet.example.com:port",
        "https://meet example.com",
        "https://[::1",
        "https://\u3002\u3002.example",
        7,
        "",
    ],
)
def test_what_is_no_server_is_refused(value: object) -> None:
    """No scheme, another one, no host, a login, a query, a fragment, blanks, bad ports."""
    with pytest.raises(Unfit, match=r"expected (an address such as https|text)"):
        types.server_url(value)


def test_a_path_of_two_segments_is_no_tenant() -> None:
    """The path is the tenant; a room behind it is refused."""
    with pytest.raises(TenantRefused, match="one tenant as the url's path"):
        types.server_url("https://meet.example.com/team/standup")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.9", "[::1]"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    """The name localhost and what is below it, 127.0.0.0/8 and ::1."""
    assert types.is_loopback(host)


@pytest.mark.parametrize("host", ["smtp.example.com", "10.0.0.1", "::2", "localhost.example.com"])
def test_other_machines_are_not_this_one(host: str) -> None:
    """A private address is another machine all the same."""
    assert not types.is_loopback(host)


def test_a_mail_server_is_a_name_or_an_address_alone() -> None:
    """Scheme and port have no place in it, brackets of IPv6 are taken off."""
    assert types.host_name("smtp.example.com") == "smtp.example.com"
    assert types.host_name("[::1]") == "::1"
    for value in ("smtp.example.com:587", "smtp://smtp.example.com", "me@example.com", "a b"):
        with pytest.raises(Unfit, match="a host name or address"):
            types.host_name(value)
