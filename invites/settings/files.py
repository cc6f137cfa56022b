"""New files with exactly the mode that they are meant to have, never over an old one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from invites.errors import StorageError, UsageError

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
PRIVATE_FOLDER: Final = 0o700


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
                f"{path}: found something that is no folder, expected a folder or nothing; "
                "name another one"
            ) from None
        raise not_written(path, error) from None


def exists(path: Path) -> UsageError:
    """Return the error for a file that is in the way."""
    return UsageError(
        f"{path}: found a file of that name, expected none, for nothing is overwritten; "
        "move it away or write to another folder"
    )


def not_written(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that the disk did not take."""
    return StorageError(
        f"{path}: can't be written ({error.strerror}); make room or check its rights, then run "
        "it again"
    )
