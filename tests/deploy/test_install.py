"""deploy/install.sh puts everything where the units look for it, and leaves what is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from invites import settings
from tests.support import ROOT

CREDENTIALS = "etc/invites/credentials"


def install(root: Path, *arguments: str) -> str:
    """Install below `root`, without the program itself, and return what was said."""
    programs = root / "opt" / "invites" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("python", "pip"):  # both are there already; fetching packages is pip's matter
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    ended = subprocess.run(
        [ROOT / "deploy" / "install.sh", *arguments],
        env={**os.environ, "DESTDIR": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a place where everything was put once."""
    install(tmp_path)
    return tmp_path


def test_secrets_and_state_are_for_their_owner_alone(root: Path) -> None:
    """The credentials, their folder, the room key, and the folder of the ledger."""
    for path, mode in (
        (CREDENTIALS, 0o700),
        (f"{CREDENTIALS}/jitsi.secret", 0o600),
        (f"{CREDENTIALS}/smtp.password", 0o600),
        ("var/lib/invites", 0o700),
        ("var/lib/invites/room.key", 0o600),
    ):
        assert (root / path).stat().st_mode & 0o777 == mode, path
    assert len((root / "var/lib/invites/room.key").read_text().strip()) == 64


def test_the_settings_need_only_what_the_script_asks_for(root: Path) -> None:
    """Filled in, with the credential that the unit hands over, they load."""
    config = root / "etc/invites/invites.toml"
    text = config.read_text(encoding="utf-8")
    assert 'secret = ""' not in text
    for key, value in (
        ("url", "https://meet.example.com"),
        ("app_id", "my_app"),
        ("email", "meetings@example.com"),
    ):
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{value}"', 1)
    config.write_text(text.replace("/var/lib", f"{root}/var/lib"), encoding="utf-8")
    (root / CREDENTIALS / "jitsi.secret").write_text("a secret of a test, long enough 0123456789")
    found = settings.load(config, environ={"CREDENTIALS_DIRECTORY": str(root / CREDENTIALS)})
    assert found.ledger.url == f"sqlite:///{root}/var/lib/invites/invites.db"
    assert found.delivery.folder == root / "var/lib/invites/outbox"


def test_a_second_call_leaves_what_is_there(root: Path) -> None:
    """Settings, credentials and the room key are nobody's but the operator's."""
    kept = {
        root / path: f"mine: {path}"
        for path in (
            "etc/invites/invites.toml",
            f"{CREDENTIALS}/jitsi.secret",
            "var/lib/invites/room.key",
        )
    }
    for path, text in kept.items():
        path.write_text(text)
    install(root, "--timer")
    assert {path: path.read_text() for path in kept} == kept


def test_without_a_mail_password_the_units_ask_for_none(root: Path) -> None:
    """Systemd starts no unit whose credential is missing; a password that came later counts."""
    drop = root / "etc/systemd/system/invites.service.d/no-mail-password.conf"
    assert "smtp" not in drop.read_text()
    (root / CREDENTIALS / "smtp.password").write_text("a password")
    install(root)
    assert not drop.exists()


def test_it_says_what_to_fill_in(tmp_path: Path) -> None:
    """And nothing is started before."""
    said = install(tmp_path)
    assert "Fill in url, app_id" in said
    assert f"{tmp_path}/etc/invites/invites.toml" in said
