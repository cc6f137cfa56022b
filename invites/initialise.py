"""What `invites init` writes: settings, a room key, a ledger, a roster; templates on request.

Nothing is overwritten: what is there is kept and named, and what lacks is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from invites import ledger
from invites.errors import SettingsError
from invites.settings.edit import Edits, with_values
from invites.settings.secrets import PRIVATE, PUBLIC, make_folder, write_new
from invites.shipped import PACKAGE, shipped_folder

SETTINGS_NAME: Final = "invites.toml"
ROOM_KEY_NAME: Final = "room.key"
ROSTER_NAME: Final = "roster.csv"
TEMPLATES_NAME: Final = "templates"
LEDGER_NAME: Final = "invites.db"
"""Where the first settings say that the ledger is."""
EXAMPLE_NAME: Final = "invites.example.toml"
FIRST_MEETING_IN: Final = timedelta(days=7)
NO_VALUES: Final[Edits] = MappingProxyType({})
NO_SECRETS: Final[Mapping[str, str]] = MappingProxyType({})

_ROSTER: Final = """\
meeting_id,title,start,end,timezone,name,email,moderator
weekly-1,Weekly meeting,{first} 09:00,{first} 10:00,Europe/Berlin,Ada Example,ada@example.com,yes
weekly-1,Weekly meeting,{first} 09:00,{first} 10:00,Europe/Berlin,Ben Example,ben@example.org,no
review-1,Review,{second} 14:30,{second} 15:15,Europe/Berlin,Ben Example,ben@example.org,yes
review-1,Review,{second} 14:30,{second} 15:15,Europe/Berlin,Cleo Example,cleo@example.com,no
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """One file to start from."""

    path: Path
    content: bytes = field(repr=False)
    mode: int = PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """What was made, what was there and kept, and what was left out with the reason why."""

    folder: Path
    made: tuple[Path, ...]
    kept: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...] = ()

    @property
    def copied_templates(self) -> bool:
        """Whether a template was copied."""
        return any(path.is_relative_to(self.folder / TEMPLATES_NAME) for path in self.made)


def example_settings() -> Path:
    """Return the commented settings file that is shipped: the wheel's, else the checkout's."""
    for folder in (PACKAGE, PACKAGE.parent):
        if (folder / EXAMPLE_NAME).is_file():
            return folder / EXAMPLE_NAME
    raise SettingsError(
        f"{PACKAGE / EXAMPLE_NAME}: found nothing, expected the file that the package carries; "
        "install invites again"
    )


def first_settings(*, with_templates: bool = False, values: Edits = NO_VALUES) -> str:
    """Return the text of the first settings: the shipped one with `values` and copied templates set."""
    text = example_settings().read_text(encoding="utf-8")
    if ("jitsi", "secret_file") in values:
        text = text.replace('\nsecret = ""', '\n#secret = ""', 1)  # one secret has one place
    if with_templates:
        values = {**values, ("mail", "templates"): TEMPLATES_NAME}
    return with_values(text, values, SETTINGS_NAME)


def first_roster(now: datetime) -> str:
    """Return a small roster of two meetings in the week after next; `now` is aware."""
    first = now.astimezone(UTC) + FIRST_MEETING_IN
    second = first + timedelta(days=1)
    return _ROSTER.format(first=f"{first:%Y-%m-%d}", second=f"{second:%Y-%m-%d}")


def initialise(
    folder: Path,
    *,
    room_key: str,
    now: datetime,
    with_templates: bool = False,
    values: Edits = NO_VALUES,
    secrets: Mapping[str, str] = NO_SECRETS,
) -> Initialised:
    """Write what is needed to start in `folder`, which is made where it is not there.

    `values` are put into the settings; `secrets` are written each into the file of that name.
    `room_key` is text of at least 32 random bytes.  It and the ledger are made only together with
    the settings file: beside old settings a new key would move every derived room, and a new ledger
    invite everybody again.
    Raises UsageError where `folder` is a file, StorageError where the disk refuses.
    """
    make_folder(folder)
    made: list[Path] = []
    kept: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    old_settings = _is_there(folder / SETTINGS_NAME)
    settings = first_settings(with_templates=with_templates, values=values)
    own = [
        Starter(path=folder / name, content=f"{secret}\n".encode())
        for name, secret in secrets.items()
    ]
    starters = _starters(
        folder, room_key=room_key, now=now, with_templates=with_templates, settings=settings
    )
    for starter in (*own, *starters):
        if _is_there(starter.path):
            kept.append(starter.path)
        elif starter.path.name == ROOM_KEY_NAME and old_settings:
            reason = f"{SETTINGS_NAME} is there already, and a new key would move derived rooms"
            left_out.append((starter.path, reason))
        else:
            make_folder(starter.path.parent)
            write_new(starter.path, starter.content, mode=starter.mode)
            made.append(starter.path)
    book = folder / LEDGER_NAME
    if _is_there(book):
        kept.append(book)
    elif old_settings:
        reason = (
            f"{SETTINGS_NAME} is there already; if nobody was invited yet, "
            "`invites send ROSTER --new-ledger` makes one"
        )
        left_out.append((book, reason))
    else:
        ledger.create(f"sqlite:///{book.absolute()}")
        made.append(book)
    return Initialised(folder=folder, made=tuple(made), kept=tuple(kept), left_out=tuple(left_out))


def _starters(
    folder: Path, *, room_key: str, now: datetime, with_templates: bool, settings: str
) -> Iterator[Starter]:
    """Yield the files to start from; the settings last, so that a second try makes the key too."""
    yield Starter(path=folder / ROOM_KEY_NAME, content=f"{room_key}\n".encode())
    yield Starter(path=folder / ROSTER_NAME, content=first_roster(now).encode())
    if with_templates:
        yield from _templates(folder / TEMPLATES_NAME)
    yield Starter(path=folder / SETTINGS_NAME, content=settings.encode())


def _templates(folder: Path) -> Iterator[Starter]:
    shipped = shipped_folder()
    for file in sorted(shipped.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            path = folder / file.relative_to(shipped)
            yield Starter(path=path, content=file.read_bytes(), mode=PUBLIC)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
