"""The places that settings come from, each as one layer of keys, and how layers are laid together.

From weakest to strongest: Jitsi's docker names, the settings file, the environment with systemd's
credentials, the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from invites.settings.checks import Fault, nearest
from invites.settings.sections import (
    SECTIONS,
    SOURCES,
    SUBSECTIONS,
    Job,
    KeyPath,
    key_name,
    keys_of,
)

COMMAND_LINE: Final = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was given, hidden in `repr`, and the place that an error names."""

    value: Any = field(repr=False)
    place: str


@dataclass(slots=True)
class Layer:
    """What one place gives, by path; `faults` are keys that don't exist and the like."""

    given: dict[KeyPath, Given] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    jobs: list[Mapping[str, Any]] = field(default_factory=list, repr=False)

    def give(self, path: KeyPath, value: object, place: str) -> None:
        """Take in a value for a key."""
        self.given[path] = Given(value=value, place=place)

    def refuse(self, place: str, sentence: str) -> None:
        """Take in something that is wrong with a name."""
        self.faults.append(Fault(place=place, sentence=sentence))


def keys_known_in(path: KeyPath) -> tuple[str, ...] | None:
    """Return the keys of a section or subsection, None where any key may stand."""
    if len(path) == 1:
        return tuple(keys_of(path[0]))
    model = SUBSECTIONS[path[0], path[1]]
    return None if model is None else tuple(model.model_fields)


def file_layer(document: Mapping[str, Any], file: str) -> Layer:
    """Return the layer of a parsed TOML document; `file` is its name in errors."""
    layer = Layer()
    for name, content in document.items():
        if name == "job":
            _take_jobs(layer, content, file)
        elif name not in SECTIONS:
            layer.refuse(file, _unknown_name(name, content))
        elif not isinstance(content, Mapping):
            layer.refuse(file, f"found {name} as a value, expected the section [{name}]")
        else:
            _take_section(layer, (name,), content, file)
    return layer


def _unknown_name(name: str, content: object) -> str:
    if isinstance(content, Mapping) or _is_list_of_tables(content):
        return f"unknown section [{name}]; " + _meant(name, (*SECTIONS, "job"))
    homes = [section for section in SECTIONS if name in keys_of(section)]
    if homes:
        return f'found "{name}" outside of every section, expected it in {_in_words(homes)}'
    return f'unknown key "{name}" outside of every section; remove it'


def _meant(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f'did you mean "{near}"?' if near else f"expected one of {', '.join(known)}"


def _in_words(sections: Sequence[str]) -> str:
    return " or ".join(_bracketed((section,)) for section in sections)


def _bracketed(path: Sequence[str]) -> str:
    return "[[job]]" if path[0] == "job" else f"[{'.'.join(path)}]"


def _is_list_of_tables(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(each, Mapping) for each in content)


def _take_section(layer: Layer, path: KeyPath, content: Mapping[str, Any], file: str) -> None:
    known = keys_known_in(path)
    for key, value in content.items():
        inner = (*path, key)
        if inner in SUBSECTIONS:
            if isinstance(value, Mapping):
                _take_section(layer, inner, value, file)
            else:
                name = ".".join(inner)
                layer.refuse(file, f"found {name} as a value, expected the section [{name}]")
        elif known is not None and key not in known:
            layer.refuse(file, _unknown_key(inner, known))
        elif not _says_nothing(inner, value):
            layer.give(inner, value, f"{file}: {key_name(inner)}")


def _says_nothing(path: KeyPath, value: object) -> bool:
    """Return whether this is a key without default that is still to be filled in."""
    if value != "" or path[:2] == ("roster", "columns"):
        return False
    model = SUBSECTIONS[path[0], path[1]] if len(path) == 3 else SECTIONS[path[0]]
    return model is not None and model.model_fields[path[-1]].default is None


def _unknown_key(path: KeyPath, known: Sequence[str]) -> str:
    sentence = f'unknown key "{path[-1]}" in {_bracketed(path[:-1])}; '
    homes = [name for name in (*SECTIONS, "job") if path[-1] in keys_of(name)]
    if homes:
        return f"{sentence}it belongs in {_in_words(homes)}"
    return sentence + _meant(path[-1], known)


def _take_jobs(layer: Layer, content: object, file: str) -> None:
    if not isinstance(content, list) or not _is_list_of_tables(content):
        layer.refuse(file, "found job as something else, expected [[job]] above each job's keys")
        return
    layer.jobs = content
    for number, job in enumerate(content, start=1):
        for key in job:
            if key not in Job.model_fields:
                place = f"{file}: {job_title(job, number)}"
                layer.refuse(place, _unknown_key(("job", key), tuple(Job.model_fields)))


def job_title(job: Mapping[str, Any], number: int) -> str:
    """Return how an error names a job: by its name, else by its number in the file."""
    name = job.get("name")
    named = isinstance(name, str) and name.isprintable() and 0 < len(name) <= 60
    return f'[[job]] "{name}"' if named else f"[[job]] number {number}"


def merged(layers: Iterable[Layer]) -> dict[KeyPath, Given]:
    """Return the strongest value for each key; `layers` come weakest first.

    Of several ways to give one secret, those of the strongest layer that has any count alone.
    """
    result: dict[KeyPath, Given] = {}
    for layer in layers:
        for ways in _sources():
            if any(way in layer.given for way in ways):
                for way in ways:
                    result.pop(way, None)
        result.update(layer.given)
    return result


def two_sources(layers: Iterable[Layer]) -> list[Fault]:
    """Return a fault for each secret that one layer gives in two ways."""
    faults: list[Fault] = []
    for layer in layers:
        for ways in _sources():
            places = [layer.given[way].place for way in ways if way in layer.given]
            if len(places) > 1:
                sentence = f"found one secret given twice, by {places[1]} too; keep one of them"
                faults.append(Fault(place=places[0], sentence=sentence))
    return faults


def _sources() -> list[list[KeyPath]]:
    return [[(section, key) for key in keys] for section, keys in SOURCES.items()]


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
