"""A roster as cells, before anything is known about what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from invites.core.problems import Problem


class Chunk(NamedTuple):
    """Some rows, column by column: `numbers[i]` is the row whose cells are `columns[…][i]`.

    Numbers are those that a spreadsheet shows; all columns are as long as `numbers`.
    """

    numbers: Sequence[int]
    columns: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A roster's header and rows, as the file has them.

    `source` is the roster's name for messages, `digest` the SHA-256 of the file's bytes in hex.
    `rows` can be gone through once.
    `faults` are the rows with more or fewer cells than the header; `rows` is without them.
    `final_newline` is false where the file ends without a line end: it may be cut.
    """

    source: str
    digest: str
    header: tuple[str, ...]
    rows: Iterable[Chunk]
    faults: tuple[Problem, ...] = ()
    final_newline: bool = True
