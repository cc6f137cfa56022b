"""Which settings would make a roster readable: for `check --suggest` alone, never for a build.

What follows from the file is proposed; what the file does not tell (the order of day and month in
03/04/2031, the zone of its times) is a question, which only a person answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from invites.addresses import AddressRefused, parse_address
from invites.errors import RosterRefusedError
from invites.languages import language_tag
from invites.problems import Problem
from invites.roster.cells import FALSE_WORDS, TRUE_WORDS, RosterRules
from invites.roster.columns import BY_NAME, COLUMNS, folded_name
from invites.roster.dates import Kind, Reading, are_lengths, has_offset, kind_of, readings_of
from invites.roster.header import resembled
from invites.roster.parse import parse_roster
from invites.roster.parts import JOINED, PARTS
from invites.roster.table import Table
from invites.roster.vocabulary import NO, YES, lists_attendees, program_of, rank
from invites.text import BLANKS, CellRefused
from invites.times import zone

Value = str | tuple[str, ...]

MOSTLY: Final = 0.8
"""Part of a column's cells that have to be addresses for it to hold addresses."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A setting that would help, and why: `section` is `roster` or `roster.columns`."""

    section: str
    key: str
    value: Value
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the file does not tell: the proposals of which one is right, and why it is not known."""

    why: str
    answers: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What would make a roster readable.

    `passing` counts the rows that pass as it is, `would_pass` those with the proposals (and with
    each question's first answer), `problems` is what is wrong then; `program` wrote the file.
    """

    rows: int
    passing: int
    would_pass: int
    program: str = ""
    proposals: tuple[Proposal, ...] = ()
    questions: tuple[Question, ...] = ()
    problems: tuple[Problem, ...] = ()

    def rules(self, rules: RosterRules) -> RosterRules:
        """Return the rules with the proposals, and with each question's first answer."""
        return rules_with(rules, (*self.proposals, *(each.answers[0] for each in self.questions)))


def rules_with(rules: RosterRules, proposals: Iterable[Proposal]) -> RosterRules:
    """Return the rules as they would be with these settings."""
    columns = dict(rules.columns)
    more: dict[str, object] = {}
    for each in proposals:
        listed = each.value if isinstance(each.value, tuple) else (each.value,)
        if each.section == "roster.columns":
            columns[each.key] = listed
        elif each.key in {"yes", "no"}:
            more[each.key] = frozenset(word.casefold() for word in listed)
        else:
            more[each.key] = each.value
    return replace(rules, columns=columns, **more)  # type: ignore[arg-type]


def suggestion_for(
    table: Table, rules: RosterRules, *, encoding: str = "", zone_here: str = "UTC"
) -> Suggestion:
    """Return what would make `table` readable beyond `rules`.

    `encoding` is what it was read by and the settings lack, "" for nothing; `zone_here` is the zone
    that this machine's clock shows.
    """
    table = replace(table, rows=list(table.rows))
    if table.typed:
        rules = replace(rules, typed=True)
    finder = _Finder(table, rules)
    finder.find(zone_here)
    if encoding:
        why = "the file is not UTF-8, and every byte fits Windows-1252"
        finder.proposals.insert(0, Proposal("roster", "encoding", encoding, why))
    found = Suggestion(
        rows=finder.rows,
        passing=0 if encoding else _passing(table, rules)[0],
        would_pass=0,
        program=program_of(table.header),
        proposals=tuple(finder.proposals),
        questions=tuple(finder.questions),
    )
    would_pass, problems = _passing(table, found.rules(rules))
    return replace(found, would_pass=would_pass, problems=problems)


def _passing(table: Table, rules: RosterRules) -> tuple[int, tuple[Problem, ...]]:
    """Return how many rows pass by these rules, and what is wrong with the others."""
    try:
        roster = parse_roster(table, rules, skip_invalid=True)
    except RosterRefusedError as refusal:
        return 0, tuple(refusal.problems)
    return roster.accepted, roster.left_out


@dataclass
class _Finder:
    """Looks at a table's header and texts, and gathers what would help."""

    table: Table
    rules: RosterRules
    proposals: list[Proposal] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    rows: int = 0

    def __post_init__(self) -> None:
        self.header = [cell.strip(BLANKS) for cell in self.table.header]
        chunks = [
            [[cell.strip(BLANKS) for cell in column] for column in chunk.columns]
            for chunk in self.table.rows
        ]
        self.columns: list[list[str]] = [
            [cell for columns in chunks for cell in columns[at]] for at in range(len(self.header))
        ]
        self.rows = sum(map(any, zip(*self.columns, strict=True))) + len(self.table.faults)
        self.texts = [dict.fromkeys(column) for column in self.columns]
        self.kinds: dict[int, Kind] = {}
        names = [folded_name(name) for name in self.header]
        theirs = {
            folded_name(name): ours for ours, all_ in self.rules.columns.items() for name in all_
        }
        self.found: dict[str, int] = {}
        for at, name in enumerate(names):
            if (ours := theirs.get(name, name)) in BY_NAME.keys() | PARTS:
                self.found.setdefault(ours, at)
        self.fixed = {ours for ours, at in self.found.items() if names[at] in theirs}
        for theirs_joined, ours in theirs.items():
            parts = theirs_joined.split(JOINED.replace(" ", "_"))
            if len(parts) > 1 and set(parts) <= set(names):
                self.found[ours] = -1
                self.fixed.add(ours)

    def find(self, zone_here: str) -> None:
        """Gather proposals and questions, columns first, for all else stands in them."""
        self._times()
        self._people()
        self._meeting()
        self._optional()
        self._misspelt()
        self._moderators()
        self._dates()
        self._zone(zone_here)
        order = {"encoding": 0, "timezone": 1, "date_format": 2}
        self.proposals.sort(key=lambda one: (one.section, order.get(one.key, 3)))

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

    def _kind(self, at: int | None) -> Kind:
        if at is None or at < 0:
            return Kind.OTHER
        if at not in self.kinds:
            self.kinds[at] = kind_of(self.texts[at])
        return self.kinds[at]

    def _is(self, kind: Kind) -> Callable[[int], bool]:
        return lambda at: self._kind(at) is kind

    def _take(self, ours: str, at: int, why: str = "") -> None:
        """Propose that the column at this place is ours; nothing where its own name says so."""
        for other in [other for other, place in self.found.items() if place == at]:
            del self.found[other]
        self.found[ours] = at
        name = self.header[at]
        if folded_name(name) != ours:
            self._propose_column(ours, name, why)

    def _propose_column(self, ours: str, name: str, why: str) -> None:
        before = self.rules.columns.get(ours, ())
        value: Value = (*before, name) if before else name
        self.proposals.append(Proposal("roster.columns", ours, value, why))

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
                at = self._best(ours, lambda at: self._kind(at) is not Kind.OTHER)
            match self._kind(at):
                case Kind.CLOCK if at is not None and of_clock not in self.found:
                    self._take(of_clock, at)
                case Kind.DATE if at is not None and of_day not in self.found:
                    self._take(of_day, at)
                case Kind.MOMENT if at is not None and ours not in self.found:
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
            at = self._best(of_day, self._is(Kind.DATE))
            if at is not None:
                self._take(of_day, at)
            elif of_clock not in self.found and (
                (moment := self._best(of_day, self._is(Kind.MOMENT))) is not None
            ):
                self._take(ours, moment)
        if of_day in self.found and of_clock not in self.found:
            at = self._best(ours, self._is(Kind.CLOCK))
            if at is not None:
                self._take(of_clock, at)

    def _people(self) -> None:
        """Find the address, or the lists of addresses, and the name in one column or in two."""
        lists = [at for at, name in enumerate(self.header) if lists_attendees(name)]
        if "email" not in self.found and not self.rules.attendees:
            at = self._best("email", lambda at: any(map(self._is_address, self.texts[at])))
            if at is None and lists:
                filled = [one for one in lists if any(self.texts[one])] or lists[:1]
                names = tuple(self.header[one] for one in filled)
                why = "each address in these cells becomes an attendee"
                self.proposals.append(Proposal("roster", "attendees", names, why))
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
        title = self._best("title", self._is(Kind.OTHER))
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
            self._propose_column("meeting_id", joined, why)
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
            ("moderator", self._says_yes_or_no),
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
        if extra:
            why = "they only look like columns of ours"
            self.proposals.append(Proposal("roster", "extra", (*self.rules.extra, *extra), why))

    def _stands_for_nothing(self, ours: str) -> bool:
        parts = {"start": "start_time", "end": "end_time", "name": "first_name"}
        return parts.get(ours) not in self.found and not (
            ours == "end" and "duration" in self.found
        )

    def _moderators(self) -> None:
        """Propose the words for yes and no that the file has."""
        at = self.found.get("moderator", -1)
        if at < 0 or not self._says_yes_or_no(at):
            return
        for key, words, ours, held in (
            ("yes", YES, TRUE_WORDS, self.rules.yes),
            ("no", NO, FALSE_WORDS, self.rules.no),
        ):
            more = {text.casefold(): text for text in self.texts[at] if text.casefold() in words}
            new = [text for folded, text in more.items() if folded not in ours | held]
            if new:
                what = "a moderator" if key == "yes" else "no moderator"
                why = f"what makes {what} in column {self.header[at]}"
                self.proposals.append(Proposal("roster", key, (*sorted(held), *new), why))

    def _says_yes_or_no(self, at: int) -> bool:
        known = TRUE_WORDS | FALSE_WORDS | YES | NO | self.rules.yes | self.rules.no
        return all(text.casefold() in known for text in self.texts[at] if text)

    def _dates(self) -> None:
        moments = self._texts_of("start", "end")
        dates = self._texts_of("start_date", "end_date")
        readings = readings_of(moments, dates, self.rules)
        proposals = tuple(_date_format(reading) for reading in readings)
        if len(proposals) > 1:
            example = readings[0].example
            why = f"{example} may have the day or the month first, and no date tells"
            self.questions.append(Question(why, proposals))
        else:
            self.proposals += proposals

    def _texts_of(self, *ours: str) -> list[str]:
        places = [self.found.get(one, -1) for one in ours]
        return [text for at in places if at >= 0 for text in self.texts[at] if text]

    def _zone(self, here: str) -> None:
        """Ask for the zone of times that name none; UTC is rarely what a sheet is written in."""
        times = self._texts_of("start", "end") or self._texts_of("start_time", "end_time")
        named = "timezone" in self.found or self.rules.timezone != "UTC"
        if named or here in {"UTC", ""} or any(has_offset(text, self.rules) for text in times[:20]):
            return
        why = "no column and no setting says in which zone the times are"
        answers = (
            Proposal("roster", "timezone", here, "the zone of this machine"),
            Proposal("roster", "timezone", "UTC", "what counts as it is"),
        )
        self.questions.append(Question(why, answers))

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


def _date_format(reading: Reading) -> Proposal:
    why = f"{reading.order}, as in {reading.example}"
    return Proposal("roster", "date_format", reading.forms, why)


def grouped(proposals: Iterable[Proposal]) -> Mapping[str, list[Proposal]]:
    """Return proposals by their section, in order."""
    sections: dict[str, list[Proposal]] = {}
    for each in proposals:
        sections.setdefault(each.section, []).append(each)
    return sections
