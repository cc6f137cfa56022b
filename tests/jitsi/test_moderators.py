"""What each person will be at the door of a server whose own file is at hand."""

from __future__ import annotations

import pytest

from invites.invitation import Server
from invites.jitsi.deployment import Deployment, env_file, from_docker, from_prosody
from invites.jitsi.moderators import at_the_door

SERVER = Server(
    url="https://meet.example.com", host="meet.example.com", app_id="my_app", subject="meet.jitsi"
)
RIGHT = {
    "ENABLE_AUTH": "1",
    "AUTH_TYPE": "jwt",
    "JWT_APP_ID": "my_app",
    "ENABLE_AUTO_OWNER": "0",
    "JICOFO_ENABLE_AUTH": "0",
    "XMPP_MUC_MODULES": "token_affiliation",
}
PROSODY = """
-- the host's own file, as Debian's package writes it
plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }
asap_accepted_issuers = { "my_app", "other" } --[[ two of
them ]] asap_accepted_audiences = { "jitsi" }

VirtualHost "meet.example.com"
    authentication = "token";
    app_id = 'my_app'
    app_secret = "-- no comment { } \\" VirtualHost"
    allow_empty_token = false
    ssl = { key = "/etc/prosody/certs/meet.example.com.key"; certificate = "x.crt"; }
    modules_enabled = {
        "bosh"; "presence_identity"; -- "muc_lobby_rooms";
    }
    c2s_require_encryption = false

VirtualHost "auth.meet.example.com"
    authentication = "internal_hashed"

Component "conference.meet.example.com" "muc"
    storage = "memory"
    modules_enabled = {
        "muc_meeting_id";
        "token_verification";
        "token_affiliation";
    }
    muc_room_locking = false

Component "internal.auth.meet.example.com" "muc"
    modules_enabled = { "ping"; }
"""


def docker(**changed: str) -> Deployment:
    """Return what a whole .env says that is right but for these lines ("" leaves one out)."""
    return from_docker({**RIGHT, **changed}, whole=True)


def door(deployment: Deployment, server: Server = SERVER) -> list[bool | None]:
    """Return for each person whether it will be what is meant: marked, not marked, no token."""
    return [person.as_meant for person in at_the_door(server, deployment)]


def lines(deployment: Deployment) -> str:
    """Return all lines to change."""
    return "\n".join(line for one in at_the_door(SERVER, deployment) for line in one.lines)


def test_a_server_that_is_set_up_for_tokens_makes_of_each_what_is_meant() -> None:
    """Who is marked moderates, who is not does not, and who has no token stays outside."""
    assert door(docker()) == [True, True, True]
    assert lines(docker()) == ""
    first, second, third = at_the_door(SERVER, docker())
    assert "joins as a moderator" in first.becomes
    assert "without moderator's rights" in second.becomes
    assert "not let in" in third.becomes


@pytest.mark.parametrize(
    ("changed", "as_meant", "line"),
    [
        ({"JICOFO_ENABLE_AUTH": ""}, [True, False, True], "JICOFO_ENABLE_AUTH=0"),
        ({"JICOFO_ENABLE_AUTH": "true"}, [True, False, True], "JICOFO_ENABLE_AUTH=0"),
        ({"ENABLE_AUTO_OWNER": ""}, [True, False, True], "ENABLE_AUTO_OWNER=0"),
        ({"ENABLE_AUTO_OWNER": "1"}, [True, False, True], "ENABLE_AUTO_OWNER=0"),
        ({"XMPP_MUC_MODULES": ""}, [False, True, True], "XMPP_MUC_MODULES=token_affiliation"),
        ({"XMPP_MUC_MODULES": "polls"}, [False, True, True], "XMPP_MUC_MODULES=token_affiliation"),
        ({"XMPP_MUC_MODULES": "token_moderation"}, [False, True, True], '"root"'),
        (
            {"XMPP_MUC_MODULES": "token_affiliation, muc_allowners"},
            [True, False, True],
            "muc_allowners",
        ),
        (
            {"XMPP_MUC_MODULES": "token_affiliation,muc_wait_for_host"},
            [True, False, True],
            "WAIT_FOR_HOST_DISABLE_AUTO_OWNERS=1",
        ),
        ({"JWT_ALLOW_EMPTY": "1"}, [True, True, None], "JWT_ALLOW_EMPTY=0"),
        ({"ENABLE_GUESTS": "1"}, [True, True, None], "ENABLE_GUESTS=0"),
        ({"AUTH_TYPE": ""}, [False, True, False], "AUTH_TYPE=jwt"),
        ({"ENABLE_AUTH": "0"}, [False, True, False], "ENABLE_AUTH=1"),
    ],
)
def test_each_line_of_a_docker_env_that_is_wrong_is_named(
    changed: dict[str, str], as_meant: list[bool | None], line: str
) -> None:
    """One line at a time, with docker's own default where the line is left out."""
    deployment = docker(**changed)
    assert door(deployment) == as_meant
    assert line in lines(deployment)


def test_muc_wait_for_host_is_right_where_it_makes_no_owners() -> None:
    """Its own switch keeps it from making every token holder an owner."""
    modules = "token_affiliation,muc_wait_for_host"
    assert door(docker(XMPP_MUC_MODULES=modules, WAIT_FOR_HOST_DISABLE_AUTO_OWNERS="1")) == (
        [True, True, True]
    )


def test_an_env_file_is_read_as_docker_reads_it() -> None:
    """Quotes and comments are none of the value."""
    text = "# ENABLE_AUTH=0\nexport A=1\nB='x # y'\nC=\"two words\" # why\nD=a#b\nE=x # y\n=\nF\nG="
    assert env_file(text) == {
        "A": "1",
        "B": "x # y",
        "C": "two words",
        "D": "a#b",
        "E": "x",
        "": "",
        "G": "",
    }


def test_prosodys_file_says_what_is_known_there() -> None:
    """The host that takes tokens, its own options before the global ones, and its MUC component."""
    assert from_prosody(PROSODY, host="meet.example.com") == Deployment(
        names="prosody",
        issuers=("my_app", "other"),
        audiences=("jitsi",),
        domain="meet.example.com",
        verifies_domains=True,
        takes_tokens=True,
        lets_in_without=False,
        modules=frozenset({"muc_meeting_id", "token_verification", "token_affiliation"}),
        presence_identity=True,
        host_rules=False,
    )


def test_jicofos_part_is_said_to_be_unknown_in_prosodys_file() -> None:
    """Whether it authenticates stands in jicofo.conf, and that file's line is named."""
    deployment = from_prosody(PROSODY, host="meet.example.com")
    assert door(deployment) == [True, None, True]
    assert "jicofo.authentication" in lines(deployment)
    assert "enable-auto-owner = false in jicofo.conf" in lines(deployment)


@pytest.mark.parametrize(
    ("old", "new", "as_meant", "line"),
    [
        ('"token_affiliation";', "", [False, None, True], '"token_affiliation"'),
        ('"token_affiliation";', '"token_affiliation"; "muc_allowners";', [True, False, True], ""),
        ("allow_empty_token = false", "allow_empty_token = true", [True, None, None], "empty"),
        ('authentication = "token"', 'authentication = "anonymous"', [False, None, False], "token"),
        (
            'VirtualHost "auth.meet.example.com"\n    authentication = "internal_hashed"',
            'VirtualHost "guest.meet.example.com"\n    authentication = "anonymous"',
            [True, None, None],
            "guests",
        ),
    ],
)
def test_each_line_of_prosodys_file_that_is_wrong_is_named(
    old: str, new: str, as_meant: list[bool | None], line: str
) -> None:
    """One change at a time; what the file does not say is neither good nor bad."""
    assert old in PROSODY
    deployment = from_prosody(PROSODY.replace(old, new), host="meet.example.com")
    assert door(deployment) == as_meant
    assert line in lines(deployment)


def test_of_several_hosts_with_tokens_the_settings_one_is_looked_at() -> None:
    """By its name, or else the first in the file."""
    other = PROSODY.replace("meet.example.com", "other.example.com")
    both = f"{other}\n{PROSODY}"
    assert from_prosody(both, host="meet.example.com").domain == "meet.example.com"
    assert from_prosody(both, host="jitsi.example.com").domain == "other.example.com"


@pytest.mark.parametrize("text", ["", "{", "a =", 'VirtualHost "x', "= = {{", "--[[", 'x = { "a'])
def test_what_is_no_configuration_takes_no_tokens(text: str) -> None:
    """A file that somebody took for Prosody's is no reason to fail."""
    assert from_prosody(text, host="x") == Deployment(names="prosody", takes_tokens=False)
