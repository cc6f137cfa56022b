"""Join links are weighed before anything is minted: exactly, and nobody is missed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.invitation import Server
from invites.jitsi.links import LINK_REFUSE_ABOVE, LinkLengths, join_link
from invites.jitsi.rooms import derived_room, room_from_text
from invites.jitsi.tokens import Minter, SigningKey, hmac_octets
from invites.model import Attendee, Room, Validity
from invites.settings.secrets import new_key_pair
from tests.roster.test_roster import only, read, refused

SECRET = SigningKey.from_secret(bytes(range(100, 180)), "HS256")
PRIVATE = SigningKey.from_pem(new_key_pair(2048).private_pem, "RS256", key_id="app/key-1")
ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS512"]
PRINTABLE = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60)
TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=60
)


def attendees(text: st.SearchStrategy[str]) -> st.SearchStrategy[Attendee]:
    """Return attendees whose fields are such texts, some of them long."""
    long = st.builds(lambda part, times: part * times, text, st.integers(0, 40))
    return st.builds(
        Attendee,
        name=text,
        email=text,
        mailbox=text,
        address=text,
        moderator=st.booleans(),
        avatar=text | long,
        user_id=text | long,
        group=text | long,
        features=st.lists(st.sampled_from(["recording", "-lobby"]) | text, max_size=5).map(tuple),
    )


SERVERS = st.builds(
    Server,
    url=st.sampled_from(["https://meet.example.com", "https://meet.example.com/" + "team" * 50]),
    host=st.just("meet.example.com"),
    app_id=TEXT,
    subject=TEXT,
    audience=TEXT,
    algorithm=st.sampled_from(ALGORITHMS),
    key_id=st.none() | TEXT,
    link=st.sampled_from(["query", "fragment"]),
    moderator_claims=st.lists(
        st.sampled_from(["context", "affiliation", "root", "lobby_bypass"])
    ).map(tuple),
    profile=st.sampled_from(["jitsi", "jaas"]),
)
ROOMS = st.none() | st.sampled_from(
    [room_from_text("sync"), room_from_text("日本語の会議" * 10), room_from_text("a~!*" * 200)]
)
WINDOWS = st.builds(
    lambda start, length: Validity(not_before=start, expires=start + length),
    st.integers(-62_135_596_800, 253_402_300_799),
    st.integers(1, 90_000),
)


def key_for(server: Server) -> SigningKey:
    """Return a key of the server's algorithm and name."""
    key = PRIVATE if server.algorithm.startswith("RS") else SECRET
    return replace(key, algorithm=server.algorithm, key_id=server.key_id)


def minted_length(server: Server, attendee: Attendee, room: Room, window: Validity) -> int:
    """Return how many characters the link really has."""
    token = Minter(server, key_for(server)).for_meeting(room, window)(attendee)
    return len(join_link(server, room, token))


PADS = {"a": 1, '"': 2, "é": 6, "\U0001f600": 12, "\u2003": 6}
"""Characters, and the octets that each becomes in JSON."""


def near_the_limit(length: int, attendee: Attendee, pad: str, *, off_by: int) -> Attendee:
    """Return an attendee whose link had `length` characters, with one of about the limit now."""
    octets = (LINK_REFUSE_ABOVE - length) * 3 // 4
    if pad in PADS:
        return replace(attendee, group=attendee.group + pad * max(0, octets // PADS[pad] + off_by))
    names = (f"{number:x}" for number in range(max(0, octets // 13 + off_by)))
    return replace(attendee, features=(*attendee.features, *names))


@given(
    attendees(st.just("")) | attendees(PRINTABLE) | attendees(TEXT),
    SERVERS,
    ROOMS,
    WINDOWS,
    st.sampled_from([*PADS, "features"]),
    st.integers(-4, 4),
)
def test_what_is_too_long_when_it_is_minted_is_seen_before_and_nothing_else(
    attendee: Attendee,
    server: Server,
    named: Room | None,
    window: Validity,
    pad: str,
    off_by: int,
) -> None:
    """Whatever the fields, rooms and settings; the length is told to the character."""
    room = named or derived_room("weekly", b"the real room key")
    scales = LinkLengths(server, signature_octets=key_for(server).signature_octets)
    plain = minted_length(server, attendee, room, window)
    people = [attendee, near_the_limit(plain, attendee, pad, off_by=off_by)]
    weighed = derived_room("weekly", b"") if named is None else room
    suspects = scales.suspects(people, named)
    found = list(scales.too_long(suspects, room=weighed, validity=window))
    lengths = [(person, minted_length(server, person, room, window)) for person in people]
    assert found == [each for each in lengths if each[1] > LINK_REFUSE_ABOVE]


def test_nobody_of_an_ordinary_roster_has_to_be_weighed() -> None:
    """Names, addresses and avatars as people have them cost next to nothing."""
    server = Server(
        url="https://meet.example.com", host="meet.example.com", app_id="app", subject="meet.jitsi"
    )
    person = Attendee(
        name="Zoë Müller-Lüdenscheidt",
        email="zoe.mueller@hospital.example.org",
        mailbox="zoe.mueller@hospital.example.org",
        address="zoe.mueller@hospital.example.org",
        avatar="https://people.example.org/avatars/zoe.mueller/large.png",
        features=("recording", "livestreaming"),
        group="cardiology",
    )
    assert LinkLengths(server, signature_octets=32).suspects([person], None) == []


SCALES = LinkLengths(
    Server(url="https://meet.example.com", host="meet.example.com", app_id="app", subject="x"),
    signature_octets=32,
)
WIDE = {"avatar": "https://example.org/" + "a" * 1_900}
BOB = {"name": "Bob Example", "email": "bob@example.org"}


def test_every_row_whose_link_is_too_long_is_a_problem_among_the_others() -> None:
    """In row order; each row of an address that is written twice is one."""
    refusal = refused(WIDE, {**BOB, "email": "bob"}, {**BOB, **WIDE}, {**WIDE}, links=SCALES)
    assert [(one.row, one.column) for one in refusal.problems] == [
        (2, None),
        (3, "email"),
        (4, None),
        (5, None),
    ]
    assert refusal.problems[0].expected.startswith("the join link would have 2,9")
    assert not any(one.refuses_file for one in refusal.problems)


def test_a_row_whose_link_is_too_long_is_left_out_where_that_is_wanted() -> None:
    """Its meeting is incomplete then, so that nobody is withdrawn."""
    roster = read(WIDE, BOB, links=SCALES, skip_invalid=True)
    assert [person.name for person in only(roster).attendees] == ["Bob Example"]
    assert (roster.accepted, roster.rejected, only(roster).incomplete) == (1, 1, True)
    assert [problem.row for problem in roster.left_out] == [2]
    roster = read(WIDE, {**BOB, "meeting_id": "other"}, links=SCALES, skip_invalid=True)
    assert (only(roster).id, roster.left_out_meetings) == ("other", ("weekly",))


def test_rows_of_one_address_that_differ_are_told_for_both_faults() -> None:
    """The one with the long link is too long, and both clash."""
    refusal = refused(WIDE, {}, links=SCALES)
    assert [(one.row, one.column) for one in refusal.problems] == [
        (2, None),
        (2, "email"),
        (3, "email"),
    ]


def test_a_long_room_of_the_meeting_makes_links_too_long_for_all_its_rows() -> None:
    """A row with an empty cell takes the room of another row."""
    refusal = refused({"room": "ü" * 160}, BOB, links=SCALES)
    assert [one.row for one in refusal.problems] == [2, 3]


def test_a_cancelled_meeting_has_no_links_that_could_be_too_long() -> None:
    """What cancels it has no link, and has to go out."""
    roster = read({**WIDE, "status": "cancelled"}, links=SCALES)
    assert roster.rejected == 0


def test_links_are_not_weighed_where_nothing_is_known_of_the_server() -> None:
    """A roster can be checked without settings."""
    assert read(WIDE).rejected == 0


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_does_not_matter_for_the_length_of_its_signatures(algorithm: str) -> None:
    """A roster can be weighed where there is none."""
    for secret in (b"short", b"long" * 100):
        key = SigningKey.from_secret(secret, algorithm)
        assert key.signature_octets == hmac_octets(algorithm)
