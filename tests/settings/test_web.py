"""The server's url, mail servers' names, and which of them are this machine."""

from __future__ import annotations

import pytest

from invites.jitsi.rooms import TenantRefused
from invites.settings import web
from invites.settings.values import Unfit


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
    assert web.server_url(given) == url


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
        web.server_url(value)


def test_a_path_of_two_segments_is_no_tenant() -> None:
    """The path is the tenant; a room behind it is refused."""
    with pytest.raises(TenantRefused, match="one tenant as the url's path"):
        web.server_url("https://meet.example.com/team/standup")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.9", "[::1]"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    """The name localhost and what is below it, 127.0.0.0/8 and ::1."""
    assert web.is_loopback(host)


@pytest.mark.parametrize("host", ["smtp.example.com", "10.0.0.1", "::2", "localhost.example.com"])
def test_other_machines_are_not_this_one(host: str) -> None:
    """A private address is another machine all the same."""
    assert not web.is_loopback(host)


def test_a_mail_server_is_a_name_or_an_address_alone() -> None:
    """Scheme and port have no place in it, brackets of IPv6 are taken off."""
    assert web.host_name("smtp.example.com") == "smtp.example.com"
    assert web.host_name("[::1]") == "::1"
    for value in ("smtp.example.com:587", "smtp://smtp.example.com", "me@example.com", "a b"):
        with pytest.raises(Unfit, match="a host name or address"):
            web.host_name(value)
