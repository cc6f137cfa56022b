"""Links of a series' dates: at each wake-up between due times, the way on which the job delivers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import jwt
import pytest

from invites.errors import Exit
from invites.ledger import open_ledger
from invites.ledger.history import past_runs
from tests.jobs.conftest import JobWorld, parsed, row, with_relay
from tests.peers.smtp_server import Accepted, Fault, ScriptedServer
from tests.support import SECRET

TOKENS = '[series]\ntokens = "occurrence"\nlink_ahead = "12h"\n'


@pytest.fixture
def linking(told: JobWorld, relay: ScriptedServer) -> JobWorld:
    """Give a world with a series of three days, each at nine, whose invitations are out."""
    told.sections = with_relay(relay) + TOKENS
    told.job += '\nreminders = ["1h"]'
    told.header += ",recurrence,exclude,occurrence"
    told.load()
    roster(told, "ada", "bob")
    told.seen()
    assert told.one("02:15").counts["sent"] == 2
    at(told, 2, "02:15")
    return told


def roster(world: JobWorld, *people: str) -> None:
    """Write the roster of these people."""
    lines = [row(1, who, start="2031-02-03 09:00").rstrip("\n") for who in people]
    world.roster(*(f"{line},daily x 3,,\n" for line in lines))


def at(world: JobWorld, day: int, time: str) -> list[tuple[str, Exit, dict[str, int]]]:
    """Wake up in February 2031; what went out beside the jobs' runs."""
    world.now = world.now.replace(day=day)
    report = world.wake(time)
    return [(side.what, side.exit_code, dict(side.ended)) for side in report.sides]


def opens(mail: Accepted) -> datetime:
    """Return when the one link in a mail opens."""
    part = parsed(mail.content).get_body(("plain",))
    assert part is not None
    (token,) = re.findall(r"^https://\S+\?jwt=(\S+)", part.get_content(), re.MULTILINE)
    claims = jwt.decode(
        token,
        SECRET,
        ["HS256"],
        options={"verify_exp": False, "verify_nbf": False, "verify_aud": False},
    )
    return datetime.fromtimestamp(claims["nbf"], UTC)


def test_a_wake_up_mails_the_links_and_a_reminder_has_its_dates_own(
    linking: JobWorld, relay: ScriptedServer
) -> None:
    """Twelve hours ahead, once; the history has it as a run of its own."""
    assert at(linking, 2, "20:50") == []
    assert at(linking, 2, "21:00") == [("links", Exit.DONE, {"sent": 2})]
    assert at(linking, 2, "21:05") == []
    assert at(linking, 3, "08:00") == [("reminders", Exit.DONE, {"sent": 2})]
    given, reminded = relay.accepted[2:4], relay.accepted[4:6]
    for mail in (*given, *reminded):
        assert opens(mail) == datetime(2031, 2, 3, 8, 44, tzinfo=UTC)
    with open_ledger(linking.settings.ledger.url, lock=False) as ledger:
        commands = [run.command for run in past_runs(ledger)]
    assert sorted(commands) == ["link", "remind", "run", "run", "run"]


def test_who_left_the_roster_gets_no_link_from_the_next_run_on(
    linking: JobWorld, relay: ScriptedServer
) -> None:
    """Though the withdrawal waits for a second run, the link does not go out."""
    at(linking, 2, "21:00")
    linking.now = datetime(2031, 2, 3, 2, 15, tzinfo=UTC)
    roster(linking, "ada")
    assert linking.one().exit_code is Exit.DONE
    before = len(relay.accepted)
    assert at(linking, 3, "21:00") == [("links", Exit.DONE, {"sent": 1})]
    assert [mail.recipient for mail in relay.accepted[before:]] == ["ada@example.org"]


def test_a_link_without_an_answer_is_the_same_message_again(
    linking: JobWorld, relay: ScriptedServer
) -> None:
    """After a crash between the dot and the answer: one more copy, with the same Message-ID."""
    relay.faults[:] = [Fault("dot", "drop", only="ada@example.org", times=1)]
    ((what, code, ended), *_) = at(linking, 2, "21:00")
    assert (what, code, ended["unknown"]) == ("links", Exit.IN_PART, 1)
    for time in ("21:30", "22:00", "23:30"):
        at(linking, 2, time)
    mails = [mail for mail in relay.accepted if mail.recipient == "ada@example.org"][1:]
    assert len({mail.message_id for mail in mails}) == 1
    assert len({mail.content for mail in mails}) >= 1
    assert all(opens(mail) == datetime(2031, 2, 3, 8, 44, tzinfo=UTC) for mail in mails)
    before = len(relay.accepted)
    at(linking, 3, "00:30")
    assert len(relay.accepted) == before


@pytest.mark.parametrize(
    ("tokens", "ada", "bob"),
    [("series", 1, 2), ("occurrence", 11, 6), ("rolling", 3, 3)],
)
def test_a_fortnight_of_lessons_sends_the_least_that_tokens_ask_for(
    told: JobWorld, relay: ScriptedServer, tokens: str, ada: int, bob: int
) -> None:
    """Ten weekdays: the invitation and the links; who leaves on the third gets a CANCEL and no more."""
    told.sections = with_relay(relay) + TOKENS.replace("occurrence", tokens)
    told.header += ",recurrence,exclude,occurrence"
    told.load()
    lessons = "every weekday x 10,,"

    def written(*people: str) -> None:
        lines = [row(1, who, start="2031-02-03 09:00").rstrip("\n") for who in people]
        told.roster(*(f"{line},{lessons}\n" for line in lines))

    written("ada", "bob")
    told.seen()
    for day in range(1, 17):
        for time in ("02:15", "09:15", "15:00", "21:00"):
            told.now = datetime(2031, 2, day, 1, tzinfo=UTC)
            written(*(("ada", "bob") if day < 6 else ("ada",)))
            told.wake(time)
    mails = {who: [] for who in ("ada", "bob")}
    for one in relay.accepted:
        if (who := one.recipient.partition("@")[0]) in mails:
            mails[who].append(parsed(one.content))
    assert {who: len(found) for who, found in mails.items()} == {"ada": ada, "bob": bob}
    assert str(mails["bob"][-1]["Subject"]).startswith("Invitation withdrawn: ")
    assert all("jwt=" not in str(mail["Subject"]) for found in mails.values() for mail in found)
