"""Key pairs for a key server."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from invites import settings
from invites.errors import UsageError
from invites.settings.secrets import new_key_pair, private_name, public_name, write_key_pair


def test_the_private_half_signs_what_the_public_half_verifies(tmp_path: Path) -> None:
    """Through the settings, as Prosody would check it."""
    files = write_key_pair(tmp_path, "kid-1", bits=2048)
    (tmp_path / "invites.toml").write_text(
        f'[jitsi]\nalgorithm = "RS256"\nkey_id = "kid-1"\nprivate_key_file = "{files.private.name}"'
    )
    key = settings.load(tmp_path / "invites.toml", environ={}).signing_key()
    token = jwt.encode({"room": "x"}, key.key, key.algorithm, headers={"kid": key.key_id})
    assert jwt.get_unverified_header(token)["kid"] == "kid-1"
    public = files.public.read_bytes()
    assert jwt.decode(token, public, algorithms=["RS256"]) == {"room": "x"}


def test_the_public_half_is_named_by_the_hash_of_the_kid(tmp_path: Path) -> None:
    """Prosody asks for sha256hex(kid).pem."""
    digest = hashlib.sha256("küche/1".encode()).hexdigest()
    assert public_name("küche/1") == f"{digest}.pem"
    assert write_key_pair(tmp_path, "küche/1", bits=2048).public == tmp_path / f"{digest}.pem"


def test_a_key_has_3072_bits_unless_told() -> None:
    """The default is good beyond 2030."""
    public = load_pem_public_key(new_key_pair().public_pem)
    assert isinstance(public, RSAPublicKey)
    assert (public.key_size, public.public_numbers().e) == (3072, 65_537)


@pytest.mark.parametrize("bits", [0, -1, 1024, 2047, 8193])
def test_too_few_or_too_many_bits_are_refused(bits: int) -> None:
    """Below 2,048 Jitsi's own side is at risk, above 8,192 nobody wants to wait."""
    with pytest.raises(UsageError, match=rf"--bits: found {bits}, expected 2048 to 8192"):
        new_key_pair(bits)


@pytest.mark.parametrize("key_id", ["", " ", "a\nb", "x" * 201, "a\0"])
def test_what_can_not_be_a_kid_is_refused(tmp_path: Path, key_id: str) -> None:
    """Nothing is written then."""
    with pytest.raises(UsageError, match="--kid: expected 1 to 200 printable characters"):
        write_key_pair(tmp_path, key_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key_id", "name"),
    [
        ("invites/2026-1", "invites-2026-1.key"),
        ("../../etc/x", "etc-x.key"),
        (".hidden", "hidden.key"),
        ("日本", "jitsi.key"),
        ("a" * 100, "a" * 60 + ".key"),
    ],
)
def test_the_private_halfs_name_stays_inside_the_folder(key_id: str, name: str) -> None:
    """It shows the kid to people and is a plain file name."""
    assert private_name(key_id) == name


def test_modes_hold_under_any_umask(tmp_path: Path) -> None:
    """Private 0600, public 0644, a new folder 0700, with umask 000."""
    old = os.umask(0)
    try:
        files = write_key_pair(tmp_path / "keys", "kid", bits=2048)
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (files.private, files.public)]
    assert modes == [0o600, 0o644]
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [private_name("kid"), public_name("kid")])
def test_an_old_half_is_never_overwritten(tmp_path: Path, name: str) -> None:
    """Either file in the way stops both."""
    (tmp_path / name).write_text("old")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write_key_pair(tmp_path, "kid", bits=2048)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_the_private_half_shows_nowhere(tmp_path: Path) -> None:
    """Not in a `repr`."""
    pair = new_key_pair(2048)
    assert "PRIVATE" not in repr(pair)
