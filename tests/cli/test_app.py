"""The command line as a whole: its commands, their help, and how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import invites as package
from invites.cli.app import COMMANDS
from tests.support import (
    COMMAND,
    ROOT,
    SAMPLE,
    Answer,
    in_a_removed_folder,
    process,
    write_settings,
)

Invites = Callable[..., Answer]
CONTRACT = (
    "init",
    "check",
    "build",
    "plan",
    "send",
    "run",
    "schedule",
    "preview",
    "inspect",
    "try",
    "history",
    "ledger",
    "forget",
    "keygen",
    "doctor",
)
OPTIONS = {
    "build": [
        "--out",
        "--meeting",
        "--as",
        "--skip-invalid",
        "--templates",
        "--verify",
        "--demo",
        "--now",
    ],
    "check": ["--skip-invalid", "--suggest", "--write", "--now"],
    "try": ["--skip-invalid", "--templates"],
    "inspect": ["--at"],
}


def listed(help_text: str) -> list[str]:
    """Return the commands that a help text lists, in its order."""
    commands = help_text.partition("\nCommands:\n")[2]
    return re.findall(r"^  ([a-z]+) ", commands, re.MULTILINE)


def test_help_lists_the_commands_that_exist_and_no_other(invites: Invites) -> None:
    """Each is a command of the contract, in its order."""
    answer = invites("--help")
    assert answer.code == 0
    names = listed(answer.out)
    assert names == list(COMMANDS)
    assert names == [name for name in CONTRACT if name in names]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_its_options(invites: Invites, command: str) -> None:
    """A sentence, its options, and those that every command has."""
    for flag in ("--help", "-h"):
        answer = invites(command, flag)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith(f"Usage: invites {command}")
        for option in [
            *OPTIONS.get(command, []),
            "--config",
            "--json",
            "--quiet",
            "--verbose",
            "--help",
        ]:
            assert option in answer.out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_whole_sentences_within_the_width(invites: Invites, command: str) -> None:
    """Nothing is cut, no line is longer than a terminal, and each option says what it does."""
    text = invites(*command.split(), "--help").out
    assert max(map(len, text.splitlines())) <= 80
    options = text.partition("\nOptions:\n")[2]
    entries = re.findall(r"^  \S.*(?:\n {5,}\S.*)*", options, re.MULTILINE)
    told = [re.sub(r"  \[.*", "", " ".join(entry.split("\n"))).strip() for entry in entries]
    assert "--config" in options
    assert [entry for entry in told if not re.search(r"[^.]\.$", entry)] == []


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_options_of_all_commands_work_on_either_side_of_the_name(
    invites: Invites, tmp_path: Path, order: str
) -> None:
    """`--config`, `--json`, `-q` and `-v`, before or after; the nearer one counts."""
    settings = write_settings(tmp_path).rename(tmp_path / "other.toml")

    def call(*options: str) -> Answer:
        words = [*options, "check"] if order == "before" else ["check", *options]
        return invites(*words, str(SAMPLE))

    assert call("--config", str(settings), "--json").document()["links_weighed"] is True
    assert call("--json").document()["links_weighed"] is False
    assert (call("-q").out, call("-q").code) == ("", 0)
    assert "SHA-256" in call("-v").err
    nearer = invites("--config", str(settings), "check", str(SAMPLE), "--config", "absent.toml")
    assert (nearer.code, "absent.toml: found nothing" in nearer.err) == (5, True)


def test_a_call_without_a_command_shows_the_help(invites: Invites) -> None:
    """And is wrong usage."""
    answer = invites()
    assert answer.code == 2
    assert listed(answer.out + answer.err) == list(COMMANDS)


def test_a_command_that_does_not_exist_is_wrong_usage(invites: Invites) -> None:
    """With the one that was meant."""
    answer = invites("bild")
    assert (answer.code, answer.out) == (2, "")
    assert "Did you mean 'build'?" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "--json"), "ROSTER"),
        (("check", "roster.csv", "--json", "--nope"), "--nope"),
        (("check", "roster.csv", "--json", "--now"), "--now"),
        (("send", "roster.csv", "--json", "--limit", "some"), "--limit"),
        (("history", "--json", "more"), "more"),
        (("bild", "--json"), "build"),
    ],
)
def test_wrong_usage_is_a_json_document_where_one_was_asked_for(
    invites: Invites, arguments: tuple[str, ...], words: str
) -> None:
    """Whatever the parser stumbles over; how the command is called stays on stderr."""
    answer = invites(*arguments)
    document = answer.document()
    assert answer.code == document["exit_code"] == 2
    assert (document["version"], document["problems"]) == (1, [])
    assert document["error"]["kind"] == "Usage"
    assert words in document["error"]["text"]
    assert document["error"]["text"] in answer.err


def test_what_nobody_foresaw_is_a_json_document_too(tmp_path: Path) -> None:
    """A failed system call: exit 1, in words, with what to do where that is known."""
    out = tmp_path / "out"
    ended = in_a_removed_folder(tmp_path, "build", SAMPLE, "--demo", "--json", "--out", out)
    document = ended.document()
    assert ended.code == document["exit_code"] == 1
    assert document["error"]["kind"] == "Failed"
    assert "the current folder was removed: change to one that is there" in ended.err
    assert document["error"]["text"] in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["check", "build", "inspect"])
def test_a_closed_standard_input_is_wrong_usage(command: str, tmp_path: Path) -> None:
    """Where a service starts a program, there may be none."""
    demo = ("--demo",) if command == "build" else ()
    ended = process(tmp_path, "sh", "-c", '"$@" <&-', "sh", *COMMAND, command, "-", *demo)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == ("invites: standard input: found it closed, expected something to read\n")


def test_a_token_where_none_belongs_is_not_repeated(invites: Invites) -> None:
    """Neither on stderr nor in the document: people forget `inspect`, or paste one word more."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl"
    for arguments in ((token,), ("history", token)):
        answer = invites(*arguments, "--json")
        assert answer.code == 2
        assert "[token]" in answer.document()["error"]["text"]
        assert "c2lnbmF0dXJl" not in answer.out + answer.err


@pytest.mark.parametrize("call", [COMMAND, (Path(sys.executable).with_name("invites"),)])
def test_the_program_tells_its_version(call: tuple[str, ...]) -> None:
    """As a module and as the command on the PATH."""
    done = subprocess.run(
        [*call, "--version"], capture_output=True, text=True, cwd=ROOT, check=True, timeout=30
    )
    assert done.stdout == f"invites {package.__version__}\n"


def modules_after(*arguments: str) -> set[str]:
    """Return the names of all modules that a call has imported."""
    code = (
        "import sys; from invites.cli.app import run_command_line; run_command_line(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=30,
    )
    return set(done.stderr.split())


def test_help_imports_no_heavy_library() -> None:
    """What takes long is imported by the command that needs it."""
    heavy = {"pandas", "numpy", "jinja2", "icalendar", "sqlalchemy", "pydantic", "babel", "jwt"}
    assert not heavy & modules_after("--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str, tmp_path: Path) -> None:
    """`--show-completion` prints what that shell takes.

    The program looks among its parents for the shell; where it is told not to, it takes a name.
    """
    done = subprocess.run(
        [*COMMAND, "--show-completion", shell],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
        timeout=30,
    )
    assert "complet" in done.stdout


def test_a_shell_is_told_the_commands_and_their_options() -> None:
    """What bash asks for when somebody presses Tab."""
    environment = {"PATH": "/usr/bin:/bin", "_INVITES_COMPLETE": "complete_bash"}
    for words, expected in (("invites bu", "build"), ("invites build --ou", "--out")):
        done = subprocess.run(
            [Path(sys.executable).with_name("invites")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            env={**environment, "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
            timeout=30,
        )
        assert done.stdout.split() == [expected]


def test_a_command_makes_no_other_ready() -> None:
    """Starting is most of a short run."""
    others = {f"invites.cli.{name}" for name in COMMANDS.values()} & modules_after(
        "check", "--help"
    )
    assert others == {"invites.cli.check"}


@pytest.mark.parametrize("name", ["a\x1b[2Jb.csv", "a\u202eb.csv", "a\udce4b.csv", "a\nb.csv"])
def test_a_files_name_moves_no_terminal_and_makes_no_line(
    invites: Invites, tmp_path: Path, name: str
) -> None:
    """Escape sequences, bidi overrides, bytes that are no UTF-8 and line ends are escaped."""
    file = tmp_path / name
    file.write_text("meeting_id\n")
    for arguments in (("check", str(file)), ("check", str(file), "--json")):
        answer = invites(*arguments)
        assert answer.code == 3
        assert name not in answer.out + answer.err
        assert re.search("[\x1b\u202e\udce4]", answer.out + answer.err) is None
    assert answer.document()["refused"] is True
