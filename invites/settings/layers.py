"""The places that settings come from, each as one layer of keys, and how layers are laid together.

From weakest to strongest: Jitsi's docker names, the settings file, the environment with systemd's
credentials, the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from invites.settings.faults import Complaint, Finding, did_you_mean, key_name
from invites.settings.sections import SECTIONS, SOURCES, SUBSECTIONS, Job, keys_of

Path = tuple[str, ...]
"""Where a key stands: ("jitsi", "url"), ("smtp", "m365", "tenant")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was given, hidden in `repr`, and the place that an error names."""

    value: Any = field(repr=False)
    place: str


@dataclass(slots=True)
class Layer:
    """What one place gives, by path; `findings` are keys that don't exist and the like."""

    given: dict[Path, Given] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list, repr=False)

    def give(self, path: Path, value: object, place: str) -> None:
        """Take in a value for a key."""
        self.given[path] = Given(value=value, place=place)

    def complain(self, place: str, sentence: str) -> None:
        """Take in something that is wrong with a name."""
        self.findings.append(Complaint(place=place, sentence=sentence))


def file_layer(document: Mapping[str, Any], file: str) -> Layer:
    """Return the layer of a parsed TOML document; `file` is its name in errors."""
    layer = Layer()
    for name, content in document.items():
        if name == "job":
            _take_jobs(layer, content, file)
        elif name not in SECTIONS:
            layer.complain(file, _unknown_section(name, content))
        elif not isinstance(content, Mapping):
            layer.complain(file, f"found {name} as a value, expected the section [{name}]")
        else:
            _take_section(layer, (name,), content, file)
    return layer


def _unknown_section(name: str, content: object) -> str:
    if isinstance(content, (Mapping, list)):
        return f"unknown section [{name}]{did_you_mean(name, (*SECTIONS, 'job'))}" + _or_remove(
            name
        )
    homes = [section for section in SECTIONS if name in keys_of(section)]
    if homes:
        return f'the key "{name}" stands in no section, expected it in [{homes[0]}]'
    return f'unknown key "{name}" outside of every section; put it in its section or remove it'


def _or_remove(name: str) -> str:
    return "" if did_you_mean(name, (*SECTIONS, "job")) else "; remove it or correct its name"


def _take_section(layer: Layer, path: Path, content: Mapping[str, Any], file: str) -> None:
    known = keys_known_in(path)
    for key, value in content.items():
        inner = (*path, key)
        if inner in SUBSECTIONS:
            if isinstance(value, Mapping):
                _take_section(layer, inner, value, file)
            else:
                layer.complain(file, f"found {key_name(inner)} as a value, expected a section")
        elif known is not None and key not in known:
            layer.complain(file, unknown_key(inner))
        else:
            layer.give(inner, value, f"{file}: {key_name(inner)}")


def keys_known_in(path: Path) -> tuple[str, ...] | None:
    """Return the keys of a section or subsection, None where any key may stand."""
    if len(path) == 1:
        return tuple(keys_of(path[0]))
    model = SUBSECTIONS[path[0], path[1]]
    return None if model is None else tuple(model.model_fields)


def unknown_key(path: Path) -> str:
    """Return the sentence for a key that its section doesn't have."""
    known = keys_known_in(path[:-1]) or ()
    sentence = f'unknown key "{path[-1]}" in [{".".join(path[:-1])}]'
    if near := did_you_mean(path[-1], known):
        return sentence + near
    homes = [name for name in SECTIONS if path[-1] in keys_of(name)]
    if homes:
        return f"{sentence}; it belongs to [{homes[0]}]"
    return f"{sentence}; its keys are {', '.join(known)}"


def _take_jobs(layer: Layer, content: object, file: str) -> None:
    if not isinstance(content, list) or not all(isinstance(each, Mapping) for each in content):
        layer.complain(file, "found [job], expected [[job]], with two brackets, for each job")
        return
    layer.jobs = content
    for job in content:
        for key in job:
            if key not in Job.model_fields:
                layer.complain(file, f"[[job]]{_job_name(job)}: {unknown_key(('job', key))}")


def _job_name(job: Mapping[str, Any]) -> str:
    name = job.get("name")
    return f' "{name[:60]}"' if isinstance(name, str) and name.isprintable() else ""


def merged(layers: Iterable[Layer]) -> dict[Path, Given]:
    """Return the strongest value for each key; `layers` come weakest first.

    Of several ways to give one secret, those of the strongest layer that has any count alone.
    """
    result: dict[Path, Given] = {}
    for layer in layers:
        for ways in _sources():
            if any(way in layer.given for way in ways):
                for way in ways:
                    result.pop(way, None)
        result.update(layer.given)
    return result


def two_sources(layers: Iterable[Layer]) -> list[Finding]:
    """Return a complaint for each secret that one layer gives in two ways."""
    complaints: list[Finding] = []
    for layer in layers:
        for ways in _sources():
            places = [layer.given[way].place for way in ways if way in layer.given]
            if len(places) > 1:
                sentence = f"this and {', '.join(places[1:])} give one secret; keep one of them"
                complaints.append(Complaint(place=places[0], sentence=sentence))
    return complaints


def _sources() -> list[list[Path]]:
    return [[(section, key) for key in keys] for section, keys in SOURCES.items()]


COMMAND_LINE: Final = "command line"


def override_layer(overrides: Mapping[str, object]) -> Layer:
    """Return the layer of flags: values by "section.key"; None says that a flag was not given.

    Raises KeyError for a key that doesn't exist: that is our own mistake, not the user's.
    """
    layer = Layer()
    for name, value in overrides.items():
        path = tuple(name.split("."))
        known = keys_known_in(path[:-1])
        if known is not None and path[-1] not in known:
            raise KeyError(name)
        if value is not None:
            layer.give(path, value, f"{COMMAND_LINE}: {key_name(path)}")
    return layer
