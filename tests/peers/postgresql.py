"""A PostgreSQL server of the distribution's packages, on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

ROLE = "invites"


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; the newest version's."""
    found = shutil.which(name)
    if found is not None:
        return found
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3])
    )
    return str(versions[-1])


class PostgreSQL:
    """A server that lives as long as the `with` block; `initdb` refuses root, so it is not root."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._numbers = count(1)

    def __enter__(self) -> Self:
        """Make a cluster and start it."""
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        cluster = self.folder / "data"
        self._run(
            "initdb", "--no-sync", "-A", "trust", "-U", ROLE, "-E", "UTF8", "-D", str(cluster)
        )
        self._run(
            "pg_ctl",
            "-w",
            "-D",
            str(cluster),
            "-l",
            str(self.folder / "log"),
            "-o",
            f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=40",
            "start",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """Stop the server at once."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def url(self, schema: str | None = None, *, database: str = "postgres") -> str:
        """Return the url of a schema that is made, or of a fresh one."""
        name = schema or f"ledger_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(
            host=str(self.folder), user=ROLE, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"')  # type: ignore[arg-type]
        options = quote(f"-csearch_path={name}")
        return f"postgresql+psycopg://{ROLE}@/{database}?host={self.folder}&options={options}"

    def _run(self, name: str, *arguments: str) -> None:
        account = self._account
        subprocess.run(
            [program(name), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
