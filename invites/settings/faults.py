"""What is wrong in the settings, as values, and how each becomes one line of a SettingsError."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from invites.errors import SettingsError
from invites.jitsi.rooms import TenantRefused
from invites.problems import escaped
from invites.settings.sections import NEVER_SHOWN
from invites.settings.values import Unfit
from invites.text import CellRefused

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LOGIN: Final = re.compile(r"//[^/]*@")
_QUERY: Final = re.compile(r"([?#]).*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong: where, what was found (None: not to be shown), what to do."""

    place: str
    expected: str
    found: str | None = None
    remedy: str = ""

    def text(self) -> str:
        """Return the fault as one line."""
        found = f"found {self.found}, " if self.found is not None else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.place}: {found}expected {self.expected}{remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A fault that is told in a sentence of its own."""

    place: str
    sentence: str

    def text(self) -> str:
        """Return the complaint as one line."""
        return f"{self.place}: {self.sentence}"


Finding = Fault | Complaint


def refuse(findings: Sequence[Finding]) -> None:
    """Raise a SettingsError that names every finding, a line each; nothing where there is none."""
    if findings:
        raise SettingsError("\n".join(dict.fromkeys(each.text() for each in findings)))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, or nothing."""
    by_folded = {each.lower(): each for each in known}
    folded = name.lower().replace("-", "_").replace(" ", "_")
    near = get_close_matches(folded, list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def shown(path: tuple[str, ...], value: object) -> str | None:
    """Return how an error shows a found value; None for one that may be a secret."""
    return None if path[:2] in NEVER_SHOWN else _in_toml(value)


def _in_toml(value: object) -> str:
    """Return a value about as the file has it, cut where it is long."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple():
            inner = [_in_toml(item) for item in value[:5]]
            return "[" + ", ".join(inner + ["…"] * (len(value) > 5)) + "]"
        case dict():
            return "a table"
        case _:
            return f'"{escaped(_without_login_or_token(str(value)))}"'


def _without_login_or_token(text: str) -> str:
    """Return `text` with what a url must not show: its login, and what follows its path."""
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1…", _LOGIN.sub("//…@", text))


def expected_of(error: ErrorDetails) -> tuple[str, str]:
    """Return the words for what was expected, and what to do, of one error of pydantic's."""
    context = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Unfit):
        return cause.expected, cause.remedy
    if isinstance(cause, CellRefused | TenantRefused):
        return cause.expected, ""
    if error["type"] == "literal_error":
        return "one of " + str(context["expected"]).replace("'", '"').replace(" or ", ", "), ""
    if error["type"] == "missing":
        return "a value", "add the line"
    return "text in quotes" if "string" in error["type"] else "another kind of value", ""
