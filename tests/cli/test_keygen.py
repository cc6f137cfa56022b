"""`invites keygen` as it is called."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

from invites import settings

ROOT = Path(__file__).parents[2]


def keygen(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with umask 000."""
    return subprocess.run(
        [sys.executable, "-m", "invites", "keygen", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        umask=0,
    )


def test_keygen_says_what_to_configure(tmp_path: Path) -> None:
    """What it prints for invites.toml is TOML that signs; Prosody's line is there."""
    done = keygen("--kid", 'my "key"', "--out", "keys", "--bits", "2048", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "asap_key_server = " in done.stdout
    assert "JWT_ASAP_KEYSERVER" in done.stdout
    lines = done.stdout.partition("In invites.toml:\n")[2]
    text = "\n".join(line.strip() for line in lines.splitlines())
    assert tomllib.loads(text)["jitsi"]["key_id"] == 'my "key"'
    (tmp_path / "invites.toml").write_text(text)
    key = settings.load(tmp_path / "invites.toml", environ={}).signing_key()
    assert (key.algorithm, key.key_id) == ("RS256", 'my "key"')


def test_keygen_writes_both_halves_with_their_modes(tmp_path: Path) -> None:
    """Private 0600, public 0644 as sha256hex(kid).pem; the private half is not shown."""
    done = keygen("--kid", "k1", "--bits", "2048", cwd=tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"k1.key": 0o600, f"{sha256(b'k1').hexdigest()}.pem": 0o644}
    assert "PRIVATE" not in done.stdout


def test_keygen_never_overwrites(tmp_path: Path) -> None:
    """Exit 2, the old key stays."""
    keygen("--kid", "k1", "--bits", "2048", cwd=tmp_path)
    before = (tmp_path / "k1.key").read_bytes()
    again = keygen("--kid", "k1", "--bits", "2048", cwd=tmp_path)
    assert again.returncode == 2
    assert "k1.key: found a file of that name, expected none" in again.stderr
    assert (tmp_path / "k1.key").read_bytes() == before


def test_keygen_wants_a_kid(tmp_path: Path) -> None:
    """Exit 2 without one, and for a size that is too small."""
    assert keygen(cwd=tmp_path).returncode == 2
    small = keygen("--kid", "k", "--bits", "1024", cwd=tmp_path)
    assert small.returncode == 2
    assert "--bits: found 1024, expected 2048 to 8192" in small.stderr
    assert list(tmp_path.iterdir()) == []


def test_keygen_speaks_json(tmp_path: Path) -> None:
    """One document with the two paths, no key in it."""
    done = keygen("--kid", "k", "--bits", "2048", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["private_key_file"] == "k.key"
    assert document["public_key_file"] == f"{sha256(b'k').hexdigest()}.pem"
    assert (document["key_id"], document["bits"]) == ("k", 2048)


def test_control_characters_of_a_folder_are_escaped(tmp_path: Path) -> None:
    """Its name can't drive the terminal, and the line for invites.toml still names it."""
    name = "keys\x1b[2J\x9b1m"
    done = keygen("--kid", "k1", "--out", name, "--bits", "2048", cwd=tmp_path)
    assert done.returncode == 0
    assert not {"\x1b", "\x9b"} & set(done.stdout)
    text = done.stdout.partition("In invites.toml:\n")[2]
    section = tomllib.loads("\n".join(line.strip() for line in text.splitlines()))["jitsi"]
    assert Path(section["private_key_file"]).is_file()
    again = keygen("--kid", "k1", "--out", name, "--bits", "2048", cwd=tmp_path)
    assert again.returncode == 2
    assert r"keys\x1b[2J\x9b1m" in again.stderr
