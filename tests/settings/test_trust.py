"""Whose settings, secrets and keys are taken: those that nobody else could have written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from invites import settings
from invites.errors import SettingsError
from tests.support import SAMPLE, SECRET, Answer, write_settings

STRANGER = 54_321
Load = Callable[..., settings.Settings]
Invites = Callable[..., Answer]


def give_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file another account's: by chown where we may, else by being another account."""
    if os.geteuid() == 0:
        os.chown(file, STRANGER, STRANGER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


def test_a_strangers_settings_file_that_was_found_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret_command would run as us: nothing of it is taken; --config names it all the same."""
    file = write_settings(folder, '[jitsi]\napp_id = "a"\nsecret_command = "touch taken"\n')
    give_away(file, monkeypatch)
    with pytest.raises(SettingsError, match="another account") as refused:
        settings.load(None, environ={})
    assert "name it with --config" in str(refused.value)
    assert settings.load(file, environ={}).jitsi.app_id == "a"
    assert settings.load(None, environ={"INVITES_CONFIG": str(file)}).jitsi.app_id == "a"
    assert not (folder / "taken").exists()


def test_a_strangers_link_to_our_settings_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file counts would be the stranger's choice."""
    (folder / "elsewhere").mkdir()
    ours = write_settings(folder / "elsewhere")
    (folder / "invites.toml").symlink_to(ours)
    assert settings.load(None, environ={}).jitsi.app_id == "the_app"
    give_away(folder / "invites.toml", monkeypatch)
    with pytest.raises(SettingsError, match="another account"):
        settings.load(None, environ={})


@pytest.mark.parametrize("named", [True, False])
def test_settings_that_everybody_can_write_are_refused(folder: Path, *, named: bool) -> None:
    """Also those that --config names: somebody may have changed them since."""
    file = write_settings(folder)
    file.chmod(0o602)
    with pytest.raises(SettingsError, match=r"everybody on this machine can write \(mode 0602\)"):
        settings.load(file if named else None, environ={})
    file.chmod(0o620)
    assert settings.load(file, environ={"INVITES_JITSI__SECRET_FILE": "s"}).source == file


@pytest.mark.parametrize("key", ["secret_file", "private_key_file", "room_key_file"])
def test_a_secret_or_key_that_everybody_can_write_is_refused(folder: Path, key: str) -> None:
    """Whoever wrote it would know the key of every room and token."""
    file = folder / "it's a key"
    file.write_text(SECRET)
    file.chmod(0o646)
    given = {"INVITES_JITSI__APP_ID": "a", "INVITES_JITSI__SECRET": SECRET}
    given |= {f"INVITES_JITSI__{key.upper()}": str(file)}
    if key != "room_key_file":
        del given["INVITES_JITSI__SECRET"]
    if key == "private_key_file":
        given |= {"INVITES_JITSI__ALGORITHM": "RS256", "INVITES_JITSI__KEY_ID": "k"}
    found = settings.load(None, environ=given)
    with pytest.raises(SettingsError, match="everybody on this machine can write") as refused:
        found.room_key() if key == "room_key_file" else found.signing_key()
    assert SECRET not in str(refused.value)
    assert "chmod o-w '/" in str(refused.value)


def test_a_command_with_such_settings_ends_with_5(invites: Invites, tmp_path: Path) -> None:
    """And does nothing."""
    write_settings(tmp_path).chmod(0o666)
    answer = invites("build", str(SAMPLE))
    assert (answer.code, answer.out) == (5, "")
    assert "run: chmod o-w invites.toml" in answer.err
    assert not (tmp_path / "out").exists()
