"""A plan as people read it, a line per person with a sign, and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from invites.invitation import Change
from invites.planning.actions import Action, Cause, Hold, Plan, Reason, Send, Withdraw
from invites.planning.changes import DATE_LINK
from invites.planning.facts import Draft, MeetingFacts
from invites.problems import escaped
from invites.report.tables import By, some
from invites.text import counted
from invites.times import instant, iso_z, local, zone

NOT_SHOWN: Final[Mapping[str, str]] = {
    "validity": "the time in which the link is admitted",
    "key": "the secret or key",
    "server": "the server's token settings",
}
"""What to say of changes whose values are not for showing."""

ONE_SIGN: Final[Mapping[Cause, str]] = {
    Cause.NEW: "+",
    Cause.BACK: "+",
    Cause.CHANGED: "~",
    Cause.RESENT: "*",
    Cause.MISSING: "-",
    Cause.MEETING_MISSING: "-",
    Cause.CANCELLED: "-",
    Cause.ADDRESS: "-",
    Cause.REMINDER: "*",
    Cause.ORGANIZER: "-",
    Cause.ANEW: "+",
    Cause.LINK: "*",
    Cause.REGROUPED: "-",
}
HELD_SIGN: Final = "!"


def plan_lines(plan: Plan, by: By | None = None) -> Iterator[str]:
    """Yield a line for each person to whom something goes out or would, in the plan's order.

    `by` groups them by meeting or by person, with one line for those that are alike.
    """
    if by is not None:
        yield from _grouped(plan, by)
        return
    for sign, draft, words in _told(plan):
        yield f"{sign} {who_and_what(draft)}: {words}"


def _told(plan: Plan) -> Iterator[tuple[str, Draft, str]]:
    """Yield sign, person and words of all that goes out or is held."""
    for action in plan.actions:
        yield ONE_SIGN[action.cause], action.draft, _action_words(action)
    for hold in plan.held:
        yield HELD_SIGN, hold.draft, _hold_words(hold)


def _grouped(plan: Plan, by: By) -> Iterator[str]:
    groups: dict[str, dict[tuple[str, str], list[str]]] = {}
    for sign, draft, words in _told(plan):
        person, meeting = draft.attendee.email, _what_and_when(draft)
        group, member = (meeting, person) if by == "meeting" else (person, meeting)
        groups.setdefault(group, {}).setdefault((sign, words), []).append(member)
    noun = "attendee" if by == "meeting" else "meeting"
    for group, alike in groups.items():
        yield f"{group}:"
        for (sign, words), members in alike.items():
            yield f"  {sign} {counted(len(members), noun)}: {words} ({some(members)})"


def action_line(action: Action) -> str:
    """Return the line for one person to whom something goes out."""
    return f"{ONE_SIGN[action.cause]} {who_and_what(action.draft)}: {_action_words(action)}"


def plan_summary(plan: Plan) -> str:
    """Return the plan's last line: how many of each."""
    counts = plan.counts
    parts = [
        f"{counts['new']} new",
        f"{counts['updated']} updated",
        f"{counts['withdrawn']} withdrawn",
        f"{counts['cancelled']} cancelled",
        f"{counts['kept']} kept",
        f"{counts['held']} held back",
        f"{counts['over']} over",
    ]
    if counts["links"]:
        parts.insert(2, f"{counted(counts['links'], 'link')} due")
    if counts["sent_again"]:
        parts.insert(2, f"{counts['sent_again']} sent again")
    line = f"Plan for scope {escaped(plan.scope)}: {', '.join(parts)}."
    if counts["zone_rules"]:
        line += f" {counts['zone_rules']} of the updates come from new rules of a time zone."
    return line


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan for `--json`: no token, no link, no secret."""
    return {
        "scope": plan.scope,
        "roster_digest": plan.roster_digest,
        "counts": dict(plan.counts),
        "actions": [_action_document(action) for action in plan.actions],
        "held": [_hold_document(hold) for hold in plan.held],
        "refusals": [
            {
                "guard": refusal.guard,
                "found": refusal.found,
                "live": refusal.live,
                "share": None if refusal.share is None else float(refusal.share),
                "examples": list(refusal.examples),
                "text": refusal.text,
            }
            for refusal in plan.refusals
        ],
        "accept_code": plan.accept_code or None,
        "warnings": list(plan.warnings),
    }


def change_words(change: Change, timezone: str) -> str:
    """Return `field old → new`; times on the clock of `timezone`, which is named once."""
    if change.old is None and change.new is None and change.field in NOT_SHOWN:
        return NOT_SHOWN[change.field]
    if change.field == DATE_LINK and isinstance(change.new, datetime):
        return f"link of {_local(change.new, timezone)}"
    if change.field == "tokens":
        links = {"all": "one link for all dates", "each": "a link for each date"}
        return f"{links[str(change.old)]} → {links[str(change.new)]}"
    if change.field == "recurrence":
        return f"dates {_dates(change.old, timezone)} → {_dates(change.new, timezone)}"
    name = change.field.replace("_", " ")
    if isinstance(change.old, datetime) and isinstance(change.new, datetime):
        return f"{name} {_local(change.old, timezone)} → {_local(change.new, timezone)}"
    return f"{name} {_value(change.old, timezone)} → {_value(change.new, timezone)}"


def _dates(value: object, timezone: str) -> str:
    """Return in words what `planning.changes.told_series` told of one side of a change."""
    from invites.templating.repeating import told_words  # noqa: PLC0415 - it brings Babel

    match value:
        case str():
            return told_words(value)
        case datetime():
            return f"{_local(value, timezone)} alone"
        case _:
            return "by the zone's new rules"


def who_and_what(draft: Draft) -> str:
    """Return a person and a meeting, with its time on the clock of its zone."""
    return f"{draft.attendee.email}, {_what_and_when(draft)}"


def _what_and_when(draft: Draft) -> str:
    facts = draft.facts
    when = local(facts.start, facts.meeting.timezone, weekday=True)
    if facts.meeting.series is not None:
        when += f", {counted(len(facts.meeting.starts), 'date')}"
    return f'"{escaped(facts.meeting.title)}" {when}'


def _action_words(action: Action) -> str:
    match action:
        case Send():
            return _send_words(action)
        case Withdraw():
            return _withdraw_words(action)


def _send_words(send: Send) -> str:
    words = [send.cause.value]
    if send.replaces:
        words = [f"in place of {send.replaces}"]
    if send.cause in {Cause.CHANGED, Cause.LINK}:
        words = [change_words(change, send.facts.meeting.timezone) for change in send.changes]
    if send.zone_rules:
        words.append("the rules of its time zone changed")
    if send.admits_until is not None:
        what = (
            "makes a moderator"
            if any(one.field == "moderator" for one in send.changes)
            else "admits"
        )
        words.append(f"the old token {what} until {_until(send.admits_until, send)}")
    if send.retry:
        words.append("tried before")
    return "; ".join(words)


def _withdraw_words(withdraw: Withdraw) -> str:
    words = [withdraw.cause.value]
    if withdraw.replaced_by:
        words = [f"{withdraw.replaced_by} takes its place"]
    if withdraw.cause is Cause.ORGANIZER and withdraw.changes:
        (change,) = withdraw.changes
        words = [f"withdrawn by {change.old}, and invited anew by {change.new}"]
    elif withdraw.cause is Cause.REGROUPED and withdraw.changes:
        (change,) = withdraw.changes
        words = [f"its dates are in {change.new} now"]
    elif withdraw.admits_until is not None:
        words.append(f"the old token admits until {_until(withdraw.admits_until, withdraw)}")
    if withdraw.retry:
        words.append("tried before")
    return "; ".join(words)


def _hold_words(hold: Hold) -> str:
    words = f"{hold.cause.value}, held back: {hold.reason.value}"
    match hold.reason:
        case Reason.MISSING:
            return f"{words} ({hold.count} of {hold.needed} runs)"
        case Reason.BACKOFF if hold.until is not None:
            return f"{words}, next at {_until(hold.until, hold)}"
        case _:
            return words


def _action_document(action: Action) -> dict[str, Any]:
    return {
        **place_of(action.draft),
        "cause": action.cause.value,
        "kind": action.revision.kind.value,
        "method": action.revision.method.value,
        "sequence": action.revision.sequence,
        "dtstamp": iso_z(action.revision.dtstamp),
        "date": None if action.revision.date is None else iso_z(action.revision.date),
        "uid": action.uid,
        "retry": action.retry,
        "changes": [_change_document(change) for change in action.changes],
        "zone_rules": isinstance(action, Send) and action.zone_rules,
        "replaces": (action.replaces if isinstance(action, Send) else "") or None,
        "admits_until": None if action.admits_until is None else _utc(action.admits_until),
    }


def _hold_document(hold: Hold) -> dict[str, Any]:
    return {
        **place_of(hold.draft),
        "cause": hold.cause.value,
        "reason": hold.reason.value,
        "count": hold.count,
        "needed": hold.needed,
        "until": None if hold.until is None else _utc(hold.until),
    }


def place_of(draft: Draft) -> dict[str, Any]:
    """Return a person and a meeting for `--json`."""
    facts: MeetingFacts = draft.facts
    return {
        "meeting_id": facts.id,
        "title": facts.meeting.title,
        "start": iso_z(facts.start),
        "timezone": facts.meeting.timezone,
        "email": draft.attendee.email,
    }


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "field": change.field,
        "old": iso_z(change.old) if isinstance(change.old, datetime) else change.old,
        "new": iso_z(change.new) if isinstance(change.new, datetime) else change.new,
    }


def _value(value: datetime | str | bool | None, timezone: str) -> str:  # noqa: FBT001 - a fact's value
    if isinstance(value, datetime):  # of a date that was, or is, cancelled
        return _local(value, timezone)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    return f'"{escaped(str(value))}"'


def _until(seconds: int, whose: Action | Hold) -> str:
    """Return an instant on the clock of the meeting; odd seconds are told, for they count."""
    timezone = whose.draft.facts.meeting.timezone
    return local(instant(seconds), timezone, seconds=seconds % 60 != 0)


def _local(moment: datetime, timezone: str) -> str:
    return moment.astimezone(zone(timezone)).strftime("%a %Y-%m-%d %H:%M")


def _utc(seconds: int) -> str:
    return iso_z(instant(seconds))
