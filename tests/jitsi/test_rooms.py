"""Rooms against an independent model of Jitsi's web client and of its web server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from string import ascii_letters, digits

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from invites.invitation import Server
from invites.jitsi.links import join_link, link_prefix_suffix
from invites.jitsi.rooms import (
    RESERVED_ENDINGS,
    RESERVED_NAMES,
    RoomRefused,
    TenantRefused,
    derived_room,
    room_from_text,
    room_key_from,
    tenant_from_path,
)
from invites.model import Room

KEY = bytes(range(32))

# --- The web client, as read in its source: nothing here is shared with the code under test. ---


def encode_uri_component(text: str) -> str:
    """Return what JavaScript's function of that name makes of `text`."""
    left_alone = ascii_letters + digits + "-_.!~*'()"
    return "".join(
        char if char in left_alone else "".join(f"%{octet:02X}" for octet in char.encode())
        for char in text
    )


def percent_decoded(text: str) -> str:
    """Return what JavaScript's `decodeURIComponent` makes of `text`."""
    octets = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("ascii")
    )
    return octets.decode("utf-8")


def room_on_the_server(segment: str) -> str:
    """Return the room that the web client asks the server for, given a link's last segment."""
    kept = "".join(char for char in segment if char not in ":?#[]@!$&'()*+,;=></\"")
    folded = unicodedata.normalize("NFKC", percent_decoded(kept)).lower()
    return encode_uri_component(folded).lower()


def is_answered_by_the_web_client(segment: str) -> bool:
    """Return whether a Jitsi web server hands the path to the web client, as nginx decides it."""
    path = percent_decoded(segment)
    if path in {".", ".."} or not re.fullmatch(r"[^/?&:'\"\x00]+", path):
        return False
    if re.search(r"\.js$", path, re.IGNORECASE) or path.startswith("__jicofo-health-check"):
        return False
    own = """http-bind xmpp-websocket colibri-ws colibri-relay-ws conference-request rtcstats-ws
             _load-test _unlock .well-known robots.txt manifest.json"""
    return path.lower() not in own.split()


ODD = st.sampled_from(
    [
        *"%4١ǰßİΣ‥…․/*.?!'()~+ ＆＊％／ﬁ℀é",
        "e\u0301",
        "J\u030c",
        "ς",
        "config",
        ".js",
        ".ＪＳ",
        "_api",
        "😀",
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(ODD, max_size=8).map("".join))


@given(TEXTS)
@example("J\u030c")
@example("ΑΣ")
@example("100%")
@example("(a)*b!~")
def test_the_link_leads_to_the_claimed_room(text: str) -> None:
    """For any accepted text the web client makes the claim out of the link's segment."""
    try:
        room = room_from_text(text)
    except RoomRefused:
        reject()
    assert room_on_the_server(room.segment) == room.claim.lower() == room.claim


@given(TEXTS)
def test_nothing_accepted_is_answered_by_the_web_server(text: str) -> None:
    """An accepted room is a page of the web client, never a file or an interface of the server."""
    try:
        room = room_from_text(text)
    except RoomRefused:
        reject()
    assert is_answered_by_the_web_client(room.segment)
    assert re.fullmatch(r"[A-Za-z0-9._~%-]+", room.segment)
    assert len(room.claim.encode()) <= 1023


@given(st.text(alphabet=st.characters(categories=["L", "N", "M"]), min_size=1, max_size=30))
def test_every_word_of_every_script_is_a_room(text: str) -> None:
    """Letters, digits and marks of any script are accepted, and the room is what the rule says."""
    assume(unicodedata.normalize("NFKC", text).lower() not in RESERVED_NAMES)
    room = room_from_text(text)
    folded = unicodedata.normalize("NFKC", text).lower()
    if unicodedata.normalize("NFKC", folded).lower() == folded:
        assert room.claim == encode_uri_component(folded).lower()


@pytest.mark.parametrize(
    ("text", "claim", "segment"),
    [
        ("STANDUP", "standup", "standup"),
        ("team sync", "team%20sync", "team%20sync"),
        ("équipe", "%c3%a9quipe", "%C3%A9quipe"),
        ("e\u0301quipe", "%c3%a9quipe", "%C3%A9quipe"),
        ("Team+Sync", "team%2bsync", "team%2Bsync"),
        ("ＴＥＡＭ", "team", "team"),
        ("…", "...", "..."),
        ("a*(b)!~", "a*(b)!~", "a%2A%28b%29%21~"),
        ("会議", "%e4%bc%9a%e8%ad%b0", "%E4%BC%9A%E8%AD%B0"),
        ("100%", "100%25", "100%25"),
        ("a@b[c];d=e,f$g>h<", "a%40b%5bc%5d%3bd%3de%2cf%24g%3eh%3c", None),
        ("J\u030c", "%c7%b0", "%C7%B0"),
        ("c#", "c%23", "c%23"),
        ("a\\b", "a%5cb", "a%5Cb"),
        ("50%ab", "50%25ab", "50%25ab"),
        ("logo.png", "logo.png", "logo.png"),
        ("etherpad", "etherpad", "etherpad"),
        ("_api", "_api", "_api"),
        ("http-binders", "http-binders", "http-binders"),
    ],
)
def test_a_room_becomes_claim_and_segment(text: str, claim: str, segment: str | None) -> None:
    """The claim and the segment are those that a running Jitsi was seen to accept."""
    room = room_from_text(text)
    assert room.claim == claim
    if segment is not None:
        assert room.segment == segment


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "*", "＊", ".", "..", "‥", "․"),
        *(
            "a&b",
            "a'b",
            "a:b",
            "a?b",
            'a"b',
            "a/b",
            "a／b",
            "℀",
            "＆",
            "../x",
            "/etc/x",
        ),
        *("a%41b", "%2F", "％41", "a%2fb", "a?b#c", "%c3%a9quipe", "50%ab%41"),
        *("config.js", "CONFIG.JS", "interface_config.js", "external_api.js", "x.ＪＳ", ".js"),
        *("http-bind", "xmpp-websocket", "colibri-ws", "colibri-relay-ws", "conference-request"),
        *("rtcstats-ws", "_load-test", "_unlock", ".well-known", "__jicofo-health-check-1"),
        *("robots.txt", "manifest.json", "Robots.TXT"),
        *("a\x00b", "a\nb", "a\x7fb", "a\u2028b", "a\ud800b"),
        *("a" * 1024, "é" * 171),
    ],
)
def test_an_unreachable_room_is_refused(text: str) -> None:
    """What no link reaches, or what is more or less than one room, says what would do instead."""
    with pytest.raises(RoomRefused) as refused:
        room_from_text(text)
    assert refused.value.expected
    assert "\n" not in refused.value.expected


def test_a_room_may_have_1023_bytes_on_the_server() -> None:
    """The limit counts the percent-encoded form, for that is the room's name on the server."""
    assert len(room_from_text("a" * 1023).claim) == 1023
    assert len(room_from_text("é" * 170).claim) == 1020


def test_a_name_is_reserved_only_as_a_whole_and_an_ending_only_at_the_end() -> None:
    """Rooms that merely resemble reserved names are rooms."""
    for name in RESERVED_NAMES:
        assert room_from_text(f"{name}-team").claim == f"{name}-team"
    for ending in RESERVED_ENDINGS:
        assert room_from_text(f"a{ending}x").claim == f"a{ending}x"


@pytest.mark.parametrize("text", ["http-bind-2", "xmpp-websockets", "config-js"])
def test_some_rooms_are_unreachable_below_a_tenant_alone(text: str) -> None:
    """There nginx has expressions without an end, and a dot that is any character."""
    assert room_from_text(text).claim == text
    with pytest.raises(RoomRefused):
        room_from_text(text, tenant="north")


@pytest.mark.parametrize("meeting_id", ["http-bind", "XMPP websocket 7"])
def test_a_derived_room_is_reachable_below_a_tenant(meeting_id: str) -> None:
    """An id that begins like an interface of the server does not show in its room."""
    room = derived_room(meeting_id, KEY)
    assert room_from_text(room.claim, tenant="north") == room


@pytest.mark.parametrize("name", ["static", "sounds", "lang", "libs", "css", "Images", "fonts"])
def test_a_tenant_that_is_a_folder_of_the_web_client_is_refused(name: str) -> None:
    """Every room below it would be 404."""
    with pytest.raises(TenantRefused) as refused:
        tenant_from_path(f"/{name}")
    assert "files of its own" in refused.value.expected


@given(st.text(max_size=60), st.binary(min_size=32, max_size=32))
def test_a_derived_room_is_safe_and_stable(meeting_id: str, key: bytes) -> None:
    """A derived room needs no encoding, is accepted as text, and is the same every time."""
    assume(not any(0xD800 <= ord(char) < 0xE000 for char in meeting_id))
    room = derived_room(meeting_id, key)
    assert room == derived_room(meeting_id, key) == room_from_text(room.claim)
    assert room.claim == room.segment
    slug, _, code = room.claim.rpartition("-")
    assert re.fullmatch(r"[a-z0-9._~-]{1,30}", slug)
    assert re.fullmatch(r"[a-z2-7]{16}", code)


def test_a_derived_room_depends_on_the_key_and_the_whole_meeting_id() -> None:
    """Who knows one room and its meeting's id can't tell another one."""
    first = derived_room("weekly-2031", KEY)
    assert first.claim.startswith("weekly-2031-")
    assert first != derived_room("weekly-2031", KEY[::-1])
    assert derived_room("x" * 40 + "a", KEY) != derived_room("x" * 40 + "b", KEY)
    assert derived_room("Weekly-2031", KEY) != first


def test_a_derived_room_has_the_known_code() -> None:
    """The code is the first 80 bits of HMAC-SHA256 in base32, so that other programs can tell it."""
    code = base64.b32encode(hmac.new(KEY, "Zürich 1".encode(), hashlib.sha256).digest())[:16]
    assert derived_room("Zürich 1", KEY).claim == f"zurich-1-{code.decode().lower()}"


def test_a_slug_that_is_cut_at_a_blank_ends_without_a_hyphen() -> None:
    """The hyphen before the code is the only one there."""
    room = derived_room(f"{'x' * 29} y", KEY)
    assert re.fullmatch(r"x{29}-[a-z2-7]{16}", room.claim)


def test_an_id_without_latin_letters_still_gives_a_room() -> None:
    """A slug of nothing is replaced by a word, so that no room starts with a hyphen."""
    assert derived_room("会議", KEY).claim.startswith("meeting-")


def test_the_room_key_of_a_secret_does_not_show_the_secret() -> None:
    """The key that stands in for a room key file is derived, and moves with the secret."""
    assert len(room_key_from(b"a" * 32)) == 32
    assert room_key_from(b"a" * 32) != room_key_from(b"b" * 32) != b"b" * 32


@pytest.mark.parametrize(
    ("path", "tenant"),
    [
        ("", None),
        ("/", None),
        ("/team", "team"),
        ("/Team.North", "team_north"),
        ("/team/", "team"),
        ("/vpaas-magic-cookie-0123abc", "vpaas-magic-cookie-0123abc"),
    ],
)
def test_a_tenant_is_folded_as_the_web_client_folds_it(path: str, tenant: str | None) -> None:
    """Dots become underscores and letters lower case."""
    assert tenant_from_path(path) == tenant


@pytest.mark.parametrize("path", ["/a/b", "/a b", "/a%2Fb", "/é", "/a?b", "/*"])
def test_a_path_that_is_no_tenant_is_refused(path: str) -> None:
    """A url with several segments or odd characters is no tenant."""
    with pytest.raises(TenantRefused):
        tenant_from_path(path)


def server(link: str = "query", path: str = "") -> Server:
    """Return a server as the settings give it."""
    return Server(
        url=f"https://meet.example.com{path}",
        host="meet.example.com",
        app_id="app",
        subject="meet.example.com",
        link="fragment" if link == "fragment" else "query",
    )


def test_the_token_stands_raw_in_the_query() -> None:
    """The web client does not decode the query's value, so nothing is encoded in it."""
    room = Room(claim="team%20sync", segment="team%20sync")
    assert join_link(server(), room, "a.b-_.c") == (
        "https://meet.example.com/team%20sync?jwt=a.b-_.c"
    )


def test_the_token_stands_as_json_in_the_fragment() -> None:
    """The web client reads the fragment's value as JSON and ignores it without quotes."""
    room = Room(claim="sync", segment="sync")
    assert join_link(server("fragment", "/Team.North"), room, "a.b.c") == (
        "https://meet.example.com/Team.North/sync#jwt=%22a.b.c%22"
    )


def test_a_link_is_its_prefix_the_token_and_its_suffix() -> None:
    """What a meeting's links share can be made once."""
    for link in ("query", "fragment"):
        room = Room(claim="sync", segment="sync")
        prefix, suffix = link_prefix_suffix(server(link), room)
        assert prefix + "a.b.c" + suffix == join_link(server(link), room, "a.b.c")
