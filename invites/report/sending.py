"""What a run of `send` came to, as people read it and as a JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from invites.planning.actions import Action, Cause, Plan, Reason
from invites.planning.state import State
from invites.problems import on_one_line
from invites.report.plan import action_line, place_of, who_and_what
from invites.text import counted
from invites.times import iso_z, local

LINES_AT_MOST: Final = 20
"""Persons that a summary names one by one; `-v` names all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A message that was tried and did not go out, or of which nobody knows.

    `answer` is the server's, without links and tokens; `next_attempt` (aware) for a deferred one.
    """

    action: Action
    state: State
    answer: str
    next_attempt: datetime | None = None


_SENT: Final[Mapping[str, str]] = {
    "folder": "in a batch in the folder",
    "smtp": "accepted by the mail server",
}


def ended_line(
    ended: Mapping[State, int], planned: int, to: str, *, batch: Path | None = None
) -> str:
    """Return how many messages ended how; `batch` is the folder that a folder delivery made."""
    if not planned:
        return "Nothing to send."
    tried = sum(ended.values())
    sent = ended.get(State.SENT, 0)
    where = f"in the batch {on_one_line(str(batch))}" if batch is not None and sent else _SENT[to]
    parts = [f"{sent:,} of {counted(planned, 'message')} sent ({where})"]
    parts += [
        f"{ended[state]:,} {state.value}"
        for state in (State.DEFERRED, State.FAILED, State.UNKNOWN)
        if ended.get(state)
    ]
    if ended.get(State.SENDING):
        parts.append(f"{ended[State.SENDING]:,} in doubt (handed over, outcome not recorded)")
    if tried < planned:
        parts.append(f"{planned - tried:,} not tried")
    return ", ".join(parts) + "."


def unsent_lines(unsent: Sequence[Unsent], timezone: str, *, at_most: int | None) -> Iterator[str]:
    """Yield a line for each message that did not go out, with the server's words.

    The next attempt is told on the clock of `timezone` (IANA).
    """
    lines = [_unsent_line(one, timezone) for one in unsent]
    yield from _capped(lines, at_most, "more did not go out")


def token_lines(plan: Plan, *, at_most: int | None) -> Iterator[str]:
    """Yield a line for each person whose old token admits on, and until when."""
    lines = [
        action_line(action)
        for action in plan.actions
        if action.admits_until is not None and action.cause is not Cause.ORGANIZER
    ]
    if not lines:
        return
    yield "Old tokens stay valid until they expire; another room in the roster shuts them out:"
    yield from _capped(lines, at_most, "more")


def held_lines(plan: Plan) -> Iterator[str]:
    """Yield a line for each reason for which something is held back."""
    counts = Counter(hold.reason for hold in plan.held)
    for reason in Reason:
        if counts[reason]:
            yield f"held back: {counts[reason]}, {reason.value}{_HELD_ADVICE.get(reason, '')}"


_HELD_ADVICE: Final[Mapping[Reason, str]] = {
    Reason.MISSING: "; --withdraw-now withdraws them without waiting",
    Reason.REGROUPED: "; then they are withdrawn, in the same run",
    Reason.LEFT_OUT: "; nobody is withdrawn where rows are missing: mend the rows",
    Reason.PARTIAL: "; a run without --partial tells them",
    Reason.LIMIT: "; run it again for the next ones",
    Reason.UNKNOWN: '; they may have got it: ask, then "--resend --only email:ADDRESS"',
    Reason.BACKOFF: "; run it again later",
    Reason.BAD_ADDRESS: "; correct it in the roster, or try it once more with --resend",
}


def advice(ended: Mapping[State, int], *, on_unknown: str) -> Iterator[str]:
    """Yield what to do about what did not go out."""
    if ended.get(State.DEFERRED):
        yield "deferred: run it again later, or give --retry-wait; the server may take them then"
    if ended.get(State.FAILED):
        yield "failed: look at the server's words, correct the address, and run it again"
    if ended.get(State.UNKNOWN):
        again = (
            "the next run sends them once more with the same Message-ID"
            if on_unknown == "resend"
            else 'they are not sent again by themselves; "--resend --only email:ADDRESS" does'
        )
        yield f"unknown: the connection broke before the answer; {again}"


def unsent_document(unsent: Iterable[Unsent]) -> list[dict[str, Any]]:
    """Return for `--json` what did not go out, or may not have."""
    return [
        {
            **place_of(one.action.draft),
            "kind": one.action.revision.kind.value,
            "sequence": one.action.revision.sequence,
            "state": one.state.value,
            "answer": one.answer,
            "next_attempt": None if one.next_attempt is None else iso_z(one.next_attempt),
        }
        for one in unsent
    ]


def _unsent_line(one: Unsent, timezone: str) -> str:
    words = [f"! {who_and_what(one.action.draft)}: {one.state.value}"]
    words += [one.answer] if one.answer else []
    if one.next_attempt is not None:
        words.append(f"next attempt from {local(one.next_attempt, timezone)}")
    if one.action.cause is Cause.ORGANIZER and one.state is State.FAILED:
        words.append("the old entry stays in the calendar, and the new invitation comes beside it")
    return "; ".join([": ".join(words[:2]), *words[2:]]) if one.answer else "; ".join(words)


def _capped(lines: Sequence[str], at_most: int | None, words: str) -> Iterator[str]:
    shown = len(lines) if at_most is None else at_most
    yield from lines[:shown]
    if len(lines) > shown:
        yield f"… and {len(lines) - shown} {words} (-v shows all)"
