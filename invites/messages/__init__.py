"""From a meeting and its attendees to checked messages: mint, render, fill, check, read back.

A *message* carries an invitation, an update, a cancellation, a withdrawal or a reminder to one
attendee; its *revision* (METHOD, SEQUENCE, DTSTAMP) orders it among the others.
A *skeleton* is a message or a calendar entry that lacks only what differs by attendee.
Each message is *checked* byte by byte, and a sample is *read back* by parsers that are not ours.
"""

from invites.messages.compose import Composer
from invites.messages.verify import Verifier

__all__ = ["Composer", "Verifier"]
