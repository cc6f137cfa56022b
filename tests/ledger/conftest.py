"""Ledgers to test: each contract test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from invites import ledger
from invites.ledger import Ledger
from tests.peers.postgresql import PostgreSQL

BACKENDS = (
    pytest.param("sqlite", id="SQLite"),
    pytest.param("postgresql", id="PostgreSQL", marks=pytest.mark.peer("postgresql")),
)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Give a PostgreSQL server that lives as long as the session."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the url of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'invites.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.url()


@pytest.fixture
def opened(url: str) -> Iterator[Ledger]:
    """Give a new ledger, opened by its one writer."""
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        yield one
