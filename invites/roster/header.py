"""The roster's header: which column is where, and what is wrong with the names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from invites.problems import Problem
from invites.roster.cells import RosterRules
from invites.roster.columns import BY_NAME, COLUMNS, Column, extra_column, folded_name
from invites.text import BLANKS, CellRefused, check_line

REQUIRED_WITHIN: Final = 2
"""The edit distance up to which a name is taken for a required column that is missing."""

OPTIONAL_WITHIN: Final = 1
OPTIONAL_LETTERS: Final = 5
"""An optional column's name has at least this many letters to be taken for misspelt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedColumn:
    """A column and where it is: `index` counts from 0, `shown` is its name in problems."""

    column: Column
    index: int
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A header as read: places in the file's order, and the problems, all of the file.

    `usable` is false where rows can't be read by it.
    """

    places: tuple[PlacedColumn, ...]
    problems: tuple[Problem, ...]
    usable: bool

    def place_of(self, name: str) -> PlacedColumn | None:
        """Return where the known column of this name is, None where the file has none."""
        return next((place for place in self.places if place.column is BY_NAME.get(name)), None)

    def extras(self) -> tuple[PlacedColumn, ...]:
        """Return the places of the columns that we don't know."""
        return tuple(place for place in self.places if place.column.name not in BY_NAME)


def layout_of(
    header: tuple[str, ...], rules: RosterRules, *, blank: frozenset[int] = frozenset()
) -> Layout:
    """Return what the header says, by our names and those of the settings.

    `blank` are the places of columns without name and without any text: they are passed over.
    """
    theirs = _their_names(rules.columns)
    meant = {folded_name(name) for name in rules.extra}
    places: list[PlacedColumn] = []
    problems: list[Problem] = []
    for index, cell in enumerate(header):
        name = cell.strip(BLANKS)
        folded = folded_name(name)
        if index in blank:
            continue
        if not folded:
            problems.append(_problem(f"the header cell of column {letters(index)} has no name"))
        elif (strange := _strange(name)) is not None:
            problems.append(_problem(strange, column=letters(index), found=name))
        else:
            places.append(_place(index, name, folded, theirs))
    known = {place.column.name for place in places}
    repeated = _repeated(places, header)
    missing = [column for column in COLUMNS if column.name not in known]
    unknown = [place for place in places if place.column.name not in BY_NAME.keys() | meant]
    misspelt, explained = _misspelt(unknown, missing)
    if not misspelt and not known & BY_NAME.keys():
        return _strangers(header)
    absent = [column for column in missing if column.required and column.name not in explained]
    problems += [*repeated, *misspelt, *_absent(absent, header)]
    if rules.derived_rooms and "room" in known:
        problems.append(_problem(_NO_ROOMS))
    lacking = any(column.required for column in missing)
    return Layout(places=tuple(places), problems=tuple(problems), usable=not (repeated or lacking))


_NO_ROOMS: Final = (
    'there is a column "room", expected none, for [roster] rooms is "derived": each room follows '
    "from the meeting_id; take the column out"
)


def _strangers(header: tuple[str, ...]) -> Layout:
    """Return the layout of a header without any column that we know.

    The file is probably none of ours, and may be anybody's secret: nothing of it is quoted.
    """
    problem = _problem(
        "none of the header's names is a column that is known, expected at least "
        + ", ".join(column.name for column in COLUMNS if column.required)
        + "; is it the right file? Other names are given in [roster.columns]"
        + _one_cell(header)
    )
    return Layout(places=(), problems=(problem,), usable=False)


def _one_cell(header: tuple[str, ...]) -> str:
    if len(header) > 1:
        return ""
    return "; cells are separated by comma, semicolon or tab, and the header has one cell"


def letters(index: int) -> str:
    """Return a column's letters as a spreadsheet shows them: 0 is A, 26 is AA."""
    name = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _their_names(columns: Mapping[str, tuple[str, ...] | str]) -> dict[str, str]:
    """Return our name by each folded name of theirs."""
    return {
        folded_name(name): ours
        for ours, names in columns.items()
        for name in ([names] if isinstance(names, str) else names)
    }


def _place(index: int, name: str, folded: str, theirs: Mapping[str, str]) -> PlacedColumn:
    ours = theirs.get(folded, folded)
    column = BY_NAME.get(ours)
    if column is None:
        return PlacedColumn(column=extra_column(folded), index=index, shown=name)
    return PlacedColumn(column=column, index=index, shown=ours if folded == ours else name)


def _strange(name: str) -> str | None:
    """Return what a header's name should be instead, None where it is fine."""
    if len(name) > (limit := 200):
        return f"a column's name of at most {limit} characters"
    try:
        check_line(name)
    except CellRefused as refusal:
        return refusal.expected
    return None


def _repeated(places: Iterable[PlacedColumn], header: tuple[str, ...]) -> list[Problem]:
    first: dict[str, PlacedColumn] = {}
    problems = []
    for place in places:
        earlier = first.setdefault(place.column.name, place)
        if earlier is not place:
            names = [f'"{header[one.index].strip(BLANKS)}"' for one in (earlier, place)]
            problems.append(
                _problem(
                    f"columns {letters(earlier.index)} and {letters(place.index)} "
                    f"({names[0]} and {names[1]}) are both {place.column.name}; keep one"
                )
            )
    return problems


def _misspelt(
    unknown: Iterable[PlacedColumn], missing: Iterable[Column]
) -> tuple[list[Problem], set[str]]:
    """Return a problem for each unknown name that resembles a missing column, and those columns."""
    problems = []
    explained = set()
    for place in unknown:
        meant = _resembled(place.column.name, missing)
        if meant is not None:
            explained.add(meant.name)
            hint = "" if meant.required else "; if it is meant so, list it in [roster] extra"
            problems.append(
                _problem(f'unknown column "{place.shown}"; did you mean "{meant.name}"?{hint}')
            )
    return problems, explained


def _resembled(name: str, missing: Iterable[Column]) -> Column | None:
    """Return the missing column that `name` is nearest to, if it is near enough."""
    near = []
    for column in missing:
        if not column.required and len(column.name) < OPTIONAL_LETTERS:
            continue
        within = REQUIRED_WITHIN if column.required else OPTIONAL_WITHIN
        distance = edit_distance(name, column.name)
        if distance <= within:
            near.append((distance, not column.required, column))
    return min(near, key=lambda one: one[:2])[2] if near else None


def edit_distance(one: str, other: str) -> int:
    """Return how many letters to insert, delete, replace or swap with a neighbour make the other.

    Damerau's distance in its restricted form: no letter is edited twice.
    """
    if abs(len(one) - len(other)) > REQUIRED_WITHIN:
        return REQUIRED_WITHIN + 1
    before: list[int] = []
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        here = [row]
        for place, wanted in enumerate(other, 1):
            cost = min(above[place] + 1, here[place - 1] + 1, above[place - 1] + (letter != wanted))
            swapped = row > 1 and place > 1 and (letter, wanted) == (other[place - 2], one[row - 2])
            here.append(min(cost, before[place - 2] + 1) if swapped else cost)
        before, above = above, here
    return above[-1]


def _absent(columns: Iterable[Column], header: tuple[str, ...]) -> list[Problem]:
    """Return a problem for each required column that the header lacks."""
    return [
        _problem(
            f'column "{column.name}" is missing; if it has another name, '
            f"give it in [roster.columns]{_one_cell(header)}"
        )
        for column in columns
    ]


def _problem(expected: str, *, column: str | None = None, found: str | None = None) -> Problem:
    return Problem(row=1, column=column, found=found, expected=expected, refuses_file=True)
