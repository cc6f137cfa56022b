"""The service's own command, environment and signals, under what stands in for its supervisor."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from invites import ledger
from tests.jobs.awake import eventually, free_port, healthz
from tests.peers.smtp_server import ScriptedServer
from tests.support import COMMAND, SECRET, SETTINGS, write_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORD = "the mail password"


def directives(unit: str) -> dict[str, list[str]]:
    """Return the unit's lines by their names, in order."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / unit).read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


class Supervised:
    """Starts the service as its unit says, and again where `Restart=on-failure` would."""

    def __init__(self, folder: Path, port: int) -> None:
        """Write settings without any secret, and the credentials that systemd would hand over."""
        self.folder, self.port = folder, port
        self.unit = directives("invites.service")
        self.credentials = folder / "credentials"
        self.credentials.mkdir(mode=0o700)
        for line, content in zip(
            self.unit["LoadCredential"], (SECRET, PASSWORD + "\n"), strict=True
        ):
            name = line.partition(":")[0]
            (self.credentials / name).touch(mode=0o400)
            (self.credentials / name).write_text(content, "utf-8")
        self.starts = 0

    def start(self) -> None:
        """Start the command of `ExecStart` with the environment of the unit and no other."""
        program, *arguments = shlex.split(self.unit["ExecStart"][0])
        assert program == "/opt/invites/bin/invites"
        settings = self.folder / "invites.toml"
        given = [pair for line in self.unit["Environment"] for pair in shlex.split(line)]
        environment = dict(pair.split("=", 1) for pair in given)
        assert environment["INVITES_CONFIG"] == "/etc/invites/invites.toml"
        environment |= {
            "INVITES_CONFIG": str(settings),
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(DEPLOY.parent),
        }
        self.starts += 1
        with (self.folder / "journal").open("ab") as journal:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
            )
        eventually(self.is_alive)

    def is_alive(self) -> bool:
        """Tell whether the endpoint answers that all is well."""
        assert self.process.poll() is None, self.journal
        try:
            return healthz(self.port)[0] == 200
        except OSError:
            return False

    def ended(self) -> int:
        """Wait for the end; start again where the unit says so; return how it ended."""
        code = self.process.wait(timeout=8)
        never = self.unit["RestartPreventExitStatus"][0].split()
        fine = {"0", *self.unit["SuccessExitStatus"][0].split()}
        if str(code) not in {*never, *fine}:
            self.start()
        return code

    @property
    def journal(self) -> str:
        """What the service wrote."""
        return (self.folder / "journal").read_text("utf-8")


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that wants a login."""
    with ScriptedServer(logins={"meetings@example.com": PASSWORD}) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, relay: ScriptedServer) -> Iterator[Supervised]:
    """Give a started service; nothing of it is left afterwards."""
    port = free_port()
    text = SETTINGS.replace(f'secret = "{SECRET}"\n', "")
    assert "secret" not in text
    write_settings(
        tmp_path,
        f'{text}[smtp]\nhost = "{relay.host}"\nport = {relay.port}\nsecurity = "none"\n'
        'username = "meetings@example.com"\n'
        f'[schedule]\nlisten = "127.0.0.1:{port}"\n[[job]]\nname = "nightly"\n'
        'roster = "roster.csv"\nat = "02:15"\n',
    )
    ledger.create(f"sqlite:///{tmp_path / 'invites.db'}")
    supervised = Supervised(tmp_path, port)
    supervised.start()
    yield supervised
    supervised.process.kill()
    supervised.process.wait()


def test_it_finds_its_secrets_as_credentials_and_is_alive(service: Supervised) -> None:
    """Nothing but the unit's environment; the container's own health check agrees."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    (check,) = re.findall(r'CMD \["python", "-c", "(.+)"\]', text)
    asked = check.replace("9108", str(service.port))
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
    assert "level=info event=started" in service.journal
    assert SECRET not in service.journal


def test_killed_it_is_started_again_and_stopped_it_is_not(service: Supervised) -> None:
    """`Restart=on-failure`: a crash is one, SIGTERM is none."""
    service.process.kill()
    assert service.ended() == -signal.SIGKILL
    assert service.starts == 2
    service.process.terminate()
    assert service.ended() == 0
    assert service.starts == 2


def test_reload_is_what_the_unit_says(service: Supervised) -> None:
    """`ExecReload` sends SIGHUP, and the service takes it."""
    (command,) = service.unit["ExecReload"]
    subprocess.run(shlex.split(command.replace("$MAINPID", str(service.process.pid))), check=True)
    eventually(lambda: "event=reloaded" in service.journal)
    assert service.is_alive()


def test_wrong_settings_are_not_started_again_for_ever(service: Supervised) -> None:
    """Without its secret it ends with 5, which `RestartPreventExitStatus` knows."""
    service.process.terminate()
    service.ended()
    (service.credentials / "jitsi.secret").unlink()
    with pytest.raises(AssertionError):
        service.start()
    assert service.ended() == 5
    assert service.starts == 2
