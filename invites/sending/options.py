"""What a pass is asked to do, by which rules, with which effects, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from invites.errors import Exit, InvitesError
from invites.model import DeliveryName
from invites.planning.actions import Plan, Policy
from invites.planning.state import State
from invites.report.sending import Unsent

if TYPE_CHECKING:
    from invites.settings import Settings

NO_RUN = ""
"""The run's id of a pass that is in no ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """Whose roster is sent how: `command` is `send` or `run`, `claimed` scopes are moved over.

    `skip_invalid` leaves out rows that the ledger finds a problem with, instead of refusing.
    `dry_run` composes and checks alone; a `recipient` gets all messages, instead of the attendees.
    `timezone` (IANA) is the one in which people are told times.
    """

    scope: str
    command: str
    delivery: str
    policy: Policy
    claimed: tuple[str, ...] = ()
    skip_invalid: bool = False
    dry_run: bool = False
    recipient: str | None = None
    clock_ahead: timedelta = timedelta(days=100)
    accept_clock: bool = False
    keep: timedelta = timedelta(days=400)
    timezone: str = "UTC"

    @classmethod
    def from_settings(
        cls, settings: Settings, *, scope: str, command: str, to: DeliveryName
    ) -> Self:
        """Return what the settings say of such a pass, without flags."""
        return cls(
            scope=scope,
            command=command,
            delivery=to,
            policy=policy_from(settings, to=to),
            clock_ahead=settings.guard.clock_ahead,
            keep=settings.ledger.keep,
            timezone=settings.roster.timezone,
        )

    @property
    def records(self) -> bool:
        """Tell whether the ledger is to know of the pass: not where no attendee gets anything."""
        return not self.dry_run and self.recipient is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a pass did: its plan, how each message ended, and the exit code that says it all.

    `composed` messages passed all checks.
    `unsent` are the messages that were tried and did not go out, in the order of the attempts.
    `trouble` is what ended the delivery early; it was recorded, and is the caller's to raise.
    """

    run_id: str
    plan: Plan
    ended: Mapping[State, int]
    exit_code: Exit
    composed: int = 0
    unsent: tuple[Unsent, ...] = ()
    trouble: InvitesError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The effects of a pass: the present (aware), seconds that never go back, and when to stop.

    `pause` waits for so long, or until something asks to stop.
    `on_plan` hears the plan of a roster before anything of it is done, `on_message` is called
    before each message is handed over.
    """

    clock: Callable[[], datetime]
    timer: Callable[[], float]
    stop: Callable[[], bool] = lambda: False
    pause: Callable[[timedelta], None] = lambda _span: None
    on_plan: Callable[[Plan], None] = lambda _plan: None
    on_message: Callable[[], None] = lambda: None


def policy_from(settings: Settings, *, to: str) -> Policy:
    """Return the policy of the settings, without flags; a folder always knows what it holds."""
    return Policy(
        namespace=settings.namespace(),
        growth=settings.guard.growth,
        shrink=settings.guard.shrink,
        window=settings.guard.window,
        change=settings.guard.change,
        withdraw_after=settings.guard.withdraw_after,
        on_unknown="resend" if to == "folder" else settings.delivery.on_unknown,
        unknown_copies=settings.delivery.unknown_copies,
    )
