"""Which of a file's columns are ours: by their names in many languages, and by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from invites.addresses import AddressRefused, parse_address
from invites.roster.cells import FALSE_WORDS, TRUE_WORDS, RosterRules
from invites.roster.columns import BY_NAME, COLUMNS, folded_name
from invites.roster.dates import CellKind, are_lengths, kind_of
from invites.roster.header import resembled
from invites.roster.parts import JOINED, PARTS
from invites.roster.table import Table
from invites.roster.vocabulary import NO, YES, lists_attendees, rank
from invites.text import BLANKS, CellRefused, language_tag
from invites.times import zone

MOSTLY: Final = 0.8
"""Part of a column's cells that have to be addresses for it to hold addresses."""


@dataclass
class Meanings:
    """A table's columns, and which of them are ours.

    `found` has the place (from 0) of each column of ours, -1 for one that several columns make
    together.  `mapped` are those that are not called so: our name, theirs, and why ("" where the
    name says it).  `attendees` are columns that list several people, `look_alikes` columns that
    would be taken for a misspelling of ours.
    """

    table: Table
    rules: RosterRules
    found: dict[str, int] = field(default_factory=dict)
    mapped: list[tuple[str, str, str]] = field(default_factory=list)
    attendees: tuple[str, ...] = ()
    look_alikes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Find the columns: by the settings, by their names, by what they hold."""
        self.header = [cell.strip(BLANKS) for cell in self.table.header]
        chunks = [
            [[cell.strip(BLANKS) for cell in column] for column in chunk.columns]
            for chunk in self.table.rows
        ]
        self.columns: list[list[str]] = [
            [cell for columns in chunks for cell in columns[at]] for at in range(len(self.header))
        ]
        self.texts = [dict.fromkeys(column) for column in self.columns]
        self.kinds: dict[int, CellKind] = {}
        names = [folded_name(name) for name in self.header]
        theirs = {
            folded_name(name): ours for ours, all_ in self.rules.columns.items() for name in all_
        }
        for at, name in enumerate(names):
            if (ours := theirs.get(name, name)) in BY_NAME.keys() | PARTS:
                self.found.setdefault(ours, at)
        self.fixed = {ours for ours, at in self.found.items() if names[at] in theirs}
        for theirs_joined, ours in theirs.items():
            parts = theirs_joined.split(JOINED.replace(" ", "_"))
            if len(parts) > 1 and set(parts) <= set(names):
                self.found[ours] = -1
                self.fixed.add(ours)
        self._times()
        self._people()
        self._meeting()
        self._optional()
        self._misspelt()

    @property
    def rows(self) -> int:
        """The number of rows with a text, those of another length included."""
        return sum(map(any, zip(*self.columns, strict=True))) + len(self.table.faults)

    def texts_of(self, *ours: str) -> list[str]:
        """Return the different texts of columns of ours, without the empty one."""
        places = [self.found.get(one, -1) for one in ours]
        return [text for at in places if at >= 0 for text in self.texts[at] if text]

    def _best(self, ours: str, fits: Callable[[int], bool] = lambda _at: True) -> int | None:
        """Return the place of the header that says our column best, of those that are free."""
        taken = set(self.found.values())
        ranked = [
            (found, at)
            for at, name in enumerate(self.header)
            if at not in taken
            and at not in self.table.blank_columns
            and (found := rank(ours, name)) is not None
            and fits(at)
        ]
        return min(ranked)[1] if ranked else None

    def _kind(self, at: int | None) -> CellKind:
        if at is None or at < 0:
            return CellKind.OTHER
        if at not in self.kinds:
            self.kinds[at] = kind_of(self.texts[at])
        return self.kinds[at]

    def _is(self, kind: CellKind) -> Callable[[int], bool]:
        return lambda at: self._kind(at) is kind

    def _take(self, ours: str, at: int, why: str = "") -> None:
        """Propose that the column at this place is ours; nothing where its own name says so."""
        for other in [other for other, place in self.found.items() if place == at]:
            del self.found[other]
        self.found[ours] = at
        name = self.header[at]
        if folded_name(name) != ours:
            self.mapped.append((ours, name, why))

    def _times(self) -> None:
        """Find start and end: by their names which of them, by their texts whether a part."""
        for ours, of_day, of_clock in (
            ("start", "start_date", "start_time"),
            ("end", "end_date", "end_time"),
        ):
            if ours in self.fixed or {of_day, of_clock} <= self.found.keys():
                continue
            at = self.found.get(ours)
            if at is None:
                at = self._best(ours, lambda at: self._kind(at) is not CellKind.OTHER)
            match self._kind(at):
                case CellKind.CLOCK if at is not None and of_clock not in self.found:
                    self._take(of_clock, at)
                case CellKind.DATE if at is not None and of_day not in self.found:
                    self._take(of_day, at)
                case CellKind.MOMENT if at is not None and ours not in self.found:
                    self._take(ours, at)
            self._day(ours, of_day, of_clock)
        if not self.found.keys() & {"end", "end_time", "duration"}:
            at = self._best("duration", lambda at: are_lengths(self.texts[at]))
            if at is not None:
                self._take("duration", at)

    def _day(self, ours: str, of_day: str, of_clock: str) -> None:
        """Find the day that goes with a time of day, or the time of day that goes with a day."""
        if ours in self.found:
            return
        if of_day not in self.found:
            at = self._best(of_day, self._is(CellKind.DATE))
            if at is not None:
                self._take(of_day, at)
            elif of_clock not in self.found and (
                (moment := self._best(of_day, self._is(CellKind.MOMENT))) is not None
            ):
                self._take(ours, moment)
        if of_day in self.found and of_clock not in self.found:
            at = self._best(ours, self._is(CellKind.CLOCK))
            if at is not None:
                self._take(of_clock, at)

    def _people(self) -> None:
        """Find the address, or the lists of addresses, and the name in one column or in two."""
        lists = [at for at, name in enumerate(self.header) if lists_attendees(name)]
        if "email" not in self.found and not self.rules.attendees:
            at = self._best("email", lambda at: any(map(self._is_address, self.texts[at])))
            if at is None and lists:
                filled = [one for one in lists if any(self.texts[one])] or lists[:1]
                self.attendees = tuple(self.header[one] for one in filled)
                return
            if at is None:
                at = self._only(self._holds_addresses)
            if at is not None:
                self._take("email", at)
        if "name" not in self.fixed and not self.rules.attendees:
            self._names()

    def _names(self) -> None:
        whole = self.found.pop("name", None)
        first = self.found.get("first_name", self._best("first_name"))
        held = dict(self.found)
        if first is not None:
            self.found["first_name"] = first
        last = self.found.get("last_name", self._best("last_name"))
        self.found = held
        if first is not None and last is not None and not self._within(first, last):
            other = whole if whole not in {None, first, last} else None
            if other is None:
                for ours, at in (("first_name", first), ("last_name", last)):
                    if self.found.get(ours) != at:
                        self._take(ours, at)
                return
        if whole is not None:
            self.found["name"] = whole
        elif (full := self._best("name")) is not None:
            self._take("name", full)

    def _within(self, first: int, whole: int) -> bool:
        """Tell whether most names of the one column stand within those of the other."""
        pairs = list(zip(self.columns[first], self.columns[whole], strict=True))
        return sum(bool(a) and a in b.split() for a, b in pairs) > MOSTLY * len(pairs)

    def _meeting(self) -> None:
        """Find the title, and what tells one meeting from another: an id, or title and start."""
        title = self._best("title", self._is(CellKind.OTHER))
        if "title" not in self.found and title is not None:
            self._take("title", title)
        if "meeting_id" in self.found:
            return
        identity = self._best("meeting_id", self._tells_meetings_apart)
        if identity is not None:
            self._take("meeting_id", identity)
            return
        parts = ("start",) if "start" in self.found else ("start_date", "start_time")
        places = [self.found.get(ours, -1) for ours in ("title", *parts)]
        if min(places) >= 0:
            joined = JOINED.join(self.header[place] for place in places)
            why = "no column tells the meetings apart; one that is moved becomes another"
            self.mapped.append(("meeting_id", joined, why))
            self.found["meeting_id"] = -1

    def _tells_meetings_apart(self, at: int) -> bool:
        """Tell whether a column has one value in each meeting: a number of rows has one in each."""
        start = self.found.get("start", self.found.get("start_date", -1))
        title = self.found.get("title", -1)
        if min(start, title) < 0 or not all(self.columns[at]):
            return False
        seen: dict[tuple[str, ...], str] = {}
        clock = self.found.get("start_time", -1)
        places = [place for place in (title, start, clock) if place >= 0]
        for row in zip(*(self.columns[place] for place in (*places, at)), strict=True):
            if seen.setdefault(row[:-1], row[-1]) != row[-1]:
                return False
        return len(set(seen.values())) == len(seen)

    def _optional(self) -> None:
        """Find columns that need not be there, where all their cells can be what they say."""
        tests: tuple[tuple[str, Callable[[int], bool]], ...] = (
            ("moderator", self.says_yes_or_no),
            ("timezone", lambda at: self._all(at, zone)),
            ("language", lambda at: self._all(at, language_tag)),
            ("description", self._is_the_meetings),
        )
        for ours, fits in tests:
            if ours not in self.found and (at := self._best(ours, fits)) is not None:
                self._take(ours, at)

    def _all(self, at: int, parse: Callable[[str], object]) -> bool:
        try:
            for text in filter(None, self.texts[at]):
                parse(text)
        except CellRefused:
            return False
        return any(self.texts[at])

    def _is_the_meetings(self, at: int) -> bool:
        """Tell whether the rows of each meeting agree in a column, empty cells apart."""
        place = self.found.get("meeting_id", -1)
        if place < 0:
            title, start = (self.found.get(ours, -1) for ours in ("title", "start"))
            start = start if start >= 0 else self.found.get("start_date", -1)
            if min(title, start) < 0:
                return False
            ids: Iterable[object] = zip(self.columns[title], self.columns[start], strict=True)
        else:
            ids = self.columns[place]
        seen: dict[object, str] = {}
        return all(
            seen.setdefault(identity, text) == text
            for identity, text in zip(ids, self.columns[at], strict=True)
            if text
        )

    def _misspelt(self) -> None:
        """Map a name that is a required one misspelt; list one that only looks like an optional."""
        missing = [column for column in COLUMNS if column.name not in self.found]
        meant = {folded_name(name) for name in self.rules.extra}
        taken = set(self.found.values())
        extra = []
        for at, name in enumerate(self.header):
            folded = folded_name(name)
            if at in taken or not name or folded in meant | BY_NAME.keys() | PARTS:
                continue
            near = resembled(folded, missing)
            if near is not None and near.required and self._stands_for_nothing(near.name):
                self._take(near.name, at)
            elif near is not None and not near.required:
                extra.append(name)
        self.look_alikes = tuple(extra)

    def _stands_for_nothing(self, ours: str) -> bool:
        parts = {"start": "start_time", "end": "end_time", "name": "first_name"}
        return parts.get(ours) not in self.found and not (
            ours == "end" and "duration" in self.found
        )

    def says_yes_or_no(self, at: int) -> bool:
        """Tell whether all texts of a column are known words for yes and no."""
        known = TRUE_WORDS | FALSE_WORDS | YES | NO | self.rules.yes | self.rules.no
        return all(text.casefold() in known for text in self.texts[at] if text)

    def _holds_addresses(self, at: int) -> bool:
        cells = [cell for cell in self.columns[at] if cell]
        fitting = sum(self._is_address(text) for text in cells)
        return bool(cells) and fitting >= MOSTLY * len(cells)

    def _is_address(self, text: str) -> bool:
        try:
            parse_address(text, special_domains=self.rules.special_domains)
        except AddressRefused:
            return False
        return True

    def _only(self, fits: Callable[[int], bool]) -> int | None:
        """Return the one free column that fits, None where there is none or another one."""
        taken = set(self.found.values())
        fitting = [at for at in range(len(self.header)) if at not in taken and fits(at)]
        return fitting[0] if len(fitting) == 1 else None
