"""The declaration of the columns: what a change of each sends and raises."""

from __future__ import annotations

from dataclasses import fields

from invites.model import Attendee, Meeting
from invites.roster.columns import COLUMNS, Holder, Use, compared

_HOLDERS = {Holder.IDENTITY: Meeting, Holder.MEETING: Meeting, Holder.ATTENDEE: Attendee}


def test_every_column_that_is_compared_is_an_attribute_of_its_holder() -> None:
    """`value_of` finds what the roster said in the meeting or the attendee."""
    for column in (*compared(Holder.MEETING), *compared(Holder.ATTENDEE)):
        names = {field.name for field in fields(_HOLDERS[column.holder])}
        assert column.attribute in names


def test_what_the_token_holds_raises_sequence() -> None:
    """A new link is a new revision of the entry (invitation-mail.md)."""
    assert all(column.raises_sequence for column in COLUMNS if Use.TOKEN in column.uses)


def test_the_contract_says_what_raises_sequence() -> None:
    """The table of changes in invitation-mail.md, column by column."""
    raising = {column.name for column in COLUMNS if column.raises_sequence}
    assert raising == {
        *("start", "end", "recurrence", "room", "status"),
        *("moderator", "name", "avatar", "user_id", "group", "features"),
    }
    same = {column.told for column in COLUMNS if column.uses and not column.raises_sequence}
    assert same == {
        *("title", "description", "host", "timezone"),
        *("attendance", "language", "attendee_timezone"),
    }
