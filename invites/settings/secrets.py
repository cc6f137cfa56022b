"""Secrets and keys: from where the settings say, and new ones in files that nobody else reads.

They are fetched when they are asked for, from the settings themselves, a file, a variable or a
command, and no error shows any part of one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from invites.errors import SettingsError, StorageError, UsageError
from invites.jitsi.tokens import KeyRefused, SigningKey, weak_secret
from invites.problems import on_one_line
from invites.settings.types import Unfit

COMMAND_SECONDS: Final = 60
"""How long a command may take to give a secret: somebody may have to touch a key."""

ROOM_KEY_BYTES_AT_LEAST: Final = 16

BITS: Final = 3072
BITS_AT_LEAST: Final = 2048
BITS_AT_MOST: Final = 8192
KEY_ID_AT_MOST: Final = 200
EXPONENT: Final = 65_537

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
PRIVATE_FOLDER: Final = 0o700

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's raw bytes, which no `repr` shows."""

    octets: bytes = field(repr=False)


def secret(value: object) -> Secret:
    """Return a secret that stands in the settings themselves, in the bytes that it had there."""
    octets = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not isinstance(octets, bytes):
        raise Unfit("text in quotes")
    if not octets:
        raise Unfit("text that is not empty")
    return Secret(octets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One way to a secret; `place` names it in errors, `base` is where a command starts."""

    place: str
    octets: bytes | None = field(default=None, repr=False)
    file: Path | None = None
    variable: str | None = field(default=None, repr=False)
    command: tuple[str, ...] | None = field(default=None, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    base: Path = Path()

    def fetch(self) -> bytes:
        """Return the secret; raises SettingsError where it is not there or is empty."""
        if self.octets is not None:
            return self.octets
        if self.file is not None:
            return content_of(self.file, self.place)
        if self.variable is not None:
            return self._from_environment(self.variable)
        return self._from_command()

    def _from_environment(self, variable: str) -> bytes:
        value = self.environ.get(variable)
        if value:
            return os.fsencode(value)
        raise SettingsError(
            f"{self.place}: found the name of an environment variable that is not set, expected "
            "one that holds the secret; set it, and check the name (it is no place for the secret)"
        )

    def _from_command(self) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - the settings' own command, as words
                self.command or (),
                cwd=self.base,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            fault = f"did not end within {COMMAND_SECONDS} seconds"
        except OSError as error:
            fault = f"can't be started ({error.strerror})"
        else:
            if done.returncode == 0 and done.stdout.strip():
                return without_line_end(done.stdout)
            fault = f"ended with status {done.returncode}"
            fault += "" if done.stdout.strip() else " and wrote nothing"
        raise SettingsError(
            f"{self.place}: the command {fault}, expected the secret on its standard output; run "
            "it by hand to see why"
        )


def source_from(
    value: Any, key: str, *, place: str, environ: Mapping[str, str], base: Path
) -> Source:
    """Return the way to a secret that the setting `key` names by `value`."""
    return Source(
        place=place,
        octets=value.octets if isinstance(value, Secret) else None,
        file=value if key.endswith("_file") else None,
        variable=value if key.endswith("_env") else None,
        command=value if key.endswith("_command") else None,
        environ=environ,
        base=base,
    )


def read_trusted(file: Path) -> bytes:
    """Return a file's bytes; raises SettingsError where everybody here could have written them."""
    with file.open("rb") as opened:
        mode = os.fstat(opened.fileno()).st_mode  # of what is open, not of what has the name now
        if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
            raise SettingsError(
                f"{file}: found a file that everybody on this machine can write (mode "
                f"{stat.S_IMODE(mode):04o}), expected one that others can't; see whether it still "
                f"says what it should, then run: chmod o-w {shlex.quote(str(file))}"
            )
        return opened.read()


def content_of(file: Path, place: str) -> bytes:
    """Return a file's bytes without the one line end that an editor puts after them."""
    try:
        content = read_trusted(file)
    except OSError as error:
        fault = f"found {file} that can't be read ({error.strerror}), expected a file with it"
    else:
        if content.strip():
            return without_line_end(content)
        fault = f"found {file} empty, expected a file with it"
    raise SettingsError(f"{place}: {fault}; correct the path or make the file")


def without_line_end(content: bytes) -> bytes:
    """Return `content` without one LF or CRLF at its end."""
    if content.endswith(b"\r\n"):
        return content[:-2]
    return content.removesuffix(b"\n")


def secret_key(
    source: Source, algorithm: str, *, key_id: str | None, allow_weak: bool
) -> SigningKey:
    """Return the key for HS256/384/512; raises SettingsError for a weak or unfit secret."""
    secret = source.fetch()
    weak = None if allow_weak else weak_secret(secret, algorithm)
    if weak is not None:
        raise SettingsError(
            f"{source.place}: found a weak secret ({weak}), expected one that can't be guessed; "
            "make one with `openssl rand -hex 32` and set it on the server as well, or set "
            "allow_weak_secret = true in [jitsi]"
        )
    try:
        return SigningKey.from_secret(secret, algorithm, key_id=key_id)
    except KeyRefused as refused:
        expected = refused.expected
    raise SettingsError(
        f"{source.place}: found something else, expected {expected}; a private key goes into "
        "private_key_file with algorithm RS256"
    )


def private_key(file: Path, algorithm: str, *, key_id: str | None, place: str) -> SigningKey:
    """Return the key for RS256/384/512, loaded once; raises SettingsError for an unfit file."""
    pem = content_of(file, place)
    try:
        return SigningKey.from_pem(pem, algorithm, key_id=key_id)
    except KeyRefused as refused:
        expected = refused.expected
    raise SettingsError(
        f"{place}: found {_kind_of(pem)} in {file}, expected {expected}; `invites keygen` makes one"
    )


def _kind_of(pem: bytes) -> str:
    """Return in words what a file holds that is not the key we want."""
    for mark, words in (
        (b"ENCRYPTED", "a private key with a passphrase"),
        (b"BEGIN OPENSSH PRIVATE KEY", "a key in OpenSSH's form"),
        (b"BEGIN PUBLIC KEY", "a public key"),
        (b"BEGIN RSA PUBLIC KEY", "a public key"),
        (b"BEGIN CERTIFICATE", "a certificate"),
        (b"PRIVATE KEY", "a private key"),
    ):
        if mark in pem:
            return words
    return "no PEM text"


def room_key(file: Path, place: str) -> bytes:
    """Return the room key in `file`; another never takes its place, for all rooms would move."""
    key = content_of(file, f"{place}: the room key")
    if len(key) >= ROOM_KEY_BYTES_AT_LEAST:
        return key
    raise SettingsError(
        f"{place}: found a key of {len(key)} bytes in {file}, expected at least "
        f"{ROOM_KEY_BYTES_AT_LEAST}; make one with: openssl rand -hex 32"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A key's two halves in PEM; the private one never shows in a `repr`."""

    private_pem: bytes = field(repr=False)
    public_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where the two halves of a key were written."""

    private: Path
    public: Path


def new_key_pair(bits: int = BITS) -> KeyPair:
    """Return a new RSA key pair of `bits` bits; raises UsageError for too few or too many."""
    if not BITS_AT_LEAST <= bits <= BITS_AT_MOST:
        raise UsageError(
            f"--bits: found {bits}, expected {BITS_AT_LEAST} to {BITS_AT_MOST}; {BITS} is good"
        )
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - made once in years
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = rsa.generate_private_key(public_exponent=EXPONENT, key_size=bits)
    return KeyPair(
        private_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        public_pem=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def public_name(key_id: str) -> str:
    """Return the file name that Prosody asks a key server for (`token/util.lib.lua`)."""
    return f"{hashlib.sha256(key_id.encode()).hexdigest()}.pem"


def private_name(key_id: str) -> str:
    """Return a file name that shows the key's name to people, safe in every folder."""
    shown = _UNSAFE.sub("-", key_id).strip(".-")[:60] or "jitsi"
    return f"{shown}.key"


def write_key_pair(folder: Path, key_id: str, *, bits: int = BITS) -> KeyFiles:
    """Make a key pair and write both halves: the private one 0600, the public one 0644.

    Raises UsageError for a name that can't be a kid, and where either file is there already; then
    neither is written.
    """
    if not key_id.strip() or len(key_id) > KEY_ID_AT_MOST or not key_id.isprintable():
        raise UsageError(
            f"--kid: expected 1 to {KEY_ID_AT_MOST} printable characters, such as invites-1"
        )
    files = KeyFiles(private=folder / private_name(key_id), public=folder / public_name(key_id))
    for file in (files.private, files.public):
        if file.exists() or file.is_symlink():
            raise exists(file)
    pair = new_key_pair(bits)
    make_folder(folder)
    write_new(files.private, pair.private_pem, mode=PRIVATE)
    try:
        write_new(files.public, pair.public_pem, mode=PUBLIC)
    except BaseException:
        files.private.unlink()
        raise
    return files


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is not there yet, with `mode` whatever the umask is.

    Raises UsageError where something is there already, even a symbolic link to nothing, and
    StorageError where it can't be written; then nothing is left behind.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, PRIVATE)
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        raise not_written(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        raise not_written(path, error) from None


def make_folder(path: Path) -> None:
    """Make a folder with mode 0700, and those above it, where there is none.

    Raises UsageError where something else has its name.
    """
    if path.is_dir():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=PRIVATE_FOLDER)
        path.chmod(PRIVATE_FOLDER)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            raise UsageError(
                f"{on_one_line(str(path))}: found something that is no folder, expected a folder or nothing; "
                "name another one"
            ) from None
        raise not_written(path, error) from None


def exists(path: Path) -> UsageError:
    """Return the error for a file that is in the way."""
    return UsageError(
        f"{on_one_line(str(path))}: found a file of that name, expected none, for nothing is overwritten; "
        "move it away or write to another folder"
    )


def not_written(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that the disk did not take."""
    return StorageError(
        f"{on_one_line(str(path))}: can't be written ({error.strerror}); make room or check its rights, then run "
        "it again"
    )
