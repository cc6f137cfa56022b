"""RSA key pairs for a key server: Prosody fetches the public half by the hash of its name."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from invites.errors import StorageError, UsageError
from invites.problems import on_one_line

BITS: Final = 3072
BITS_AT_LEAST: Final = 2048
BITS_AT_MOST: Final = 8192
KEY_ID_AT_MOST: Final = 200
EXPONENT: Final = 65_537

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
PRIVATE_FOLDER: Final = 0o700

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


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
    key = generate_private_key(public_exponent=EXPONENT, key_size=bits)
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
