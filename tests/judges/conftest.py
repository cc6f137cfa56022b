"""The judges: libical through ctypes, a CalDAV server, and a calendar program."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.calendars import CalDav, khal_in, radicale

_VERDICT = "X-LIC-ERROR"


class Libical:
    """libical 3: its parser, and the restrictions of RFC 5545 and 5546 that it knows."""

    def __init__(self) -> None:
        """Load the library; OSError where it is absent."""
        library = ctypes.CDLL(ctypes.util.find_library("ical"))
        for name, takes, gives in (
            ("icalparser_parse_string", [ctypes.c_char_p], ctypes.c_void_p),
            ("icalrestriction_check", [ctypes.c_void_p], ctypes.c_int),
            ("icalcomponent_as_ical_string", [ctypes.c_void_p], ctypes.c_char_p),
            ("icalcomponent_free", [ctypes.c_void_p], None),
        ):
            function = getattr(library, name)
            function.argtypes, function.restype = takes, gives
        self._library = library

    def faults(self, ics: bytes) -> list[str]:
        """Return what libical finds wrong with a calendar object, nothing where it is right."""
        allowed, text = self.read(ics)
        found = [line for line in text.splitlines() if line.startswith(_VERDICT)]
        return found if allowed else [*found, "a restriction is broken"]

    def read(self, ics: bytes) -> tuple[bool, str]:
        """Return whether the object keeps the restrictions, and how libical writes it itself."""
        component = self._library.icalparser_parse_string(ics)
        assert component, "libical can't parse it"
        try:
            allowed = self._library.icalrestriction_check(component) == 1
            written = self._library.icalcomponent_as_ical_string(component).decode()
        finally:
            self._library.icalcomponent_free(component)
        return allowed, written.replace("\r\n ", "")


@pytest.fixture(scope="session")
def libical() -> Libical:
    """Return libical; a test that uses it is marked `peer("libical3")`."""
    return Libical()


@pytest.fixture(scope="session")
def caldav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CalDav]:
    """Give a calendar on a CalDAV server."""
    with radicale(tmp_path_factory.mktemp("radicale")) as client:
        yield client


@pytest.fixture
def khal(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs khal with an empty calendar of its own and gives its output."""
    return khal_in(tmp_path)
