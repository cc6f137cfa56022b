"""The roster's header: which column is where, and what is wrong with the names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from invites.problems import Problem
from invites.roster.cells import RosterRules
from invites.roster.columns import BY_NAME, COLUMNS, Column, extra_column, folded_name
from invites.roster.parts import JOINED, PARTS, STAND_INS, StandIn
from invites.text import BLANKS, CellRefused, check_line

REQUIRED_WITHIN: Final = 2
"""The edit distance up to which a name is taken for a required column that is missing."""

OPTIONAL_WITHIN: Final = 1
OPTIONAL_LETTERS: Final = 5
"""An optional column's name has at least this many letters to be taken for misspelt."""


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column and where it is: `index` counts from 0, `shown` is its name in problems.

    `further` are the places whose texts follow that at `index`, with a blank between them.
    """

    column: Column
    index: int
    shown: str
    further: tuple[int, ...] = ()

    def cells(self, columns: Sequence[Sequence[str]]) -> Sequence[str]:
        """Return the column's cells, of a chunk's columns without outer blanks."""
        if not self.further:
            return columns[self.index]
        rows = zip(*(columns[at] for at in (self.index, *self.further)), strict=True)
        return [" ".join(filter(None, row)) for row in rows]


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
        return next((place for place in self.places if place.column.name == name), None)

    def place_named(self, name: str) -> PlacedColumn | None:
        """Return where the column is that is called so, by us or by the file."""
        folded = folded_name(name)
        named = [place for place in self.places if folded_name(place.shown) == folded]
        return self.place_of(folded) or next(iter(named), None)

    def shown(self, name: str) -> str:
        """Return what the file calls a known column."""
        place = self.place_of(name)
        return place.shown if place else name

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
    places = _with_joined(places, header, rules.columns)
    repeated = _repeated(places, header)
    places = _with_stand_ins(places)
    known = {place.column.name for place in places}
    missing = [column for column in COLUMNS if column.name not in known]
    unknown = [place for place in places if place.column.name not in BY_NAME.keys() | meant | PARTS]
    misspelt, explained = _misspelt(unknown, [*missing, *_parts_missing(known)])
    if not misspelt and not known & (BY_NAME.keys() | PARTS):
        return _strangers(header)
    absent = [column for column in missing if column.required and column.name not in explained]
    problems += [*repeated, *misspelt, *_absent(absent, header, known)]
    if rules.derived_rooms and "room" in known:
        problems.append(_problem(_NO_ROOMS))
    lacking = any(column.required for column in missing)
    found = Layout(places=tuple(places), problems=tuple(problems), usable=not (repeated or lacking))
    if rules.series and found.usable and found.place_named(rules.series) is None:
        absence = _problem(f'column "{rules.series}" is missing, which [roster] series names')
        return replace(found, problems=(*found.problems, absence), usable=False)
    return found


_JOINED_FOLDED: Final = JOINED.replace(" ", "_")


def _with_joined(
    places: Sequence[PlacedColumn],
    header: tuple[str, ...],
    columns: Mapping[str, tuple[str, ...] | str],
) -> list[PlacedColumn]:
    """Return the places with a column for each `A + B` of the settings whose parts are there.

    The parts stay columns of their own, but for one that would be the joined column itself.
    """
    at = {folded_name(cell.strip(BLANKS)): index for index, cell in enumerate(header)}
    joined = []
    for theirs, ours in _their_names(columns).items():
        parts = theirs.split(_JOINED_FOLDED)
        if len(parts) > 1 and theirs not in at and all(part in at for part in parts):
            index, *further = (at[part] for part in parts)
            column = BY_NAME.get(ours) or extra_column(ours)
            shown = JOINED.join(header[at[part]].strip(BLANKS) for part in parts)
            joined.append(PlacedColumn(column, index, shown, tuple(further)))
    taken = {(part, place.column.name) for place in joined for part in _indices(place)}
    return [p for p in places if (p.index, p.column.name) not in taken] + joined


def _with_stand_ins(places: Sequence[PlacedColumn]) -> list[PlacedColumn]:
    """Return the places with the columns for which others stand, in place of those.

    Where a column itself is there, its parts are columns like any other that we don't know.
    """
    by_name = {place.column.name: place for place in places}
    for each in STAND_INS:
        if each.column.name not in by_name and by_name.keys() >= set(each.parts):
            parts = [by_name.pop(name) for name in each.parts]
            by_name[each.column.name] = _standing(each, parts)
    return list(by_name.values())


def _standing(stand_in: StandIn, parts: Sequence[PlacedColumn]) -> PlacedColumn:
    index, *further = (index for part in parts for index in _indices(part))
    shown = JOINED.join(part.shown for part in parts)
    return PlacedColumn(stand_in.column, index, shown, tuple(further))


def _indices(place: PlacedColumn) -> tuple[int, ...]:
    return (place.index, *place.further)


def _parts_missing(known: Collection[str]) -> list[Column]:
    """Return, as optional columns, the parts of columns that are missing and so may be misspelt."""
    return [
        extra_column(part)
        for each in STAND_INS
        if each.column.name not in known
        for part in each.parts
        if part not in known
    ]


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
        part = ours if ours in PARTS else folded
        return PlacedColumn(column=extra_column(part), index=index, shown=name)
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
        meant = resembled(place.column.name, missing)
        if meant is not None:
            explained.add(meant.name)
            hint = "" if meant.required else "; if it is meant so, list it in [roster] extra"
            problems.append(
                _problem(f'unknown column "{place.shown}"; did you mean "{meant.name}"?{hint}')
            )
    return problems, explained


def resembled(name: str, missing: Iterable[Column]) -> Column | None:
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


def _absent(
    columns: Iterable[Column], header: tuple[str, ...], known: Collection[str]
) -> list[Problem]:
    """Return a problem for each required column that the header lacks."""
    return [
        _problem(
            f'column "{column.name}" is missing{_half(column.name, known)}; if it has another '
            f"name, give it in [roster.columns]{_one_cell(header)}"
        )
        for column in columns
    ]


def _half(name: str, known: Collection[str]) -> str:
    """Return which column lacks beside one that could stand for `name` together with it."""
    for each in STAND_INS:
        there = [part for part in each.parts if part in known]
        if each.column.name == name and there:
            lacking = " and ".join(f'"{part}"' for part in each.parts if part not in known)
            return f', and {lacking}, with which "{there[0]}" would stand for it'
    return ""


def _problem(expected: str, *, column: str | None = None, found: str | None = None) -> Problem:
    return Problem(row=1, column=column, found=found, expected=expected, refuses_file=True)
