"""`inspect` and what `build` makes: the one admits whatever the other made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from invites.errors import RosterRefusedError
from invites.inspection import contents_of, inspected
from invites.invitation import Server
from invites.jitsi.admission import AdmissionState
from invites.jitsi.deployment import UNKNOWN, Deployment
from invites.jitsi.links import LinkLengths
from invites.jitsi.rooms import tenant_from_path
from invites.model import Meeting, Roster
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.table import Chunk, Table
from tests.factory import KEY, Factory

STRICT = Deployment(verifies_domains=True, presence_identity=True, audiences=("jitsi",))
"""A server that refuses or hangs wherever one does."""

LATIN = "abcXYZ019 ()!*~@$+,;=<>[]{}|^`#\\%._-'&:?\"/"
ROOMS = st.one_of(
    st.just(""),
    st.text(alphabet=LATIN, max_size=30),
    st.text(max_size=12),
    st.sampled_from(
        ["Team (A) *!", "c#", "a\\b", "50%ab", "http-bind-2", "é" * 40, "…x", "ﬁ", "config.js.x"]
    ),
)
NAMES = st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=30)
ROWS = st.fixed_dictionaries(
    {
        "room": ROOMS,
        "name": NAMES,
        "moderator": st.sampled_from(["", "x"]),
        "features": st.sampled_from(["", "recording", "-screen-sharing lobby", "of-tomorrow"]),
        "user_id": st.one_of(st.just(""), NAMES),
        "group": st.one_of(st.just(""), NAMES),
        "timezone": st.sampled_from(["", "Europe/Berlin", "Asia/Kathmandu"]),
        "attendee_timezone": st.sampled_from(["", "America/New_York"]),
    }
)


def server_of(path: str, **facts: Any) -> Server:
    """Return a server as the settings give it: with a tenant, the subject is the tenant."""
    tenant = tenant_from_path(path)
    return Server(
        url=f"https://meet.example.com{path}",
        host="meet.example.com",
        app_id="the_app",
        subject=tenant or "meet.example.com",
        tenant=tenant,
        **facts,
    )


SERVERS = st.builds(
    server_of,
    st.sampled_from(["", "/north", "/Team.North"]),
    link=st.sampled_from(["query", "fragment"]),
    moderator_claims=st.sampled_from([("context",), ("affiliation", "root", "lobby_bypass")]),
)


JAAS = st.just(server_of("/the_app", profile="jaas"))


def roster_of(rows: list[dict[str, str]], server: Server) -> Roster:
    """Return the roster of these cells, one meeting a row; what it refuses is no roster."""
    full = [
        {
            "meeting_id": f"weekly (*!) {number}",
            "title": "Weekly",
            "start": "2031-12-02 09:00",
            "end": "2031-12-02 10:00",
            "email": f"attendee{number}@example.org",
            **row,
        }
        for number, row in enumerate(rows)
    ]
    header = tuple(full[0])
    columns = [[row[name] for row in full] for name in header]
    table = Table(
        source="roster.csv",
        digest="0" * 64,
        header=header,
        rows=[Chunk(range(2, len(full) + 2), columns)],
    )
    rules = RosterRules(links=LinkLengths(server, signature_octets=KEY.signature_octets))
    try:
        return parse_roster(table, rules, skip_invalid=True)
    except RosterRefusedError:
        reject()


def states(
    factory: Factory, server: Server, meeting: Meeting, *at: datetime
) -> list[AdmissionState]:
    """Return what the messages and calendars of a meeting come to at some instants."""
    composer = factory.composer(server=server)
    found: list[AdmissionState] = []
    for invitation in composer.compose(meeting, factory.revision):
        for octets in (invitation.eml, invitation.ics):
            for deployment in (UNKNOWN, STRICT):
                inspection = inspected(
                    contents_of(octets), at, server=server, key=KEY, deployment=deployment
                )
                assert inspection.contents.disagreement == ()
                (token,) = inspection.tokens
                assert token.signature.state == "right"
                found += [each.state for each in token.verdicts]
    return found


@given(st.lists(ROWS, min_size=1, max_size=3), SERVERS | JAAS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example([{"room": "a (b) !*~", "name": "Ada"}], server_of(""))
@example([{"room": "50%ab #\\", "name": "Ada"}], server_of("/Team.North", link="fragment"))
@example([{"room": "http-bind-2", "name": "Ada"}], server_of(""))
def test_whatever_build_makes_is_admitted(
    factory: Factory, rows: list[dict[str, str]], server: Server
) -> None:
    """By every server that is set up as the settings say, however strict it is.

    A minute before the window it opens, and after it it is refused.
    """
    for meeting in roster_of(rows, server).meetings:
        assert set(states(factory, server, meeting, meeting.start)) == {AdmissionState.ADMITTED}
        before = meeting.start - timedelta(minutes=17)
        assert set(states(factory, server, meeting, before)) == {AdmissionState.OPENS}
        after = meeting.end + timedelta(minutes=30)
        assert set(states(factory, server, meeting, after)) == {AdmissionState.REFUSED}


def test_the_zone_of_a_mail_is_its_meetings(factory: Factory) -> None:
    """So that `inspect` tells the times as the mail does; a calendar entry of ours is in UTC."""
    (meeting,) = roster_of(
        [{"room": "", "name": "Ada", "timezone": "Asia/Kathmandu"}], server_of("")
    ).meetings
    (invitation,) = factory.composer().compose(meeting, factory.revision)
    assert contents_of(invitation.eml).zone == "Asia/Kathmandu"
