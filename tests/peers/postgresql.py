"""A PostgreSQL server of the distribution's packages, on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

ROLE = "invites"
PATIENCE_SECONDS = 10.0


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
        self._cluster = self.folder / "data"
        cluster = str(self._cluster)
        self._run("initdb", "--no-sync", "-A", "trust", "-U", ROLE, "-E", "UTF8", "-D", cluster)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, where it runs, and remove its folder."""
        if self.runs:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, for the first time or after it stopped, and wait until it answers."""
        self._run(
            "pg_ctl",
            "-w",
            "-D",
            str(self._cluster),
            "-l",
            str(self.folder / "log"),
            "-o",
            f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=40",
            "start",
        )

    def stop(self) -> None:
        """Stop the server at once; its connections break."""
        self._run("pg_ctl", "-D", str(self._cluster), "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill the server with SIGKILL, and wait until the processes that it leaves are gone too."""
        server = int(self._pid_file.read_text(encoding="ascii").split()[0])
        processes = [server, *_children_of(server)]
        os.kill(server, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while any(map(_runs, processes)):
            assert time.monotonic() < until, "processes outlive their server"
            time.sleep(0.01)
        # Where nobody reaps the dead, the next server would take this one's number for a live one.
        for lock in (self._pid_file, *self.folder.glob(".s.PGSQL.*.lock")):
            lock.unlink()

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._pid_file.exists()

    @property
    def _pid_file(self) -> Path:
        return self._cluster / "postmaster.pid"

    def execute(self, *statements: str) -> None:
        """Execute statements one by one, each in a transaction of its own."""
        with self._connection() as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def demand_passwords(self, *roles: str) -> None:
        """Let these roles in with their passwords alone."""
        rules = self._cluster / "pg_hba.conf"
        lines = [f"local all {role} scram-sha-256\n" for role in roles]
        rules.write_text("".join(lines) + rules.read_text("utf-8"), "utf-8")
        self._run("pg_ctl", "-D", str(self._cluster), "reload")

    def url(self, schema: str | None = None, *, database: str = "postgres") -> str:
        """Return the url of a schema that is made, or of a fresh one."""
        name = schema or f"ledger_{os.getpid()}_{next(self._numbers)}"
        with self._connection() as connection:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"')  # type: ignore[arg-type]
        options = quote(f"-csearch_path={name}")
        return f"postgresql+psycopg://{ROLE}@/{database}?host={self.folder}&options={options}"

    def cut(self, backend: int) -> None:
        """End the one connection that this process of the server's serves."""
        with self._connection() as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))

    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user=ROLE, dbname="postgres", autocommit=True)

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


def _status(process: int) -> tuple[str, int] | None:
    """Return the state of a process and its parent; None where there is none."""
    try:
        line = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = line.rpartition(")")[2].split()[:2]
    return state, int(parent)


def _runs(process: int) -> bool:
    status = _status(process)
    return status is not None and status[0] != "Z"


def _children_of(parent: int) -> list[int]:
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    found = ((number, _status(number)) for number in numbers)
    return [number for number, status in found if status is not None and status[1] == parent]
