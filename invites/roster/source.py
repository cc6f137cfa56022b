"""The roster of the night: which files a job reads, whether they are still, recent and whole.

Nothing here reads rows.  A job's run calls `find`, reads the files, and calls `confirm`, so that
what was read is known to be what lay there before and after.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import glob, has_magic
from pathlib import Path

from invites.errors import GuardError, RosterRefusedError
from invites.problems import Problem
from invites.roster.table import joined_digest

CHECKSUM_SUFFIX = ".sha256"
_LONGEST_CHECKSUM_FILE = 65_536
"""Bytes; a file of checksums is a line or a few, anything longer is something else."""
_SHA256_DIGITS = 64


class RosterMovesError(GuardError):
    """A roster is still being written, or changed while it was read; try again.

    `still_at` is when it will have been still for `settle` if nobody touches it any more.
    """

    def __init__(self, text: str, *, still_at: datetime) -> None:
        """`still_at` is aware, in UTC."""
        self.still_at = still_at
        super().__init__(text)


class RosterTooOldError(GuardError):
    """The newest roster is older than `newest`: the export did not come."""


class NightRosterRefusedError(RosterRefusedError):
    """A job's roster is missing, no plain file, cut, or differs from its checksum."""

    def __init__(self, source: str, expected: str) -> None:
        """Take as `expected` what is wrong, what was expected and what to do."""
        super().__init__(source, [Problem(row=None, column=None, found=None, expected=expected)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRule:
    """Where a job's roster is, and what it must be like.

    `places` are paths or patterns, relative to `base` (the settings file's folder).
    `newest` is the age limit, None for none; `settle` how long a file must have been left alone.
    """

    places: tuple[str, ...]
    base: Path
    settle: timedelta = timedelta(seconds=60)
    newest: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterFile:
    """One file as it lay there: `modified_ns` since 1970, `digest` the SHA-256 in hex.

    `sealed` is true where a `.sha256` beside it matches: then it is whole, whatever it ends with.
    """

    path: Path
    size: int
    modified_ns: int
    digest: str
    sealed: bool

    @property
    def modified(self) -> datetime:
        """The modification time, aware, in UTC."""
        return _instant(self.modified_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRoster:
    """The files of a job's roster, in the order of its `places`, each once."""

    files: tuple[RosterFile, ...]
    settle: timedelta

    @property
    def sealed(self) -> bool:
        """Whether every file has a checksum that matches."""
        return all(file.sealed for file in self.files)

    @property
    def digest(self) -> str:
        """The file's SHA-256 in hex; for several, that of their digests in order."""
        return joined_digest([file.digest for file in self.files])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What `fingerprint` said at an earlier wake-up; `at` is aware."""

    fingerprint: str
    at: datetime


def find(rule: RosterRule, *, now: datetime, seen: Sighting | None = None) -> NightRoster:
    """Return a job's roster as it is at `now` (aware): still, recent enough, checksums matching.

    `seen` is an earlier look: files whose dates lie in the future count as still when nothing about
    them changed for `settle`.
    Raises NightRosterRefusedError (3), RosterMovesError and RosterTooOldError (6).
    """
    paths = _paths(rule)
    unchanged = (
        seen is not None and now - seen.at >= rule.settle and seen.fingerprint == fingerprint(rule)
    )
    files = []
    for path in paths:
        size, modified_ns = _look(path)
        if not unchanged:
            _demand_still(path, _instant(modified_ns), rule.settle, now)
        _demand_recent(path, _instant(modified_ns), rule.newest, now)
        files.append(_snapshot(path, size=size, modified_ns=modified_ns, rule=rule, now=now))
    return NightRoster(files=tuple(files), settle=rule.settle)


def confirm(roster: NightRoster, digests_read: Sequence[str], *, now: datetime) -> None:
    """Make sure that what was read is what lay there before the read and lies there after it.

    `digests_read` are the SHA-256 (hex) of the bytes that were read, in the files' order.
    Raises RosterMovesError.
    """
    for file, digest_read in zip(roster.files, digests_read, strict=True):
        size, modified_ns = _look(file.path)
        same = (size, modified_ns) == (file.size, file.modified_ns)
        if not same or digest_read != file.digest or _digest(file.path) != file.digest:
            raise RosterMovesError(
                f"{file.path}: changed while it was read; expected a file that nobody writes to; "
                "nothing was sent, the next wake-up reads it again",
                still_at=max(now, _instant(modified_ns)) + roster.settle,
            )


def fingerprint(rule: RosterRule) -> str:
    """Return a digest of what can be seen of a job's files without opening them.

    It changes when a file or its checksum is written, touched, replaced, comes or goes, and never
    fails: a roster that is missing has a fingerprint too.
    """
    seen = hashlib.sha256()
    for place in rule.places:
        newest = _newest(place, rule.base)
        if newest is None:
            seen.update(b"missing\0")
            continue
        for path in (newest, checksum_path(newest)):
            seen.update(_sight(path).encode())
    return seen.hexdigest()


def demand_whole(source: str, *, final_newline: bool, sealed: bool, accepted: bool = False) -> None:
    """Refuse a roster that ends without a line end, for its last address may be cut.

    A checksum that matches (`sealed`) or `--no-final-newline` (`accepted`) lets it pass.
    Raises NightRosterRefusedError.
    """
    if final_newline or sealed or accepted:
        return
    raise NightRosterRefusedError(
        source,
        "the last line has no line end, so the file may be cut; export it again, put its "
        f"{CHECKSUM_SUFFIX} beside it, or give --no-final-newline",
    )


def matches_checksum(path: Path, digest: str) -> bool:
    """Tell whether a `.sha256` beside `path` vouches for `digest` (SHA-256 in hex).

    False where there is none.  Raises NightRosterRefusedError where there is one that does not
    match or can't be read.
    """
    beside = checksum_path(path)
    try:
        text = _head(beside)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise NightRosterRefusedError(
            str(path), f"{beside.name} beside it can't be read: {error.strerror}"
        ) from None
    stated = checksum_in(text, path.name)
    if stated == digest:
        return True
    found = "says no SHA-256 for it" if stated is None else "says another SHA-256"
    raise NightRosterRefusedError(
        str(path),
        f"{beside.name} beside it {found}; expected that of this file: wait for the upload, "
        "export both again, or remove the checksum",
    )


def checksum_path(path: Path) -> Path:
    """Return where a roster's checksum lies: beside it, its name and `.sha256`."""
    return path.with_name(path.name + CHECKSUM_SUFFIX)


def checksum_in(text: str, name: str) -> str | None:
    """Return the SHA-256 (hex, lower case) that the text of a checksum file states for `name`.

    Read are a bare digest, the lines of sha256sum (`digest  name`, `digest *name`) and the tagged
    form (`SHA256 (name) = digest`); of several lines, the one that names the file.
    """
    stated = [entry for entry in map(_stated, text.splitlines()) if entry is not None]
    named = [digest for digest, of in stated if of == name]
    if named:
        return named[0]
    return stated[0][0] if len(stated) == 1 else None


def _stated(line: str) -> tuple[str, str] | None:
    """Return the digest and the bare file name that one line of a checksum file states."""
    line = line.strip().removeprefix("\ufeff")
    if line.startswith("SHA256 (") and ") = " in line:
        of, _, digest = line.removeprefix("SHA256 (").rpartition(") = ")
    else:
        digest, _, of = line.partition(" ")
        of = of.strip().removeprefix("*")
    digest = digest.strip().lower()
    if len(digest) != _SHA256_DIGITS or not set(digest) <= set("0123456789abcdef"):
        return None
    return digest, Path(of).name


def newest_of(candidates: Iterable[tuple[int, str]]) -> str | None:
    """Return the name with the latest modification time, among equals the greatest name."""
    return max(candidates, default=(0, None))[1]


def _paths(rule: RosterRule) -> list[Path]:
    """Return the file of each place; two places that come to the same file count once."""
    found: dict[Path, Path] = {}
    for place in rule.places:
        path = _newest(place, rule.base)
        if path is None:
            raise NightRosterRefusedError(
                place,
                f"no such file in {rule.base}; expected the night's export: see whether it ran "
                "and where it writes to",
            )
        found.setdefault(path.resolve(), path)
    return list(found.values())


def _newest(place: str, base: Path) -> Path | None:
    """Return the file that a path or a pattern means; None where there is none.

    A place is taken as a path where a file of that very name is there, brackets and all.
    """
    literal = base / place
    if literal.exists() or not has_magic(place):
        return literal if literal.exists() else None
    candidates = []
    for name in glob(place, root_dir=base, recursive=True):  # noqa: PTH207 - leaves out dotfiles
        if name.endswith(CHECKSUM_SUFFIX):
            continue
        try:
            seen = (base / name).stat()
        except OSError:
            continue
        if stat.S_ISREG(seen.st_mode):
            candidates.append((seen.st_mtime_ns, name))
    newest = newest_of(candidates)
    return None if newest is None else base / newest


def _look(path: Path) -> tuple[int, int]:
    """Return a plain file's size and modification time in ns; refuse what is no plain file."""
    try:
        seen = path.stat()
    except OSError as error:
        raise NightRosterRefusedError(str(path), f"can't be read: {error.strerror}") from None
    if not stat.S_ISREG(seen.st_mode):
        raise NightRosterRefusedError(str(path), "is no plain file; expected a CSV file")
    return seen.st_size, seen.st_mtime_ns


def _demand_still(path: Path, modified: datetime, settle: timedelta, now: datetime) -> None:
    still_at = modified + settle
    if now >= still_at:
        return
    when = "in the future" if modified > now else f"{(now - modified).total_seconds():.0f} s ago"
    raise RosterMovesError(
        f"{path}: was written {when}; expected it to be left alone for "
        f"{settle.total_seconds():.0f} s (settle); the next wake-up looks again",
        still_at=min(still_at, now + settle),
    )


def _demand_recent(path: Path, modified: datetime, newest: timedelta | None, now: datetime) -> None:
    if newest is None or now - modified <= newest:
        return
    hours = (now - modified).total_seconds() / 3600
    raise RosterTooOldError(
        f"{path}: is {hours:.1f} hours old; expected at most "
        f"{newest.total_seconds() / 3600:g} (newest): the export did not come; see why, "
        "or raise newest in the job"
    )


def _snapshot(
    path: Path, *, size: int, modified_ns: int, rule: RosterRule, now: datetime
) -> RosterFile:
    """Return the file with its digest; refuse one that changed while the digest was taken."""
    digest = _digest(path)
    sealed = matches_checksum(path, digest)
    if _look(path) != (size, modified_ns):
        raise RosterMovesError(
            f"{path}: changed while it was looked at; the next wake-up looks again",
            still_at=now + rule.settle,
        )
    return RosterFile(path=path, size=size, modified_ns=modified_ns, digest=digest, sealed=sealed)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NightRosterRefusedError(str(path), f"can't be read: {error.strerror}") from None


def _head(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is no plain file")
    with path.open("rb") as file:
        return file.read(_LONGEST_CHECKSUM_FILE).decode("utf-8", errors="replace")


def _sight(path: Path) -> str:
    try:
        seen = path.stat()
    except OSError:
        return f"{path}\0absent\0"
    return f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ctime_ns}\0{seen.st_ino}\0"


def _instant(since_1970_ns: int) -> datetime:
    """Return the instant in whole microseconds, which a float of seconds would blur."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_1970_ns // 1000)
