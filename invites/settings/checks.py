"""What settings must be together: the rules that look at more than one key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from invites.settings.faults import Complaint, Finding, key_name
from invites.settings.sections import Job
from invites.settings.web import is_loopback

Places = Mapping[tuple[str, ...], str]


def findings(sections: Mapping[str, Any], jobs: Sequence[Job], places: Places) -> list[Finding]:
    """Return a complaint for each rule that is broken; a section that is itself wrong is None."""
    found: list[Finding] = []
    for section, rule in (
        ("jitsi", _jitsi),
        ("validity", _validity),
        ("smtp", _smtp),
    ):
        if sections[section] is not None:
            found += [
                Complaint(place=places.get(path, key_name(path)), sentence=sentence)
                for path, sentence in rule(sections[section])
            ]
    if sections["smtp"] is not None and sections["smtp"].host is None:
        found += _wants_smtp(sections, jobs, places)
    return found + _same_names(jobs)


def _jitsi(jitsi: Any) -> list[tuple[tuple[str, str], str]]:
    found = []
    for key in ("app_id", "audience", "subject"):
        if getattr(jitsi, key) == "*":
            found.append(
                (("jitsi", key), 'found "*", expected a name: a token is for one server alone')
            )
    return found


def _validity(validity: Any) -> list[tuple[tuple[str, str], str]]:
    around = validity.opens_before + validity.closes_after + validity.skew
    if around < validity.longest:
        return []
    sentence = (
        "opens_before, closes_after and skew leave no time for a meeting; expected longest to be "
        "more than their sum"
    )
    return [(("validity", "longest"), sentence)]


def _smtp(smtp: Any) -> list[tuple[tuple[str, str], str]]:
    found = []
    if (
        smtp.host
        and smtp.security == "none"
        and not smtp.allow_plaintext
        and not is_loopback(smtp.host)
    ):
        found.append(
            (
                ("smtp", "security"),
                f'found "none" for {smtp.host}, expected starttls or tls: join links would cross '
                "the network in the clear; allow_plaintext = true permits it",
            )
        )
    return found


def _wants_smtp(sections: Mapping[str, Any], jobs: Sequence[Job], places: Places) -> list[Finding]:
    remedy = 'needs a mail server; set host in [smtp], such as host = "smtp.example.com"'
    found: list[Finding] = []
    delivery = sections["delivery"]
    if delivery is not None and delivery.to == "smtp":
        place = places.get(("delivery", "to"), "[delivery] to")
        found.append(Complaint(place=place, sentence=f'"smtp" {remedy}'))
    for job in jobs:
        for key in ("reminders", "notify"):
            if getattr(job, key):
                found.append(Complaint(place=f'[[job]] "{job.name}"', sentence=f"{key} {remedy}"))
        if job.deliver == "smtp":
            found.append(
                Complaint(place=f'[[job]] "{job.name}"', sentence=f'deliver = "smtp" {remedy}')
            )
    return found


def _same_names(jobs: Sequence[Job]) -> list[Finding]:
    names = [job.name for job in jobs]
    return [
        Complaint(
            place=f'[[job]] "{name}"',
            sentence=f"found {names.count(name)} jobs of this name, expected one; rename the others",
        )
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def warnings(sections: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is allowed and should be looked at."""
    found = []
    url = sections["jitsi"].url
    if url is not None and url.startswith("http://"):
        found.append("[jitsi] url is http: tokens cross the network in the clear; use https")
    return tuple(found)
