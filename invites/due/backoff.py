"""How long a message, or a mail server, waits before it is tried again."""

from __future__ import annotations

from datetime import timedelta

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=4)

NEVER = 253_402_300_799
"""The next attempt of what is not tried again: the end of the year 9999, in seconds since 1970."""


def backoff(attempts: int) -> timedelta:
    """Return how long a message waits that was deferred once more after `attempts` before."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts, 10)))


FIRST_SERVER_WAIT, LONGEST_SERVER_WAIT = timedelta(minutes=1), timedelta(hours=1)
SERVER_WAIT_BEFORE_THE_DOT = timedelta(minutes=5)


def server_backoff(times: int, *, unanswered: bool) -> timedelta:
    """Return how long a mail server waits that lost messages in `times` runs, one after the other.

    Short beside `backoff`, for the first run that finds it up sends all; longer where whole messages
    went `unanswered`, for each try may be one more copy for somebody.
    """
    longest = LONGEST_SERVER_WAIT if unanswered else SERVER_WAIT_BEFORE_THE_DOT
    return min(longest, FIRST_SERVER_WAIT * (1 << min(max(times - 1, 0), 10)))
