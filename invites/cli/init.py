"""What an installation starts from: `invites init` makes a folder, `keygen` a key pair.

Nothing is overwritten: what is there is kept and named, and what lacks is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from invites.cli.options import Call, clock
from invites.cli.terminal import can_ask
from invites.errors import Exit, SettingsError, UsageError
from invites.problems import on_one_line
from invites.shipped import PACKAGE, shipped_folder

if TYPE_CHECKING:
    from invites.cli.wizard import Answers
    from invites.settings.edit import Edits
    from invites.settings.secrets import KeyFiles

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


def init(
    call: Call,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to start in; made if absent.")
    ] = Path(),
    with_templates: Annotated[
        bool, typer.Option("--with-templates", help="Copy the templates as well, to edit them.")
    ] = False,
) -> int:
    """Write settings, a room key, a ledger and a first roster; never overwrite anything.

    At a terminal it asks for what an installation needs, and tests each answer at once: the server,
    its app id and secret, the mailbox that invites, the language, the mail server.  With -q, and
    without a terminal, it asks for nothing.
    """
    import secrets

    from invites.cli.wizard import Answers, ask_for_settings

    asks = can_ask(call) and not (folder / SETTINGS_NAME).exists()
    answers = ask_for_settings(call) if asks else Answers()
    done = initialise(
        folder,
        room_key=secrets.token_hex(32),
        now=clock(),
        with_templates=with_templates,
        values=answers.values,
        secrets=answers.secrets,
    )
    _tell(call, done, answers)
    if not done.made:
        found = "all else" if done.left_out else "everything"
        raise UsageError(
            f"{folder}: found {found} that init writes, expected something to be missing; "
            "nothing was changed; name an empty folder to start anew"
        )
    return Exit.DONE


def _tell(call: Call, done: Initialised, answers: Answers) -> None:
    for path in done.made:
        call.say(f"made  {path}")
    for path in done.kept:
        call.say(f"kept  {path} (it was there)")
    for path, reason in done.left_out:
        call.warn(f"{path} was not made: {reason}")
    settings = done.folder / "invites.toml"
    if settings in done.made:
        call.say("")
        lacking = _lacking(answers)
        call.say(f"Fill in {lacking} in {settings}, then run:" if lacking else "Now run:")
        call.say(f"  {_first_build(done.folder)}")
        if ("smtp", "host") in answers.values:
            call.say("and to see the whole chain at work: invites try YOUR_ADDRESS")
    elif done.copied_templates:
        call.say("")
        call.say(f'To use the templates, set templates = "templates" in [mail] of {settings}')
    if done.copied_templates:
        call.say(
            f"Delete those of {done.folder / TEMPLATES_NAME} that you do not change: newer ones then count."
        )
        call.say("Other words in a language go into a file there, such as catalogs/de.po.")
    if done.made:
        call.document(
            folder=str(done.folder),
            made=[str(path) for path in done.made],
            kept=[str(path) for path in done.kept],
            left_out=[{"path": str(path), "reason": reason} for path, reason in done.left_out],
        )


def _lacking(answers: Answers) -> str:
    """Return what a person has yet to fill in, "" for nothing."""
    needed = {
        ("jitsi", "url"): "url",
        ("jitsi", "app_id"): "app_id",
        ("jitsi", "secret_file"): "secret",
        ("organizer", "email"): "the organizer's email",
    }
    *most, last = [words for key, words in needed.items() if key not in answers.values] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _first_build(folder: Path) -> str:
    from shlex import quote

    enter = "" if folder == Path() else f"cd {quote(str(folder))} && "
    return f"{enter}invites build roster.csv"


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
    from invites.settings.edit import with_values

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
    from invites import ledger
    from invites.settings.secrets import PRIVATE, PUBLIC, make_folder, write_new

    make_folder(folder)
    made: list[Path] = []
    kept: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    settings = first_settings(with_templates=with_templates, values=values)
    old_settings = _is_there(folder / SETTINGS_NAME)

    def make(name: str, write: Callable[[Path], object], why_not: str = "") -> None:
        path = folder / name
        if _is_there(path):
            kept.append(path)
        elif old_settings and why_not:
            left_out.append((path, f"{SETTINGS_NAME} is there already{why_not}"))
        else:
            make_folder(path.parent)
            write(path)
            made.append(path)

    def make_file(name: str, content: bytes, *, mode: int = PRIVATE, why_not: str = "") -> None:
        make(name, lambda path: write_new(path, content, mode=mode), why_not)

    for name, secret in secrets.items():
        make_file(name, f"{secret}\n".encode())
    why_not = ", and a new key would move derived rooms"
    make_file(ROOM_KEY_NAME, f"{room_key}\n".encode(), why_not=why_not)
    make_file(ROSTER_NAME, first_roster(now).encode())
    # The folders in there stay: copied catalogs would take the place of each later translation.
    for file in sorted(shipped_folder().iterdir()) if with_templates else ():
        if file.is_file():
            make_file(f"{TEMPLATES_NAME}/{file.name}", file.read_bytes(), mode=PUBLIC)
    make_file(SETTINGS_NAME, settings.encode())  # late, so that a second try makes the key too
    make(
        LEDGER_NAME,
        lambda path: ledger.create(f"sqlite:///{path.absolute()}"),
        "; if nobody was invited yet, `invites send ROSTER --new-ledger` makes one",
    )
    return Initialised(folder=folder, made=tuple(made), kept=tuple(kept), left_out=tuple(left_out))


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def keygen(
    call: Call,
    kid: Annotated[str, typer.Option("--kid", metavar="NAME", help="The key's name (kid).")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder to write both halves to.")
    ] = Path(),
    bits: Annotated[
        int, typer.Option("--bits", metavar="N", help="The key's size, 2048 to 8192.")
    ] = 3072,
) -> int:
    """Make an RSA key pair: a private key to sign with, a public one for the key server."""
    from invites.settings.secrets import write_key_pair

    files = write_key_pair(out, kid, bits=bits)
    for line in _what_to_do(kid, files).splitlines():
        call.say(line)
    call.document(
        key_id=kid,
        bits=bits,
        private_key_file=str(files.private),
        public_key_file=str(files.public),
    )
    return Exit.DONE


def _what_to_do(kid: str, files: KeyFiles) -> str:
    private, public = (on_one_line(str(file)) for file in (files.private, files.public))
    return f"""\
made  {private} (the private key: it stays here, only for you)
made  {public} (the public key: it goes to the key server)

On a web server that Prosody reaches, publish {files.public.name} alone, for example as
  https://keys.example.com/jitsi/{files.public.name}

In Prosody's configuration of the Jitsi host:
  asap_key_server = "https://keys.example.com/jitsi"
  (docker: JWT_ASAP_KEYSERVER=https://keys.example.com/jitsi)
  From then on tokens signed with a shared secret are refused.

In invites.toml:
  [jitsi]
  algorithm = "RS256"
  private_key_file = {_toml(str(files.private.absolute()))}
  key_id = {_toml(kid)}"""


def _toml(text: str) -> str:
    """Return a TOML string, with everything unprintable as an escape of TOML's."""
    import json

    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in quoted)
