"""What can only be seen over all meetings of a roster: rooms that are spelt twice or shared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Final
from unicodedata import normalize

from invites.jitsi.validity import ValidityRule, validity_for
from invites.model import Meeting, Status, Validity
from invites.problems import Problem, Warned, escaped
from invites.roster.meetings import Spelling

NAMED_AT_MOST: Final = 5
"""Meetings that one warning names; the others are counted."""


def second_spellings(spellings: Iterable[Spelling], column: str) -> Iterator[Problem]:
    """Yield a problem of the file for each text that comes to the room of an earlier text.

    Texts that differ in normalisation alone (NFC) look the same and are one spelling; `Standup`
    and `standup` are two, for one of them may be meant to be another room.
    """
    first: dict[str, Spelling] = {}
    seen: set[tuple[str, str]] = set()
    for spelling in sorted(spellings):
        written = normalize("NFC", spelling.text)
        earlier = first.setdefault(spelling.claim, spelling)
        if written == normalize("NFC", earlier.text) or (spelling.claim, written) in seen:
            continue
        seen.add((spelling.claim, written))
        yield Problem(
            row=spelling.row,
            column=column,
            found=spelling.text,
            expected=f'"{escaped(earlier.text)}" as in row {earlier.row}: '
            "both are one room, which is spelt one way throughout a roster",
            refuses_file=True,
        )


def shared_rooms(
    meetings: Iterable[Meeting], rule: ValidityRule, column: str | None
) -> Iterator[Warned]:
    """Yield a warning for each meeting whose room is open for an earlier meeting as well.

    Only rooms that the roster names can be shared; a cancelled meeting opens none.
    """
    by_claim: dict[str, list[tuple[Validity, Meeting]]] = defaultdict(list)
    for meeting in meetings:
        if meeting.room is not None and meeting.status is not Status.CANCELLED:
            validity = validity_for(meeting.opens, meeting.over_at, rule)
            by_claim[meeting.room.claim].append((validity, meeting))
    for claim, uses in by_claim.items():
        if len(uses) > 1:
            yield from _overlaps(claim, uses, column)


def _overlaps(
    claim: str, uses: Iterable[tuple[Validity, Meeting]], column: str | None
) -> Iterator[Warned]:
    # By start, with a heap by end: each meeting enters and leaves once, so that thousands in one
    # room cost no more than their sorting.
    still_open: dict[int, Meeting] = {}
    ends: list[tuple[int, int]] = []
    in_order = sorted(uses, key=lambda use: (use[0].not_before, use[0].expires, use[1].id))
    for number, (validity, meeting) in enumerate(in_order):
        while ends and ends[0][0] <= validity.not_before:
            del still_open[heappop(ends)[1]]
        if still_open:
            others = list(islice(still_open.values(), NAMED_AT_MOST))
            yield Warned(
                row=meeting.row,
                column=column,
                text=f'meeting "{escaped(meeting.id)}" and {_named(others, len(still_open))} '
                f'share room "{escaped(claim)}" at the same time: their links admit to both',
            )
        still_open[number] = meeting
        heappush(ends, (validity.expires, number))


def _named(others: Iterable[Meeting], count: int) -> str:
    names = [f'"{escaped(other.id)}" (row {other.row})' for other in others]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more
