"""Secrets from every source, and that none of them shows anywhere."""

from __future__ import annotations

import os
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from invites import settings
from invites.errors import SettingsError
from invites.jitsi.rooms import room_key_from

Load = Callable[..., settings.Settings]
CANARY = "canary-7f3a9c-do-not-show-0123456789"
"""Long and varied enough to be a good secret."""


@pytest.fixture
def written(folder: Path) -> Callable[..., Path]:
    """Return a function that writes a file with a mode."""

    def write(name: str, content: bytes, mode: int = 0o600) -> Path:
        file = folder / name
        file.write_bytes(content)
        file.chmod(mode)
        return file

    return write


def sources(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield settings and environments that give the canary, each in another way."""
    (folder / "secret.txt").write_text(CANARY + "\n")
    (folder / "secret.txt").chmod(0o600)
    (folder / "jitsi.secret").write_text(CANARY)
    yield f'[jitsi]\nsecret = "{CANARY}"', {}
    yield '[jitsi]\nsecret_file = "secret.txt"', {}
    yield '[jitsi]\nsecret_env = "MY_SECRET"', {"MY_SECRET": CANARY}
    yield f'[jitsi]\nsecret_command = ["{sys.executable}", "-c", "print(\'{CANARY}\')"]', {}
    yield "# nothing", {"CREDENTIALS_DIRECTORY": str(folder)}
    yield "# nothing", {"JWT_APP_SECRET": CANARY}
    yield "# nothing", {"INVITES_JITSI__SECRET": CANARY}


def test_every_source_gives_the_same_secret(load: Load, folder: Path) -> None:
    """Inline, file, variable, command, systemd's credential, docker's name."""
    for text, environ in sources(folder):
        assert load(text, environ).signing_key().key == CANARY.encode()


def test_no_source_shows_its_secret(load: Load, folder: Path) -> None:
    """The settings and the key, as text and as `repr`, tell nothing."""
    for text, environ in sources(folder):
        found = load(text, environ)
        for shown in (repr(found), str(found), repr(found.signing_key()), repr(found.jitsi)):
            assert CANARY not in shown


@pytest.mark.parametrize(
    "text",
    [
        f'[jitsi]\nsecret = "{CANARY}"\nurl = "x"',
        f'[jitsi]\nsecret = ["{CANARY}"]',
        f'[jitsi]\nsecret = {{ a = "{CANARY}" }}',
        f'[jitsi]\nsecret_env = "{CANARY}\\n"',
        f'[jitsi]\nsecret_env = ["{CANARY}"]',
        f'[jitsi]\nsecret_command = "{CANARY} \'"',
        f'[jitsi]\nsecret_command = [1, "{CANARY}"]',
        f'[jitsi]\nsecret = "{CANARY}"\nsecret_env = "X"',
        f'[jitsi]\nscret = "{CANARY}"',
        f'[smtp]\npassword = "{CANARY}"',
        f'[smtp]\npassword_env = ["{CANARY}"]',
        f'[smtp]\ntoken_command = ["{CANARY}", 1]',
        f'[ledger]\nurl = "postgres://invites:{CANARY}@db/x"',
        f'[jitsi]\nurl = "https://x:{CANARY}@meet.example.com"',
        f'[jitsi]\nurl = "https://meet.example.com/r?jwt={CANARY}"',
        f'[jitsi]\nurl = "https://m.example/r#jwt={CANARY}"',
        f'secret = "{CANARY}"',
        f"[jitsi]\nsecret = {CANARY}",
    ],
)
def test_no_refusal_shows_a_secret(load: Load, text: str) -> None:
    """Neither the error, nor its traceback with all its causes and contexts."""
    with pytest.raises(SettingsError) as caught:
        load(text)
    error: BaseException | None = caught.value
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    while error is not None:
        assert "canary" not in repr(error) + str(error) + repr(error.args)
        error = error.__context__ or error.__cause__


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[jitsi]\nsecret_env = "MY_SECRET"',
            (
                "invites.toml: [jitsi] secret_env: found the name of an environment variable that "
                "is not set, expected one that holds the secret; set it, and check the name (it is "
                "no place for the secret)"
            ),
        ),
        (
            f'[jitsi]\nsecret_command = ["{sys.executable}", "-c", "print(\'canary\'); exit(3)"]',
            (
                "invites.toml: [jitsi] secret_command: the command ended with status 3, expected "
                "the secret on its standard output; run it by hand to see why"
            ),
        ),
        (
            '[jitsi]\nsecret_command = "true"',
            (
                "invites.toml: [jitsi] secret_command: the command ended with status 0 and wrote "
                "nothing, expected the secret on its standard output; run it by hand to see why"
            ),
        ),
        (
            '[jitsi]\nsecret_command = "./absent --canary"',
            (
                "invites.toml: [jitsi] secret_command: the command can't be started (No such file "
                "or directory), expected the secret on its standard output; run it by hand to see "
                "why"
            ),
        ),
        (
            '[jitsi]\nsecret = "canary"',
            (
                "invites.toml: [jitsi] secret: found a weak secret (it has 6 bytes, and HS256 "
                "needs at least 32), expected one that can't be guessed; make one with `openssl "
                "rand -hex 32` and set it on the server as well, or set allow_weak_secret = true "
                "in [jitsi]"
            ),
        ),
        (
            '[jitsi]\nsecret = "-----BEGIN PRIVATE KEY-----\\ncanary01\\n-----END PRIVATE KEY-----\\n"',
            (
                "invites.toml: [jitsi] secret: found something else, expected a secret that is not "
                "empty and no PEM, SSH, certificate or JSON Web Key; a private key goes into "
                "private_key_file with algorithm RS256"
            ),
        ),
    ],
)
def test_a_secret_that_can_not_be_had_is_refused_in_words(load: Load, text: str, line: str) -> None:
    """Where it was looked for, why not, and what to do; never the secret."""
    with pytest.raises(SettingsError) as caught:
        load(text).signing_key()
    assert str(caught.value) == line
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_weak_secret_passes_where_that_is_allowed(load: Load) -> None:
    """`allow_weak_secret` waives the rule and nothing else."""
    found = load('[jitsi]\nsecret = "short"\nallow_weak_secret = true')
    assert found.signing_key().key == b"short"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"%s\n", b"%s"),
        (b"%s\r\n", b"%s"),
        (b"%s\n\n", b"%s\n"),
        (b"%s", b"%s"),
        (b" %s ", b" %s "),
        (b"\xff\x00%s\n", b"\xff\x00%s"),
    ],
)
def test_one_line_end_is_not_part_of_the_secret(
    load: Load, written: Callable[..., Path], content: bytes, secret: bytes
) -> None:
    """Exactly one LF or CRLF is taken off a file; all else are the secret's raw bytes."""
    written("s", content.replace(b"%s", CANARY.encode()))
    found = load('[jitsi]\nsecret_file = "s"')
    assert found.signing_key().key == secret.replace(b"%s", CANARY.encode())


@pytest.mark.parametrize(("content", "what"), [(None, "can't be read"), (b"\n", "empty")])
def test_a_secret_file_that_is_not_there_or_empty_is_refused(
    load: Load, folder: Path, content: bytes | None, what: str
) -> None:
    """The file is named."""
    if content is not None:
        (folder / "s").write_bytes(content)
    with pytest.raises(SettingsError, match=rf"secret_file: found {folder}/s .*{what}"):
        load('[jitsi]\nsecret_file = "s"').signing_key()


def test_a_secret_of_raw_bytes_comes_through_the_environment(load: Load) -> None:
    """Bytes that are no UTF-8 arrive as Prosody has them."""
    raw = bytes(range(200, 240))
    environ = {"JWT_APP_SECRET": os.fsdecode(raw), "MY": os.fsdecode(raw)}
    assert load("", environ).signing_key().key == raw
    assert load('[jitsi]\nsecret_env = "MY"', environ).signing_key().key == raw


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_secret_in_a_file_that_others_can_read_is_refused(
    load: Load, folder: Path, mode: int
) -> None:
    """The mode of the settings file is looked at where the secret itself stands in it."""
    load(f'[jitsi]\nsecret = "{CANARY}"')
    (folder / "invites.toml").chmod(mode)
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value) == (
        f"invites.toml: [jitsi] secret: found a secret in a file of mode {mode:04o}, expected a "
        "file that nobody else can read; run: chmod 600 invites.toml, or move the secret to a file "
        "of its own and set secret_file"
    )


def test_a_settings_file_without_secret_may_be_read_by_all(load: Load, folder: Path) -> None:
    """An empty `secret` is none, and a secret of the environment does not make it one."""
    load('[jitsi]\nsecret = ""')
    (folder / "invites.toml").chmod(0o644)
    assert load("", {"JWT_APP_SECRET": CANARY}).signing_key().key == CANARY.encode()


def test_the_strongest_place_with_a_secret_counts_alone(load: Load, folder: Path) -> None:
    """Environment beats file, whichever way each of them gives it; within one place two clash."""
    (folder / "s").write_text("x" * 40)
    text = '[jitsi]\nsecret_file = "s"'
    environ = {"INVITES_JITSI__SECRET_ENV": "MY", "MY": CANARY, "JWT_APP_SECRET": "z" * 40}
    assert load(text, environ).signing_key().key == CANARY.encode()
    (folder / "jitsi.secret").write_text(CANARY)
    environ["CREDENTIALS_DIRECTORY"] = str(folder)
    with pytest.raises(SettingsError, match="found one secret given twice"):
        load(text, environ)


def test_a_command_gets_no_shell_and_starts_at_the_settings(load: Load, folder: Path) -> None:
    """Words are arguments, `$HOME` and `;` mean nothing, the folder is the settings file's."""
    (folder / "show").write_text('#!/bin/sh\nprintf "%s|%s" "$1" "$MARK"\n')
    (folder / "show").chmod(0o700)
    text = "[smtp]\nhost = 'h'\nusername = 'u'\npassword_command = './show \"$HOME; id\"'"
    assert load(text, {"MARK": "m", "PATH": os.environ["PATH"]}).smtp_password() == "$HOME; id|m"


def test_the_password_of_the_mail_server_has_its_sources(load: Load, folder: Path) -> None:
    """File, variable, command, credential; none is None."""
    (folder / "p").write_text("word\n")
    login = '[smtp]\nhost = "h"\nusername = "u"\n'
    assert load(login + 'password_file = "p"').smtp_password() == "word"
    assert load(login + 'password_env = "P"', {"P": "word"}).smtp_password() == "word"
    (folder / "smtp.password").write_text("word")
    assert load(login, {"CREDENTIALS_DIRECTORY": str(folder)}).smtp_password() == "word"
    assert load("[smtp]\nhost = 'h'").smtp_password() is None


def test_access_tokens_and_client_secrets_have_their_sources(load: Load, folder: Path) -> None:
    """`token_command` is run for each token, `client_secret_file` is read."""
    login = '[smtp]\nhost = "h"\nusername = "u"\nauth = "xoauth2"\n'
    found = load(login + 'token_command = "printf token"', {"PATH": os.environ["PATH"]})
    assert (found.smtp_access_token(), found.m365_client_secret()) == ("token", None)
    (folder / "c").write_text("client\n")
    m365 = '[smtp.m365]\ntenant = "t"\nclient_id = "i"\nclient_secret_file = "c"\n'
    found = load(login + m365)
    assert (found.smtp_access_token(), found.m365_client_secret()) == (None, "client")


def test_a_password_that_is_no_text_is_refused(load: Load, folder: Path) -> None:
    """SMTP's logins are text; the bytes are not shown."""
    (folder / "p").write_bytes(b"canary\xff")
    found = load('[smtp]\nhost = "h"\nusername = "u"\npassword_file = "p"')
    with pytest.raises(SettingsError) as caught:
        found.smtp_password()
    assert "found bytes that are not UTF-8" in str(caught.value)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o604, True)])
def test_a_key_file_that_everybody_can_read_is_warned_about(
    load: Load, written: Callable[..., Path], *, mode: int, warned: bool
) -> None:
    """It is no error, for containers mount secrets so; `settings.warnings` says it."""
    file = written("s", CANARY.encode(), mode)
    expected = (
        (
            f"invites.toml: [jitsi] secret_file: everybody on this machine can read it; "
            f"run: chmod 600 {file}"
        ),
    )
    assert load('[jitsi]\nsecret_file = "s"').warnings == (expected if warned else ())


KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    form: PrivateFormat = PrivateFormat.PKCS8,
    passphrase: bytes | None = None,
) -> bytes:
    """Return a private key as PEM."""
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, lock)


RS256 = '[jitsi]\nalgorithm = "RS256"\nprivate_key_file = "k"\nkey_id = "kid-1"\n'


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_loaded_once(
    load: Load, written: Callable[..., Path], form: PrivateFormat
) -> None:
    """Both PEM forms do; asked again, the same object comes."""
    file = written("k", pem(KEY, form=form))
    found = load(RS256)
    key = found.signing_key()
    file.unlink()
    assert found.signing_key() is key
    assert isinstance(key.key, rsa.RSAPrivateKey)
    assert key.key.private_numbers() == KEY.private_numbers()
    assert (key.algorithm, key.key_id) == ("RS256", "kid-1")


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (
            pem(KEY, passphrase=b"x"),
            "a private key with a passphrase",
            "a private key without a passphrase",
        ),
        (
            pem(KEY, form=PrivateFormat.TraditionalOpenSSL, passphrase=b"x"),
            "a private key with a passphrase",
            "a private key without a passphrase",
        ),
        (
            pem(ec.generate_private_key(ec.SECP256R1())),
            "a private key",
            "an RSA private key; Jitsi verifies no other kind",
        ),
        (
            pem(rsa.generate_private_key(public_exponent=65_537, key_size=1024)),  # noqa: S505 - too small on purpose
            "a private key",
            "an RSA key of at least 2,048 bits, not 1,024",
        ),
        (
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "a public key",
            "an RSA private key in PEM form",
        ),
        (b"canary-0123456789abcdef", "no PEM text", "an RSA private key in PEM form"),
        (
            b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n",
            "a private key",
            "an RSA private key in PEM form",
        ),
    ],
)
def test_a_file_that_is_no_usable_private_key_is_refused_in_words(
    load: Load, written: Callable[..., Path], content: bytes, found: str, expected: str
) -> None:
    """What the file holds, what was expected, and which command makes one."""
    file = written("k", content)
    with pytest.raises(SettingsError) as caught:
        load(RS256).signing_key()
    assert str(caught.value) == (
        f"invites.toml: [jitsi] private_key_file: found {found} in {file}, expected {expected}; "
        "`invites keygen` makes one"
    )
    assert caught.value.__context__ is None


def test_the_room_key_is_the_file_or_comes_from_the_secret(
    load: Load, written: Callable[..., Path]
) -> None:
    """With a room key file a new secret leaves the rooms where they are."""
    secret = f'[jitsi]\nsecret = "{CANARY}"\n'
    assert load(secret).room_key() == room_key_from(CANARY.encode())
    written("room.key", b"0123456789abcdef\n")
    with_file = 'room_key_file = "room.key"\n'
    assert load(secret + with_file).room_key() == b"0123456789abcdef"
    assert load("[jitsi]\n" + with_file).room_key() == b"0123456789abcdef"


def test_the_room_key_of_a_private_key_does_not_hang_on_its_pem_form(
    load: Load, written: Callable[..., Path]
) -> None:
    """The same key saved in another form keeps the rooms."""
    written("k", pem(KEY))
    first = load(RS256).room_key()
    written("k", pem(KEY, form=PrivateFormat.TraditionalOpenSSL))
    assert load(RS256).room_key() == first
    assert len(first) == 32


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "can't be read"), (b"short\n", "found a key of 5 bytes"), (b"", "empty")],
)
def test_a_lost_room_key_is_never_replaced_in_silence(
    load: Load, folder: Path, content: bytes | None, words: str
) -> None:
    """Another key would move every derived room."""
    if content is not None:
        (folder / "room.key").write_bytes(content)
    found = load(f'[jitsi]\nsecret = "{CANARY}"\nroom_key_file = "room.key"')
    with pytest.raises(SettingsError, match=words):
        found.room_key()
    assert stat.S_ISDIR(folder.stat().st_mode)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["invites.toml", *(["room.key"] if content is not None else [])]
    )
