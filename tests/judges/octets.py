"""What the other judges miss, octet by octet: one calendar object, read by nobody's parser.

Written from RFC 5545 and 5546 alone; it shares no code and no expression with the package.
"""

from __future__ import annotations

METHODS = {b"REQUEST", b"CANCEL"}
PARTSTATS = {b"NEEDS-ACTION"}
TEXTS = {b"SUMMARY", b"DESCRIPTION", b"LOCATION"}
STAMPS = {b"DTSTAMP", b"DTSTART", b"DTEND"}
DIGITS = frozenset(b"0123456789")


def faults(ics: bytes) -> list[str]:
    """Return what is wrong, a word each; nothing where all is right."""
    found = [*_of_lines(ics)]
    lines = ics.replace(b"\r\n ", b"").replace(b"\r\n\t", b"").split(b"\r\n")
    cancels = b"METHOD:CANCEL" in lines
    # The times of a VTIMEZONE are the wall's (3.8.2.4); those that name it count on it.
    zones = {line[5:] for line in lines if line.startswith(b"TZID:")}
    events = b"\r\n".join(lines).split(b"END:VTIMEZONE\r\n")[-1].split(b"\r\n")
    for line in events[:-1]:
        head, value = _parted(line)
        name, *parameters = _outside_quotes(head, b";")
        found += _of_property(name, parameters, value, zones)
    if cancels and b"BEGIN:VALARM" in lines:
        found.append("VALARM in a CANCEL")
    if sum(line.startswith(b"METHOD:") for line in lines) != 1:
        found.append("METHOD")
    return found


def _of_lines(ics: bytes) -> list[str]:
    found = []
    rest = ics.replace(b"\r\n", b"")
    if b"\r" in rest or b"\n" in rest or not ics.endswith(b"\r\n"):
        found.append("line end")
    for line in ics.split(b"\r\n"):
        if len(line) > 75:
            found.append("line length")
        try:
            line.decode()
        except UnicodeDecodeError:
            found.append("folded inside a character")
    return found


def _of_property(
    name: bytes, parameters: list[bytes], value: bytes, zones: set[bytes]
) -> list[str]:
    found = []
    if name == b"METHOD" and value not in METHODS:
        found.append("METHOD")
    if name in {b"ATTENDEE", b"ORGANIZER"} and not value.startswith(b"mailto:"):
        found.append("no mailto")
    states = [part[9:] for part in parameters if part.startswith(b"PARTSTAT=")]
    found += ["PARTSTAT"] * any(state not in PARTSTATS for state in states)
    if name in TEXTS and not _is_escaped(value):
        found.append("escape")
    named = {part[5:] for part in parameters if part.startswith(b"TZID=")}
    on_the_wall = name != b"DTSTAMP" and named and named <= zones
    if name in STAMPS and not _is_utc(value + b"Z" if on_the_wall else value):
        found.append("local time")
    if name == b"RRULE":
        untils = [part[6:] for part in value.split(b";") if part.startswith(b"UNTIL=")]
        found += ["local UNTIL" for until in untils if not _is_utc(until)]
    return found


def _is_escaped(value: bytes) -> bool:
    at = 0
    while at < len(value):
        octet = value[at : at + 1]
        if octet == b"\\":
            if value[at + 1 : at + 2] not in {b"\\", b";", b",", b"n", b"N"}:
                return False
            at += 1
        elif octet in {b",", b";"}:
            return False
        at += 1
    return True


def _is_utc(value: bytes) -> bool:
    shape = len(value) == 16 and value[8:9] == b"T" and value[15:] == b"Z"
    return shape and DIGITS.issuperset(value[:8] + value[9:15])


def _parted(line: bytes) -> tuple[bytes, bytes]:
    quoted = False
    for at, octet in enumerate(line):
        if octet == ord('"'):
            quoted = not quoted
        elif octet == ord(":") and not quoted:
            return line[:at], line[at + 1 :]
    return line, b""


def _outside_quotes(head: bytes, separator: bytes) -> list[bytes]:
    parts, quoted = [b""], False
    for octet in head:
        one = bytes([octet])
        if one == b'"':
            quoted = not quoted
        if one == separator and not quoted:
            parts.append(b"")
        else:
            parts[-1] += one
    return parts
