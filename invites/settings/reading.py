"""From the settings file, the environment and the flags to one frozen `Settings`."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from invites.errors import SettingsError
from invites.settings import checks
from invites.settings.docker import docker_layer
from invites.settings.environment import environment_layer, near_misses
from invites.settings.faults import Complaint, Fault, Finding, expected_of, key_name, refuse, shown
from invites.settings.layers import Given, Layer, file_layer, merged, override_layer, two_sources
from invites.settings.sections import SECTIONS, Job, Section
from invites.settings.tree import Settings

NAME = "invites.toml"


def load(
    config: Path | None = None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of this call.

    `config` is `--config`; without it the file is looked for where product.md says, and none is no
    error.  `overrides` are flags by "section.key"; their relative paths start at the current
    folder, all other paths at the settings file's.
    Raises SettingsError with one line for every fault.
    """
    source = settings_file(config, environ)
    base = Path.cwd() if source is None else source.absolute().parent
    layers = [docker_layer(environ)]
    if source is not None:
        layers.append(file_layer(_document(source), str(source)))
    layers += [environment_layer(environ), override_layer(_absolute(overrides or {}))]
    return _settings(layers, source=source, base=base, environ=environ)


def demo(secret: str, *, overrides: Mapping[str, object] | None = None) -> Settings:
    """Return settings for `--demo`: they need no file, no environment and no secret of anybody.

    `secret` is text of at least 32 characters, random for this process.
    """
    layer = Layer()
    layer.give(("jitsi", "url"), "https://meet.example.com", "--demo")
    layer.give(("jitsi", "app_id"), "demo", "--demo")
    layer.give(("jitsi", "secret"), secret, "--demo")
    layer.give(("organizer", "name"), "Meetings", "--demo")
    layer.give(("organizer", "email"), "meetings@example.com", "--demo")
    layers = [layer, override_layer(_absolute(overrides or {}))]
    return _settings(layers, source=None, base=Path.cwd(), environ={})


def settings_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file that counts, or None.

    Raises SettingsError where `--config` or INVITES_CONFIG names one that is not there.
    """
    named = config or (Path(environ["INVITES_CONFIG"]) if environ.get("INVITES_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            what = "a folder" if named.is_dir() else "nothing"
            raise SettingsError(
                f"{named}: found {what}, expected the settings file that --config or "
                "INVITES_CONFIG names; `invites init` writes one"
            )
        return named
    return next((file for file in places(environ) if file.is_file()), None)


def places(environ: Mapping[str, str]) -> list[Path]:
    """Return where a settings file is looked for, in this order."""
    found = [Path(NAME)]
    configured = Path(environ.get("XDG_CONFIG_HOME", ""))
    if configured.is_absolute():
        found.append(configured / "invites" / NAME)
    elif environ.get("HOME"):
        found.append(Path(environ["HOME"], ".config", "invites", NAME))
    return [*found, Path("/etc/invites", NAME)]


def _document(source: Path) -> dict[str, Any]:
    fault = ""
    try:
        return tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        fault = f"can't be read: {error.strerror}"
    except UnicodeDecodeError as error:
        fault = f"byte {error.start + 1} is not UTF-8; save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        fault = f"is not TOML: {error}; text stands in quotes, true and numbers without"
    raise SettingsError(f"{source}: {fault}")


def _absolute(overrides: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value.absolute() if isinstance(value, Path) else value
        for name, value in overrides.items()
    }


def _settings(
    layers: list[Layer], *, source: Path | None, base: Path, environ: Mapping[str, str]
) -> Settings:
    findings = [finding for layer in layers for finding in layer.findings]
    findings += two_sources(layers)
    given = merged(layers)
    if source is not None:
        findings += _exposed_secret(source, given)
    sections: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        built, faults = _section(name, model, given, base)
        findings += faults
        sections[name] = built
    jobs, faults = _jobs(layers, sections, source=source, base=base)
    findings += faults
    places_ = {path: each.place for path, each in given.items()}
    findings += checks.findings(sections, jobs, places_)
    refuse(findings)
    return Settings(
        **sections,
        jobs=tuple(jobs),
        source=source,
        warnings=tuple(near_misses(environ)) + checks.warnings(sections),
        environ=environ,
        base=base,
    )


def _section(
    name: str, model: type[Section], given: Mapping[tuple[str, ...], Given], base: Path
) -> tuple[Section | None, list[Finding]]:
    raw: dict[str, Any] = {}
    for path, each in given.items():
        if path[0] == name and len(path) == 2:
            raw[path[1]] = each.value
        elif path[0] == name:
            raw.setdefault(path[1], {})[path[2]] = each.value
    built, errors = _validated(model, raw, base)
    faults: list[Finding] = []
    for error in errors:
        where = tuple(str(part) for part in (name, *error["loc"]))
        path = next((p for p in (where[:3], where[:2]) if p in given), where[:2])
        each = given.get(path)
        expected, remedy = expected_of(error)
        faults.append(
            Fault(
                place=each.place if each else key_name(path),
                found=shown(path, each.value) if each else None,
                expected=expected,
                remedy=remedy,
            )
        )
    return built, faults


def _validated(
    model: type[Section], raw: Mapping[str, Any], base: Path
) -> tuple[Section | None, list[Any]]:
    """Return the section, or pydantic's errors; its exception, which holds input, ends here."""
    try:
        return model.model_validate(raw, context={"base": base}), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _jobs(
    layers: list[Layer], sections: Mapping[str, Any], *, source: Path | None, base: Path
) -> tuple[list[Job], list[Finding]]:
    jobs: list[Job] = []
    faults: list[Finding] = []
    defaults = {
        "timezone": getattr(sections["roster"], "timezone", "UTC"),
        "deliver": getattr(sections["delivery"], "to", "folder"),
    }
    for number, raw in enumerate((raw for layer in layers for raw in layer.jobs), start=1):
        known = {key: value for key, value in raw.items() if key in Job.model_fields}
        built, errors = _validated(Job, defaults | known, base)
        name = known.get("name")
        title = f'"{name}"' if isinstance(name, str) and name.isprintable() else f"number {number}"
        for error in errors:
            key = str(error["loc"][0])
            expected, remedy = expected_of(error)
            place = f"{source}: [[job]] {title}: {key}"
            found = shown(("job", key), known[key]) if key in known else "nothing"
            faults.append(Fault(place=place, found=found, expected=expected, remedy=remedy))
        if isinstance(built, Job):
            jobs.append(built)
    return jobs, faults


def _exposed_secret(source: Path, given: Mapping[tuple[str, ...], Given]) -> list[Finding]:
    inline = given.get(("jitsi", "secret"))
    if inline is None or not inline.place.startswith(str(source)):
        return []
    mode = stat.S_IMODE(source.stat().st_mode)
    if not mode & 0o077:
        return []
    sentence = (
        f"found a secret in a file of mode {mode:04o} that others can read; "
        f"run: chmod 600 {source}, or move the secret to a file of its own (secret_file)"
    )
    return [Complaint(place=inline.place, sentence=sentence)]
