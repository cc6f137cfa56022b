"""The one tree of errors, each with the exit code that it means; imports nothing of ours.

An error carries its facts as attributes and never prints.
Its text says what was found, where, what was expected and what to do, on one line, and never
holds a token, a join link, a secret or a whole roster row.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invites.problems import Problem


class Exit(IntEnum):
    """The exit codes that people and programs rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ROSTER = 3
    IN_PART = 4
    SETTINGS = 5
    GUARD = 6
    TRY_AGAIN = 75


class InvitesError(Exception):
    """Root of everything that `invites` raises on purpose."""

    exit_code: ClassVar[Exit] = Exit.FAILED

    @staticmethod
    def of(error: Exception) -> InvitesError:
        """Return an error as one of ours; of what nobody foresaw only its kind is told."""
        if isinstance(error, InvitesError):
            return error
        return InvitesError(f"unexpected failure: {type(error).__name__}")

    def __reduce__(
        self,
    ) -> tuple[Callable[..., InvitesError], tuple[object, ...], dict[str, object]]:
        """Tell how an error is made again in another process: with its facts, not from them."""
        return _made_again, (type(self), *self.args), self.__dict__


def _made_again(kind: type[InvitesError], *args: object) -> InvitesError:
    return kind.__new__(kind, *args)


class UsageError(InvitesError):
    """The call is wrong: flags that exclude each other, a roster that is not there."""

    exit_code = Exit.USAGE


class OutputRefusedError(UsageError):
    """The output folder holds something that is not an earlier build of ours."""


class RosterRefusedError(InvitesError):
    """The roster has problems; all of them are in `problems`, in row order."""

    exit_code = Exit.ROSTER

    def __init__(
        self, source: str, problems: Sequence[Problem], *, rows_read: int | None = None
    ) -> None:
        """`source` is the roster's name as the user gave it; `rows_read` where it got that far."""
        self.source = source
        self.problems = tuple(problems)
        self.rows_read = rows_read
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"{source} was refused: {count} {noun}; nothing was written")


class SettingsError(InvitesError):
    """A setting, secret or key is missing or wrong; the text names it and where it was found."""

    exit_code = Exit.SETTINGS


class TemplateError(SettingsError):
    """A template does not compile or names something that does not exist; has file and line."""


class LedgerError(InvitesError):
    """The ledger is missing, newer than this program, or can't be opened."""

    exit_code = Exit.SETTINGS


class LoginError(InvitesError):
    """The mail server refused the login, or TLS could not be established; nothing was marked."""

    exit_code = Exit.SETTINGS


class GuardError(InvitesError):
    """A guard refused: shrink, change, clock, a roster that moved or is too old, zone data."""

    exit_code = Exit.GUARD


class ZoneDataError(GuardError):
    """The time zone data are older than the ledger's, or of no known version."""


class TryAgainError(InvitesError):
    """Somebody holds the lock, the server is down for now, or a signal came: run again."""

    exit_code = Exit.TRY_AGAIN


class ServerDownError(TryAgainError):
    """The mail server serves nobody for now: no connection, or one message after the other lost.

    `lost` are the delivery's keys of the messages that were lost one after the other, and that say
    more about the server than about themselves.
    """

    def __init__(self, text: str, *, lost: Sequence[object] = ()) -> None:
        """`text` is already free of secrets."""
        self.lost = tuple(lost)
        super().__init__(text)


class MessageFaultError(InvitesError):
    """A composed message fails our own check; nothing of it is written or sent.

    `check` names the check, `where` the message (its Message-ID or the skeleton's kind).
    """

    def __init__(self, check: str, where: str, *, found: str, expected: str) -> None:
        """`found` and `expected` are short descriptions, free of tokens and addresses."""
        self.check = check
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(f"{where}: {check}: found {found}, expected {expected}")


class StorageError(InvitesError):
    """The disk is full, read-only or failed; names the path and what was left in place."""


class RecordKeptError(StorageError):
    """The ledger's record is durable, and only the mark beside it could not be written."""
