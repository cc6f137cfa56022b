"""The words of a plan: what is to be sent, withdrawn, kept or held, and the rules it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from invites.due.attempts import NEVER
from invites.invitation import Change, Kind, Revision
from invites.model import Attendee, Meeting
from invites.planning.facts import Draft, MeetingFacts
from invites.planning.state import Entry, MissingCount, Snapshot, State
from invites.problems import Problem


class Cause(StrEnum):
    """Why a message is to go out."""

    NEW = "new"
    CHANGED = "changed"
    BACK = "back again"
    RESENT = "sent again"
    MISSING = "attendee missing"
    MEETING_MISSING = "meeting missing"
    CANCELLED = "meeting cancelled"
    ADDRESS = "address changed"
    REMINDER = "reminder due"
    ORGANIZER = "organizer changed"
    ANEW = "invited by the new organizer"
    LINK = "link of a date due"
    REGROUPED = "its dates are in another entry"


class Reason(StrEnum):
    """Why nothing goes out to somebody to whom something would."""

    GROWTH = "many new invitations at once"
    PATTERN = "it looks like a fault of the export"
    ORGANIZER = "the organizer's mailbox changed"
    SHRINK = "the roster shrank"
    CANCELLATIONS = "many meetings are newly cancelled"
    CHANGE = "many updates at once"
    LEFT_OUT = "rows were left out"
    PARTIAL = "the roster is partial"
    HORIZON = "beyond the horizon"
    MISSING = "missing, not often enough yet"
    REGROUPED = "until the new invitations were sent"
    UNKNOWN = "may have been sent"
    BACKOFF = "deferred, too early to try again"
    BAD_ADDRESS = "the mail server knows no such address"
    LIMIT = "beyond the limit"


class Only(NamedTuple):
    """One `--only`: a folded address or a meeting id."""

    what: Literal["email", "meeting"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How this run plans: settings and flags.

    `growth`, `shrink` and `change` are shares (1/10 is 10 %), `shrink` of what was live in `window`.
    `due` is the due time of the job that runs, None for a `send` by hand: missing ones are counted
    by it, and the horizon starts there.
    `accept` is the code of the plan whose guards a person said yes to.
    """

    namespace: str
    growth: Fraction = Fraction(1)
    shrink: Fraction = Fraction(1, 10)
    window: timedelta = timedelta(days=14)
    change: Fraction = Fraction(1, 2)
    withdraw_after: int = 2
    on_unknown: Literal["resend", "hold"] = "resend"
    unknown_copies: int = 2
    horizon: timedelta | None = None
    due: datetime | None = None
    accept: str | None = None
    partial: bool = False
    withdraw_now: bool = False
    resend: bool = False
    limit: int | None = None
    only: tuple[Only, ...] = ()

    @property
    def counts_missing(self) -> bool:
        """Tell whether this run sees enough of the roster to count what is missing."""
        return not (self.partial or self.only or self.limit is not None)

    def lets_through(self, meeting_id: str, *addresses: str) -> bool:
        """Tell whether `--only` lets something of this meeting for one of these people through."""
        return not self.only or any(
            meeting_id == only.value if only.what == "meeting" else only.value in addresses
            for only in self.only
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToOne:
    """What goes to one attendee.

    `retry` where the very revision was tried before, so that its Message-ID is repeated.
    `changes` are old to new, against the last revision that was or may have been sent.
    `attempts` counts how often this very revision was deferred or refused, `copies` how often it
    went out without an answer.
    """

    meeting: Meeting
    uid: str
    draft: Draft
    revision: Revision
    cause: Cause
    changes: tuple[Change, ...] = ()
    retry: bool = False
    first_message_id: str | None = None
    attempts: int = 0
    copies: int = 0

    @property
    def facts(self) -> MeetingFacts:
        """The facts that the message states, shared by the meeting."""
        return self.draft.facts

    @property
    def attendee(self) -> Attendee:
        """The receiver."""
        return self.draft.attendee


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(_ToOne):
    """A REQUEST for one attendee.

    `replaces` is the folded address that this one takes the place of, "" for none.
    `admits_until` is the second since 1970 up to which a demoted moderator's old token admits, or
    the one link of a series whose dates have links of their own from now on.
    `supersedes` where another revision was on its way, which nobody is to get any more.
    """

    zone_rules: bool = False
    replaces: str = ""
    admits_until: int | None = None
    supersedes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(_ToOne):
    """A CANCEL for one attendee, told in the facts that this attendee has.

    `admits_until` is the second since 1970 up to which the old token admits, None where none does.
    `replaced_by` is the folded address that takes this one's place, "" for none.
    `update` is what a changed organizer's invitation will say otherwise, for the guards to look at.
    """

    admits_until: int | None
    replaced_by: str = ""
    update: Send | None = None


class Keep(NamedTuple):
    """Nothing to do: the attendee has what the roster says."""

    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing goes out now, and why; `cause` is what would be sent otherwise.

    `count` of `needed` runs have missed it (`Reason.MISSING`); `until` is the earliest next
    attempt (`Reason.BACKOFF`), in seconds since 1970.
    """

    draft: Draft
    reason: Reason
    cause: Cause
    count: int = 0
    needed: int = 0
    until: int | None = None


class Drop(NamedTuple):
    """A revision that was planned, and that nobody got or will get."""

    meeting_id: str
    address: str


class Mark(NamedTuple):
    """What to write down about an absence; `address` is None for the whole meeting."""

    meeting_id: str
    address: str | None
    missing: MissingCount


Action = Send | Withdraw
Item = Send | Withdraw | Keep | Hold | Drop | Mark


@lru_cache(maxsize=1024)
def _revision(kind: Kind, sequence: int, stamp: int) -> Revision:
    """Return a revision; most attendees of a plan have the same one, which is kept once."""
    return Revision(kind=kind, sequence=sequence, dtstamp=datetime.fromtimestamp(stamp, UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What every decision of one plan looks at; `now` is aware."""

    snapshot: Snapshot
    policy: Policy
    now: datetime

    @property
    def seconds(self) -> int:
        """`now` since 1970."""
        return int(self.now.timestamp())

    @property
    def window_start(self) -> int:
        """When the window began over which losses add up; a yes begins it anew."""
        window = int(self.policy.window.total_seconds())
        return max(self.seconds - window, self.snapshot.accepted_at)

    @property
    def due(self) -> int | None:
        """The due time of the job that runs, in seconds since 1970."""
        return None if self.policy.due is None else int(self.policy.due.timestamp())

    def next_revision(self, kind: Kind, sequence: int, entry: Entry) -> Revision:
        """Return a new revision; DTSTAMP rises even within a second and with a clock set back."""
        return _revision(kind, sequence, max(self.seconds, entry.latest_dtstamp + 1))

    def waits(self, entry: Entry) -> bool:
        """Tell whether what was deferred, or got no answer, may not be tried again yet.

        What was refused because of its address waits for another row, or for `--resend`.
        """
        if entry.pending is None:
            return entry.unanswered and entry.next_attempt > self.seconds
        match entry.pending.state:
            case State.DEFERRED:
                return entry.next_attempt > self.seconds
            case State.FAILED:
                return entry.next_attempt >= NEVER and not self.policy.resend
            case _:
                return False

    def backoff(self, draft: Draft, cause: Cause, entry: Entry) -> Hold:
        """Return what holds a message that `waits`."""
        if entry.next_attempt >= NEVER:
            return Hold(draft=draft, reason=Reason.BAD_ADDRESS, cause=cause)
        return Hold(draft=draft, reason=Reason.BACKOFF, cause=cause, until=entry.next_attempt)

    def keeps_unknown(self, entry: Entry) -> bool:
        """Tell whether a message without an answer gets no further copy."""
        policy = self.policy
        return policy.on_unknown == "hold" or entry.copies > policy.unknown_copies

    def beyond_horizon(self, start_seconds: float) -> bool:
        """Tell whether a meeting that starts then waits: later than the horizon from the due time."""
        if self.policy.horizon is None:
            return False
        return start_seconds > ((self.policy.due or self.now) + self.policy.horizon).timestamp()


def order_of(item: Send | Withdraw | Hold) -> tuple[bool, datetime, str, str]:
    """Return what a plan is ordered by: the meeting's start, then what makes the order total.

    Copies of what got no answer come last: where they get none again, they hold nobody up.
    """
    copy = not isinstance(item, Hold) and item.copies > 0
    return copy, item.draft.facts.start, item.draft.facts.id, item.draft.attendee.address


Place = tuple[str, str]
"""A meeting's id and an attendee's folded address."""

GuardName = Literal[
    "growth", "shrink", "cancelled", "change", "organizer", "another roster",
    "other ids", "partners", "same shift", "moderators", "column", "crowd",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrippedGuard:
    """A guard that holds something back until a person says yes.

    `found` things of `live` ones are `what`; `share` of them is the most allowed, None for a
    pattern, of which any three are too many.  `examples` are the first three.
    `detail` is what a yes is bound to beside the roster: it stays while time passes.
    What goes to `places` or to anybody in `meetings` is held; both empty: the guard holds by kind.
    """

    guard: GuardName
    what: str
    found: int
    live: int
    share: Fraction | None = None
    examples: tuple[str, ...] = ()
    detail: str = ""
    places: frozenset[Place] = frozenset()
    meetings: frozenset[str] = frozenset()

    @property
    def reason(self) -> Reason:
        """Why what it holds does not go out."""
        match self.guard:
            case "growth" | "another roster":
                return Reason.GROWTH
            case "shrink":
                return Reason.SHRINK
            case "cancelled":
                return Reason.CANCELLATIONS
            case "change":
                return Reason.CHANGE
            case "organizer":
                return Reason.ORGANIZER
            case _:
                return Reason.PATTERN

    @property
    def text(self) -> str:
        """One line: what was found, what is held, and examples."""
        limit = "" if self.share is None else f", expected at most {float(self.share):.0%}"
        if self.guard == "growth":
            limit += f" of the {self.live} live ones"
        counts = str(self.found) if self.guard == "growth" else f"{self.found} of {self.live}"
        shown = f", such as {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.guard} guard: {counts} {self.what}{limit}; {self._held}{shown}"

    @property
    def _held(self) -> str:
        match self.reason:
            case Reason.GROWTH:
                return "no new invitation goes out"
            case Reason.SHRINK:
                return "nobody is withdrawn, all else goes out"
            case Reason.CANCELLATIONS:
                return "nobody is told of a cancellation, all else goes out"
            case Reason.CHANGE:
                return "no update goes out, all else does"
            case _:
                return "nothing of that kind goes out"


_INVITES = frozenset({Cause.NEW, Cause.BACK, Cause.ANEW})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who gets what now: `actions` in the order in which they go out, and what does not go out.

    `refusals` are the guards that hold something back, `accept_code` is the one yes to all of
    them; `accepted` is how many a person said yes to, `other_code` a yes that was to others.
    `left_out` are problems of rows that the ledger knew of, beside the roster's own.
    """

    scope: str
    roster_digest: str
    actions: tuple[Action, ...] = ()
    kept: tuple[Keep, ...] = ()
    held: tuple[Hold, ...] = ()
    dropped: tuple[Drop, ...] = ()
    marks: tuple[Mark, ...] = ()
    refusals: tuple[TrippedGuard, ...] = ()
    accept_code: str = ""
    accepted: int = 0
    other_code: str = ""
    left_out: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    over: int = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many attendees each word of the plan's summary is about."""
        sends = [action for action in self.actions if isinstance(action, Send)]
        withdrawals = [action for action in self.actions if isinstance(action, Withdraw)]
        return {
            "new": sum(1 for send in sends if send.cause in _INVITES),
            "updated": sum(1 for send in sends if send.cause is Cause.CHANGED),
            "links": sum(1 for send in sends if send.cause is Cause.LINK),
            "sent_again": sum(1 for send in sends if send.cause is Cause.RESENT),
            "withdrawn": sum(1 for gone in withdrawals if gone.cause is not Cause.CANCELLED),
            "cancelled": sum(1 for gone in withdrawals if gone.cause is Cause.CANCELLED),
            "kept": len(self.kept),
            "held": len(self.held),
            "over": self.over,
            "accepted": self.accepted,
            "zone_rules": sum(1 for send in sends if send.zone_rules),
        }
