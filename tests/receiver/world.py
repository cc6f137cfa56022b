"""A world that sends invitations: a roster that people edit, settings, a real ledger, a clock.

What goes out is judged by `tests.receiver.watch`, and what arrives is in its mailboxes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from invites import ledger
from invites import settings as settings_package
from invites.errors import GuardError, UsageError
from invites.ledger import Ledger
from invites.ledger.erase import forget
from invites.ledger.schema import metadata
from invites.model import Roster
from invites.planning.actions import Only
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.sending import (
    Effects,
    Renderer,
    RunReport,
    SendOptions,
    planned,
    policy_from,
    send,
    settle,
)
from tests.receiver.carrier import Carrier, Death
from tests.receiver.truth import Place, RosterText, Secret, Setup, View, as_csv
from tests.receiver.watch import Showing, Watch, WrongError
from tests.support import write_settings

EPOCH = datetime(2031, 1, 6, 2, 15, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECRETS = tuple(
    Secret(
        name,
        f"the {name} secret of the world, of more than sixty-four bytes: {name * 9}"[:70].encode(),
    )
    for name in ("first", "second")
)
BROKEN_MAILBOX = "two@@example.org"


@cache
def _folder() -> Path:
    """Return a folder that is fast where the machine has memory to mount."""
    memory = Path("/dev/shm")  # noqa: S108 - only the fastest place there is
    return Path(_KEPT.enter(memory if memory.is_dir() else None))


class _Kept:
    """Folders that live as long as the process."""

    def __init__(self) -> None:
        self._folders: list[tempfile.TemporaryDirectory[str]] = []

    def enter(self, parent: Path | None) -> str:
        self._folders.append(tempfile.TemporaryDirectory(dir=parent))
        return self._folders[-1].name


_KEPT = _Kept()


@cache
def _prepared(setup: Setup) -> tuple[settings_package.Settings, Renderer]:
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    secret = next(one for one in SECRETS if one.name == setup.secret)
    (folder / "room.key").touch(mode=0o600)
    (folder / "room.key").write_bytes(b"room key of the world, kept over all secrets")
    config = write_settings(
        folder,
        f"""
[jitsi]
url = "https://meet.example.com"
app_id = "the_app"
secret = "{secret.octets.decode()}"
room_key_file = "room.key"
[validity]
closes_after = "{setup.closes_after_minutes}m"
[organizer]
name = "Meetings"
email = "{setup.mailbox}"
[calendar]
namespace = "{setup.namespace}"
[series]
tokens = "{setup.tokens}"
""",
    )
    found = settings_package.load(config, environ={})
    return found, Renderer.from_settings(found)


@contextmanager
def _opened(url: str) -> Iterator[Ledger]:
    if not ledger.exists(url):
        ledger.create(url)
    with ledger.open_ledger(url, lock=True) as opened:
        yield opened


class ReceiverWorld:
    """A roster, and the runs over it."""

    def __init__(self, url: str = "") -> None:
        """Begin with nobody invited; `url` is that of a ledger of one's own."""
        self.paper = RosterText()
        self.setup = Setup()
        self.now = EPOCH
        self.last_run: datetime | None = None
        self.watch = Watch(secrets=list(SECRETS))
        self.shuffles = 0
        self._keeper = _opened(url or f"sqlite:///{_folder() / 'world.db'}")
        self.ledger = self._keeper.__enter__()
        self._empty()

    def close(self) -> None:
        """Close the ledger."""
        self._keeper.__exit__(None, None, None)

    def _empty(self) -> None:
        with self.ledger.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "meta":
                    connection.execute(table.delete())
            connection.exec_driver_sql("DELETE FROM meta WHERE name IN ('last_run', 'tz_version')")

    def roster(self, paper: RosterText, broken: Sequence[dict[str, str]] = ()) -> Roster | None:
        """Write the file and read it, None where nobody would be in it."""
        rows = [*paper.rows(), *broken]
        if not rows:
            return None
        path = _folder() / "roster.csv"
        path.write_bytes(as_csv(rows, shuffled=self.shuffles))
        settings, _ = _prepared(self.setup)
        return parse_roster(
            read_table(str(path)), settings.roster_rules(), skip_invalid=bool(broken)
        )

    def run(
        self,
        *,
        paper: RosterText | None = None,
        broken: frozenset[Place] = frozenset(),
        stray: bool = False,
        fates: Sequence[str] = (),
        by: str = "smtp",
        accept: bool = False,
        only: str = "",
        **flags: Any,
    ) -> RunReport | None:
        """Run once, a minute later; None where the process died or there was nothing to read.

        `broken` rows can't be read, and `stray` is one whose meeting can't be known.
        """
        self.now += MINUTE
        shown = (paper or self.paper).without(broken)
        rows = [self._broken_row(place) for place in sorted(broken)]
        rows += (
            [{**rows_of(self.paper)[0], "meeting_id": ""}] if stray and self.paper.places() else []
        )
        roster = self.roster(shown, rows)
        if roster is None:
            return None
        if only:
            flags["only"] = (Only("email" if "@" in only else "meeting", only),)
        showing = self._showing(shown, {one[0] for one in broken}, stray, flags, accept, only)
        carrier = Carrier(self.watch, list(fates), by)
        return self._send(roster, showing, carrier, flags, accept=accept)

    def _broken_row(self, place: Place) -> dict[str, str]:
        return next(
            {**row, "email": BROKEN_MAILBOX}
            for row in self.paper.rows()
            if (row["meeting_id"], row["email"].lower()) == place
        )

    def _showing(
        self,
        shown: RosterText,
        broken: set[str],
        stray: bool,  # noqa: FBT001 - only handed on
        flags: dict[str, Any],
        accept: bool,  # noqa: FBT001
        only: str,
    ) -> Showing:
        if stray:
            broken |= {place[0] for place in self.watch.believed} | set(shown.gatherings)
        limit = flags.get("limit")
        partial = flags.get("partial", False)
        showing = Showing(
            paper=shown,
            setup=self.setup,
            now=self.now,
            expected=shown.views(self.setup, self.watch.rooms, self.now),
            broken=frozenset(broken),
            partial=partial,
            waived=flags.get("withdraw_now", False),
            accepted=accept,
            resend=flags.get("resend", False),
            counts=not (partial or only or limit is not None),
            limit=limit,
            only=only,
            horizon=flags.get("horizon"),
        )
        shrunk = self.watch.shrunk(replace(showing, accepted=False))
        return replace(showing, waived=showing.waived or (accept and shrunk))

    def _send(
        self,
        roster: Roster,
        showing: Showing,
        carrier: Carrier,
        flags: dict[str, Any],
        *,
        accept: bool,
    ) -> RunReport | None:
        """Send; the window is none, for the truth here knows of one night's losses alone."""
        settings, renderer = _prepared(self.setup)
        options = SendOptions(
            scope=flags.pop("scope", "default"),
            claimed=flags.pop("claimed", ()),
            command="send",
            delivery=carrier.name,
            policy=replace(policy_from(settings, to=carrier.name), window=timedelta(0), **flags),
        )
        around = Effects(clock=lambda: self.now, timer=time.monotonic)

        def once(options: SendOptions) -> RunReport:
            return send(
                roster, renderer, self.ledger, options, around, delivery_for=lambda _: carrier
            )

        if self.last_run is not None and self.last_run - self.now > 5 * MINUTE:
            self._refused(once, options)
            options = replace(options, accept_clock=True)
        self.watch.begin(showing, by=carrier.name)
        self.last_run = self.now
        if accept:
            settle(self.ledger, lambda _: carrier, now=self.now)
            plan = planned(roster, renderer, self.ledger, options, now=self.now)
            policy = replace(options.policy, accept=plan.accept_code)
            options = replace(options, policy=policy)
        try:
            report = once(options)
        except Death:
            return None
        except UsageError:
            self._expect_nobody(options.policy.only, roster)
            return None
        self._compare(report)
        return report

    def _expect_nobody(self, only: Sequence[Only], roster: Roster) -> None:
        """See that a refused `--only` named nobody who is in the roster, or holds an invitation."""
        places = {
            (meeting.id, person.address)
            for meeting in roster.meetings
            for person in meeting.attendees
        }
        held = {
            place
            for place, known in self.watch.believed.items()
            if known.invited and known.end > self.now
        }
        for one in only:
            for meeting_id, address in places | held:
                if one.value == (meeting_id if one.what == "meeting" else address):
                    raise WrongError(f"--only {one.value} was refused, which is there")

    def _refused(self, once: Any, options: SendOptions) -> None:
        try:
            once(options)
        except GuardError:
            return
        raise WrongError("a clock set back was let through")

    def _compare(self, report: RunReport) -> None:
        """See that the guards that tripped are those that should."""
        tripped = {refusal.guard for refusal in report.plan.refusals}
        if ("shrink" in tripped) == self.watch.withdraws:
            raise WrongError(f"shrink guard: {tripped}")
        if ("cancelled" in tripped) == self.watch.calls_off:
            raise WrongError(f"guard against cancellations: {tripped}")

    def forget(self, address: str) -> bool:
        """Tell the ledger to forget somebody; False where it refuses."""
        try:
            forget(self.ledger, address, now=self.now)
        except UsageError:
            return False
        self.watch.forget(address)
        return True

    def converge(self, *, patiently: bool = False) -> None:
        """Run until everything is said, and hold every mailbox against the roster."""
        self.now += 5 * HOUR
        if patiently:
            self.run(accept=False)
            self.now += 13 * HOUR
        self.run(accept=True, withdraw_now=True)
        self.watch.everything_late_arrives()
        if self.paper.places():
            self.compare_mailboxes()
            self.nothing_more()

    def nothing_more(self) -> None:
        """See that a further run sends nothing."""
        before = len(self.watch.arrived)
        self.shuffles += 1
        report = self.run(withdraw_now=True)
        if report is None or report.plan.actions or len(self.watch.arrived) != before:
            raise WrongError("a further run sends something")

    def compare_mailboxes(self) -> None:
        """See that everybody holds what the roster says, and nothing else."""
        expected = {
            place: view
            for place, view in self.paper.views(self.setup, self.watch.rooms, self.now).items()
            if view.end > self.now
        }
        found = self.held()
        for place in sorted(expected.keys() | found.keys()):
            views, wanted = found.get(place, []), expected.get(place)
            if wanted is None and self._moved_into_the_past(place[0]):
                continue
            pairs = [view.beside(wanted, self.now) for view in views] if wanted else []
            if len(views) != bool(wanted) or any(held != new for held, new in pairs):
                raise WrongError(f"{place}: {views} in the calendar, {wanted} expected")

    def held(self) -> dict[Place, list[View]]:
        """Return what stands in the mailboxes and is not over, by meeting and address."""
        found: dict[Place, list[View]] = {}
        for (address, uid), event in self.watch.post.standing().items():
            if event.end > self.now and (address, uid) not in self.watch.left_behind:
                place = (self.watch.meeting_of[uid], address)
                found.setdefault(place, []).append(View.of(event, self.watch.secrets))
        return found

    def _moved_into_the_past(self, meeting_id: str) -> bool:
        gathering = self.paper.gatherings.get(meeting_id)
        return gathering is not None and bool(gathering.guests) and gathering.ends <= self.now


def rows_of(paper: RosterText) -> list[dict[str, str]]:
    """Return the rows of a roster."""
    return list(paper.rows())
