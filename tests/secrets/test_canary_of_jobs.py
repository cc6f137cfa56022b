"""What jobs say, log, mail to operators and serve holds neither a secret nor a token nor a link.

The mail server is one that quotes what it was sent: messages' links, passwords, lines of base64.
"""

from __future__ import annotations

import base64
import email
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.jobs.awake import Awake, eventually, free_port
from tests.jobs.conftest import HEADER, OPERATORS
from tests.peers.smtp_server import Accepted, Fault, ScriptedServer
from tests.secrets.canary import CANARY, SETTINGS, holds_secret, holds_token
from tests.support import COMMAND, ROOT, write_settings

PASSWORD = "pw-Ky4%tRz8&"
USERNAME = "meetings"
PEOPLE = ("ada", "bob", "carol", "dan")
QUOTED_AT = "bob@example.org"
"""Whose message is refused with its own words."""
LINK = re.compile(r"https://\S*jwt=[\w.-]+")


def text_of(message: bytes) -> str:
    """Return the plain text that a receiver reads."""
    part = email.message_from_bytes(message, policy=policy.default).get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@dataclass
class QuotingServer(ScriptedServer):
    """Refuses one mailbox's message with words that hold the message's link and its base64."""

    quoted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look at each message before it is answered."""
        self.on_content = self._quote

    def _quote(self, content: bytes) -> None:
        found = LINK.search(text_of(content))
        if f"<{QUOTED_AT}>".encode() not in content or found is None:
            return
        link = found[0]
        self.quoted.append(link)
        line = max(content.splitlines(), key=len).decode("ascii")
        half = len(link) // 2
        words = (
            f"554-5.7.1 blocked: {link}\r\n554-5.7.1 {line}\r\n"
            f"554-5.7.1 {link[:half]}\r\n554-5.7.1 {link[half:]}\r\n554 5.7.1 for {QUOTED_AT}"
        )
        self.faults.append(Fault("dot", words, times=1, only=QUOTED_AT))


@dataclass
class Place:
    """A folder with two jobs: one by mail, one into a folder; operators hear of both."""

    folder: Path
    relay: QuotingServer
    port: int = field(default_factory=free_port)
    mail: str = ""

    def __post_init__(self) -> None:
        """Write the roster, and settings with another password than [jitsi] secret."""
        roster = self.folder / "roster.csv"
        rows = (
            f"m{name},Meeting of {name},2031-03-01 09:00,2031-03-01 09:30,{name},{name}@example.org\n"
            for name in PEOPLE
        )
        roster.write_text(f"{HEADER}\n" + "".join(rows), encoding="utf-8")
        other = roster.with_name("other.csv")
        other.write_text(roster.read_text("utf-8").replace("\nm", "\nother m"), encoding="utf-8")
        hour_ago = datetime.now(UTC).timestamp() - 3600
        for path in (roster, other):
            os.utime(path, (hour_ago, hour_ago))
        self.write()

    def write(self, *, port: int | None = None, password: str = PASSWORD) -> None:
        """Write the settings; both jobs have been due since the last full hour."""
        key = self.folder / "password"
        key.write_text(password, encoding="utf-8")
        key.chmod(0o600)
        at = f"{datetime.now(UTC) - timedelta(minutes=30):%H}:00"
        jobs = "".join(
            f'[[job]]\nname = "{name}"\nroster = "{roster}"\nat = "{at}"\n'
            f'deliver = "{to}"\nnotify = ["{OPERATORS}"]\nnotify_always = true\n'
            for name, roster, to in (
                ("mailed", "roster.csv", "smtp"),
                ("kept", "other.csv", "folder"),
            )
        )
        write_settings(
            self.folder,
            f'{SETTINGS}{self.mail}\n[smtp]\nhost = "{self.relay.host}"\n'
            f'port = {port or self.relay.port}\nsecurity = "none"\nauth = "plain"\n'
            f'username = "{USERNAME}"\npassword_file = "password"\n'
            f'[schedule]\nlisten = "127.0.0.1:{self.port}"\n{jobs}',
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run `invites` to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            timeout=60,
        )

    def seen(self) -> None:
        """Let a wake-up of yesterday take note of the jobs, so that they are due now."""
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
        done = self.call("run", "--new-ledger", "--now", yesterday, "--to", "folder", "-q")
        assert done.returncode == 0, done.stderr

    def notices(self) -> list[Accepted]:
        """Return what the operators got."""
        return [one for one in self.relay.accepted if one.recipient == OPERATORS]

    def written(self) -> Iterator[bytes]:
        """Yield all that is no attendee's: notices as they came and as they are read, and files."""
        for notice in self.notices():
            yield notice.content
            message = email.message_from_bytes(notice.content, policy=policy.default)
            yield str(message.items()).encode()
            yield text_of(notice.content).encode()
        for path in self.folder.rglob("*"):
            own = {".eml", ".ics"} | ({".toml"} if path.parent == self.folder else set())
            if path.is_file() and path.suffix not in own and path.name != "password":
                yield path.read_bytes()

    def demand_clean(self, *said: bytes) -> None:
        """Assert that what was said and written holds no secret, token, link, or part of one."""
        links = self.relay.quoted + [
            link
            for one in self.relay.accepted
            if one.recipient != OPERATORS
            for link in LINK.findall(text_of(one.content))
        ]
        pieces = {
            link[start : start + 40].encode()
            for link in links
            for start in range(60, len(link), 60)
        }
        for content in (*said, *self.written()):
            assert not holds_secret(content)
            assert not holds_secret(content, PASSWORD)
            assert not holds_token(content)
            assert b"eyJ" not in content
            assert not any(piece in content for piece in pieces if len(piece) == 40)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Give two jobs that are due, and their mail server, which wants a login."""
    with QuotingServer(logins={USERNAME: PASSWORD}) as relay:
        place = Place(tmp_path, relay)
        place.seen()
        yield place


def some_are_refused(place: Place) -> None:
    """Have one refused in words that quote it, one not taken for now; two arrive."""
    place.relay.faults.append(
        Fault(
            "RCPT", "450 4.7.1 later, https://x/?jwt=eyJhbGci.eyJpc3Mi.x", only="carol@example.org"
        )
    )


def the_server_is_away(place: Place) -> None:
    """Have nobody listen: neither attendees nor operators get anything."""
    place.write(port=free_port())


def the_login_is_refused(place: Place) -> None:
    """Let the server repeat what it was given, as it came and as it reads."""
    came = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()).decode()
    inside = base64.b64encode(PASSWORD.encode()).decode()
    place.relay.faults.append(Fault("AUTH", f"535 5.7.8 no: {came}, that is {PASSWORD}, {inside}"))


def a_template_raises(place: Place) -> None:
    """Let a template raise whose error's own words hold the link."""
    folder = place.folder / "templates"
    folder.mkdir()
    text = "{% if attendee.name == 'carol' %}{{ [][link] }}{% endif %}{{ link }}\n"
    (folder / "invitation.txt.j2").write_text(text, encoding="utf-8")
    place.mail = '[mail]\ntemplates = "templates"\n'
    place.write()


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, which words must tell of it, and the notices and exit code of a run."""

    befall: Callable[[Place], None]
    says: bytes
    notices: int
    code: int


TROUBLES = pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble(some_are_refused, b"blocked: [link]", 2, 4), id="refused"),
        pytest.param(Trouble(the_server_is_away, b"run again later", 0, 75), id="away"),
        pytest.param(Trouble(the_login_is_refused, b"refused the login", 0, 5), id="login"),
        pytest.param(Trouble(a_template_raises, b"invitation.txt.j2", 2, 5), id="template"),
    ],
)


@TROUBLES
def test_a_run_tells_no_secret_and_no_link(place: Place, trouble: Trouble) -> None:
    """Its log lines, its JSON document, the notices, the ledger, and the history of it all."""
    trouble.befall(place)
    told = place.call("run", "-v")
    document = place.call("run", "mailed", "kept", "--force", "--json", "-v")
    history = [place.call("history", *flags) for flags in ((), ("--json",))]
    assert told.returncode == document.returncode == trouble.code, told.stderr + document.stderr
    for done in (told, document):
        assert trouble.says in done.stdout + done.stderr
    assert len(place.notices()) >= trouble.notices
    assert bool(place.notices()) is bool(trouble.notices)
    streams = [
        stream for done in (told, document, *history) for stream in (done.stdout, done.stderr)
    ]
    place.demand_clean(*streams)


def served(port: int, page: str) -> bytes:
    """Return what the health endpoint answers, whatever its status."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            return error.read()


def _has_attempted(metrics: bytes, *, job: str) -> bool:
    lines = metrics.decode().splitlines()
    return any(
        line.startswith("invites_attempts_total{") and f'job="{job}"' in line for line in lines
    )


@TROUBLES
def test_a_schedule_tells_no_secret_and_no_link(place: Place, trouble: Trouble) -> None:
    """Its log, the notices, its metrics and its health."""
    trouble.befall(place)
    with Awake(place.folder, flags=("-v",)) as awake:
        awake.says("event=started")
        eventually(lambda: _has_attempted(served(place.port, "/metrics"), job="mailed"))
        pages = [served(place.port, page) for page in ("/metrics", "/healthz", "/?jwt=eyJx")]
        awake.signal(signal.SIGTERM)
        assert awake.ends(within=8) in {0, 75}
    log = awake.log.encode()
    assert trouble.says in log
    assert log.count(b"job=") >= 2
    place.demand_clean(log, *pages)


def test_the_search_finds_what_is_quoted(place: Place) -> None:
    """A link, its middle, and a password in any file or stream are found."""
    some_are_refused(place)
    place.call("run", "-q")
    (link, *_) = place.relay.quoted
    login = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode())
    for leak in (CANARY.encode(), login, link.encode(), link[60:120].encode()):
        with pytest.raises(AssertionError):
            place.demand_clean(b"log: " + leak)
    place.demand_clean()
    (place.folder / "notes").write_text(link, encoding="utf-8")
    with pytest.raises(AssertionError):
        place.demand_clean()
