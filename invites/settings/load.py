"""From the settings file, the environment and the flags to one frozen `Settings`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from invites.errors import SettingsError
from invites.settings import checks
from invites.settings.checks import Fault, expected_of, nearest, refuse, shown
from invites.settings.layers import (
    Given,
    Layer,
    docker_layer,
    environment_layer,
    keys_known_in,
    merged,
    near_misses,
    override_layer,
    two_sources,
)
from invites.settings.secrets import read_trusted
from invites.settings.sections import (
    SECTIONS,
    SUBSECTIONS,
    Job,
    KeyPath,
    Section,
    key_name,
    keys_of,
)
from invites.settings.settings import Settings
from invites.settings.types import FormContext

NAME: Final = "invites.toml"


def load(
    config: Path | None = None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of this call.

    `config` is `--config`; without it INVITES_CONFIG names the file, else it is looked for in
    `places`, and none is no error.
    `overrides` are flags by "section.key", None for a flag not given.
    Relative paths start at the settings file's folder, without a file at the current one; those of
    flags, where they are `Path`s, always at the current one.
    Raises SettingsError with one line for each fault.
    """
    source = settings_file(config, environ)
    layers = [docker_layer(environ)]
    if source is not None:
        _refuse_a_strangers(source, config, environ)
        layers.append(file_layer(_document(source), str(source)))
    layers += [environment_layer(environ), override_layer(_absolute(overrides or {}))]
    return _settings(layers, source=source, environ=environ)


def demo(secret: bytes, *, overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of `--demo`, which looks at no file and no environment.

    `secret` has at least 32 bytes, random for this process.
    """
    layer = Layer()
    for path, value in (
        (("jitsi", "url"), "https://meet.example.com"),
        (("jitsi", "app_id"), "demo"),
        (("jitsi", "secret"), secret),
        (("organizer", "name"), "Meetings"),
        (("organizer", "email"), "meetings@example.com"),
    ):
        layer.give(path, value, f"--demo: {key_name(path)}")
    layers = [layer, override_layer(_absolute(overrides or {}))]
    return _settings(layers, source=None, environ={})


def settings_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file that counts, or None.

    Raises SettingsError where `--config` or INVITES_CONFIG names one that is not there.
    """
    variable = environ.get("INVITES_CONFIG")
    named = config or (Path(variable) if variable else None)
    if named is None:
        return next((file for file in places(environ) if _is_there(file)), None)
    if named.is_dir():
        raise SettingsError(
            f"{named}: found a folder, expected a settings file; name the file, such as "
            f"{named / NAME}"
        )
    if not named.exists():
        said = "--config" if config else "INVITES_CONFIG"
        raise SettingsError(
            f"{named}: found nothing, expected the settings file that {said} names; correct the "
            "name, or make one with: invites init"
        )
    return named


def _refuse_a_strangers(source: Path, config: Path | None, environ: Mapping[str, str]) -> None:
    """Refuse a file of another account that nobody named: its commands would run as ours.

    Whoever can write to a shared folder could leave one there, for root to walk into.
    """
    if config is not None or environ.get("INVITES_CONFIG"):
        return
    us = {0, os.geteuid()}
    for status in (source.stat(), source.lstat()):  # a link may be the stranger's as well
        if status.st_uid not in us:
            raise SettingsError(
                f"{source}: found a settings file of another account (user {status.st_uid}), "
                f"expected one of root or of the account that runs invites (user {os.geteuid()}); "
                "see what it says, then name it with --config, or make it yours with chown"
            )


def _is_there(file: Path) -> bool:
    """Return whether there is a file; one in a folder that is closed to us is not there for us."""
    try:
        return file.is_file()
    except OSError:
        return False


def places(environ: Mapping[str, str]) -> list[Path]:
    """Return where a settings file is looked for, in this order (XDG base directories)."""
    found = [Path(NAME)]
    configured = Path(environ.get("XDG_CONFIG_HOME", ""))
    if configured.is_absolute():
        found.append(configured / "invites" / NAME)
    elif home := environ.get("HOME"):
        found.append(Path(home, ".config", "invites", NAME))
    return [*found, Path("/etc/invites", NAME)]


def _document(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_trusted(source).decode("utf-8-sig"))
    except OSError as error:
        fault = f"found a file that can't be read ({error.strerror}), expected one that can"
    except UnicodeDecodeError as error:
        fault = f"byte {error.start + 1} is not UTF-8; save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        fault = (
            f'found no TOML: {error}; expected lines such as key = "text", key = 7, key = true; '
            "correct that line"
        )
    raise SettingsError(f"{source}: {fault}")


def _absolute(overrides: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value.absolute() if isinstance(value, Path) else value
        for name, value in overrides.items()
    }


def _settings(
    layers: Sequence[Layer], *, source: Path | None, environ: Mapping[str, str]
) -> Settings:
    layers = _without_docker_for_jaas(layers)
    given = merged(layers)
    base = Path.cwd() if source is None else source.absolute().parent
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    context = FormContext(base=base, home=home, special_domains=_special_domains(given))
    found: list[Fault] = [each for layer in layers for each in layer.faults]
    found += two_sources(layers)
    found += checks.exposed_secret(source, given)
    sections: dict[str, Any] = {}
    file = None if source is None else str(source)
    for name in SECTIONS:
        sections[name], faults = _section(name, given, context, file=file)
        found += faults
    jobs, faults = _jobs(layers, sections, file=file, context=context)
    origins = {path: each.place for path, each in given.items()}
    found += faults
    found += checks.faults(sections, jobs, origins, file=file)
    refuse(found)
    return Settings(
        **sections,
        jobs=tuple(jobs),
        source=source,
        base=base,
        warnings=(
            *near_misses(environ),
            *checks.warnings(sections, jobs, origins, environ, source),
        ),
        environ=environ,
        origins=origins,
    )


def _without_docker_for_jaas(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers as the profile wants them: 8x8's server has nothing of one's own `.env`."""
    stronger = layers[1:]
    profile = merged(stronger).get(("jitsi", "profile"))
    if profile is None or profile.value != "jaas":
        return list(layers)
    defaults = Layer()
    defaults.give(("jitsi", "algorithm"), "RS256", "[jitsi] profile jaas: [jitsi] algorithm")
    return [defaults, *stronger]


def _special_domains(given: Mapping[KeyPath, Given]) -> tuple[str, ...]:
    found = given.get(("roster", "special_domains"))
    listed = found.value if found is not None and isinstance(found.value, list) else []
    return tuple(each for each in listed if isinstance(each, str))


def _section(
    name: str, given: Mapping[KeyPath, Given], context: FormContext, *, file: str | None
) -> tuple[Section | None, list[Fault]]:
    raw: dict[str, Any] = {}
    for path, each in given.items():
        if path[0] == name:
            home = raw if len(path) == 2 else raw.setdefault(path[1], {})
            home[path[-1]] = each.value
    built, errors = _validated(SECTIONS[name], raw, context)
    return built, [_section_fault((name, *error["loc"]), error, given, file) for error in errors]


def _section_fault(
    where: tuple[str, ...], error: Any, given: Mapping[KeyPath, Given], file: str | None
) -> Fault:
    """Return the fault of the key at `where`, whose end may be an item of a list."""
    path = where[:3] if where[:3] in given else where[:2]
    found = given.get(path)
    expected, remedy = expected_of(error)
    if found is None:
        place = checks.place_of(path, {}, file)
        return Fault.of_value(place, expected, remedy=remedy)
    seen = shown(path, found.value)
    return Fault.of_value(found.place, expected, found=seen, remedy=remedy)


def _validated(
    model: type[Section], raw: Mapping[str, Any], context: FormContext
) -> tuple[Any, list[Any]]:
    """Return the section, or pydantic's errors; its exception, which holds input, ends here."""
    try:
        return model.model_validate(raw, context=context), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _jobs(
    layers: Sequence[Layer], sections: Mapping[str, Any], *, file: str | None, context: FormContext
) -> tuple[list[Job], list[Fault]]:
    """Return the jobs; zone and delivery of one that names none are those of the other sections."""
    defaults = {
        "timezone": getattr(sections["roster"], "timezone", "UTC"),
        "deliver": getattr(sections["delivery"], "to", "folder"),
    }
    jobs: list[Job] = []
    faults: list[Fault] = []
    raws = [raw for layer in layers for raw in layer.jobs]
    for number, raw in enumerate(raws, start=1):
        known = {key: value for key, value in raw.items() if key in Job.model_fields}
        built, errors = _validated(Job, defaults | known, context)
        title = f"{file}: {job_title(raw, number)}"
        faults += [_job_fault(title, known, error) for error in errors]
        if built is not None:
            jobs.append(built)
    return jobs, faults


def _job_fault(title: str, known: Mapping[str, Any], error: Any) -> Fault:
    key = str(error["loc"][0])
    expected, remedy = expected_of(error)
    seen = shown(("job", key), known[key]) if key in known else "nothing"
    return Fault.of_value(f"{title}: {key}", expected, found=seen, remedy=remedy)


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
