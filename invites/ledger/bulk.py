"""Many rows through one statement, without building each row's parameters anew.

SQLAlchemy's own way costs more for a row than composing its message; here a statement is compiled
once for a connection's dialect, and its rows go to the driver as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import Delete, Insert, Update

from invites.ledger.schema import refuse_unkept


class Bulk:
    """A statement for many rows, each a mapping of all `names` to values."""

    def __init__(
        self, statement: Insert | Update | Delete, names: Iterable[str], dialect: Dialect
    ) -> None:
        """`names` are the columns of an insert, or the bind parameters of another statement."""
        columns = list(names) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._text = str(compiled)
        self._fixed = dict(compiled.params)
        order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._values = itemgetter(*order) if order else None

    def execute(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute the statement for each row; raises StorageError for text that can't be kept."""
        full = [{**self._fixed, **row} for row in rows]
        for row in full:
            for value in row.values():
                if isinstance(value, str):
                    refuse_unkept(value)
        if not full:
            return
        if self._values is None:
            connection.exec_driver_sql(self._text, full)
        else:
            connection.exec_driver_sql(self._text, [self._values(row) for row in full])
