"""Secrets and keys from where the settings say: a file, a variable, a command, a credential.

They are fetched when they are asked for, and no error shows any part of one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from invites.errors import SettingsError

if TYPE_CHECKING:
    from invites.core.tokens import SigningKey
    from invites.settings.tree import Settings

COMMAND_SECONDS: Final = 60
ROOM_KEY_BYTES_AT_LEAST: Final = 16


def signing_key(settings: Settings) -> SigningKey:
    """Return the signing key; see `Settings.signing_key`."""
    from invites.core.tokens import KeyRefused, SigningKey, weak_secret  # noqa: PLC0415

    jitsi = settings.jitsi
    kid = settings._key_id()
    try:
        if jitsi.algorithm.startswith("RS"):
            return SigningKey.from_pem(_private_key(settings), jitsi.algorithm, key_id=kid)
        secret = app_secret(settings)
        weak = None if jitsi.allow_weak_secret else weak_secret(secret, jitsi.algorithm)
        if weak is None:
            return SigningKey.from_secret(secret, jitsi.algorithm, key_id=kid)
        reason = f"the secret is weak: {weak}; make one with: openssl rand -hex 32"
    except KeyRefused as refused:
        reason = f"expected {refused.expected}"
    raise SettingsError(f"[jitsi]: {reason}")


def key_material(settings: Settings) -> bytes:
    """Return the bytes of the secret or private key, to derive the room key from."""
    if settings.jitsi.algorithm.startswith("RS"):
        return _private_key(settings)
    return app_secret(settings)


def app_secret(settings: Settings) -> bytes:
    """Return the raw bytes of the secret that the server shares."""
    jitsi = settings.jitsi
    if jitsi.secret is not None:
        return jitsi.secret.get_secret_value().encode("utf-8", "surrogateescape")
    found = _fetched(
        settings,
        "jitsi",
        file=jitsi.secret_file,
        env=jitsi.secret_env,
        command=jitsi.secret_command,
    )
    if found is None:
        raise SettingsError(
            "[jitsi] secret_file is missing: set it (or secret_env, secret_command), or "
            "JWT_APP_SECRET in the environment"
        )
    return found


def _private_key(settings: Settings) -> bytes:
    if settings.jitsi.private_key_file is None:
        raise SettingsError("[jitsi] private_key_file is missing; `invites keygen` makes one")
    return _content(settings.jitsi.private_key_file, "[jitsi] private_key_file")


def room_key(file: Path) -> bytes:
    """Return the room key in `file`; it is never replaced by another one in silence."""
    key = _content(file, "[jitsi] room_key_file")
    if len(key) < ROOM_KEY_BYTES_AT_LEAST:
        raise SettingsError(f"[jitsi] room_key_file: {file} has less than 16 bytes")
    return key


def smtp_password(settings: Settings) -> str | None:
    """Return the password of [smtp], or None."""
    smtp = settings.smtp
    found = _fetched(
        settings,
        "smtp",
        file=smtp.password_file,
        env=smtp.password_env,
        command=smtp.password_command,
    )
    return None if found is None else found.decode("utf-8", "surrogateescape")


def _fetched(
    settings: Settings,
    section: str,
    *,
    file: Path | None,
    env: str | None,
    command: tuple[str, ...] | None,
) -> bytes | None:
    if file is not None:
        return _content(file, f"[{section}]")
    if env is not None:
        value = settings.environ.get(env)
        if not value:
            raise SettingsError(f"[{section}]: the environment variable it names is not set")
        return os.fsencode(value)
    if command is not None:
        return output_of(command, settings, f"[{section}]")
    return None


def _content(file: Path, place: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        fault = f"{place}: {file} can't be read: {error.strerror}"
    else:
        if content.strip():
            return without_newline(content)
        fault = f"{place}: {file} is empty"
    raise SettingsError(fault)


def without_newline(content: bytes) -> bytes:
    """Return `content` without the one line end that an editor puts after it."""
    return content.removesuffix(b"\n").removesuffix(b"\r") if content.endswith(b"\n") else content


def output_of(command: tuple[str, ...], settings: Settings, place: str) -> bytes:
    """Return what a command writes, without its last line end; no shell runs it."""
    try:
        done = subprocess.run(  # noqa: S603 - the settings' own command, as words
            command,
            cwd=settings.base,
            env=dict(settings.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = "took too long" if isinstance(error, subprocess.TimeoutExpired) else "can't start"
    else:
        if done.returncode == 0 and done.stdout.strip():
            return without_newline(done.stdout)
        fault = f"ended with status {done.returncode} and {len(done.stdout)} bytes"
    raise SettingsError(f"{place}: the command {fault}; run it by hand to see why")
