"""The key of this user, signing and checking."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ckpt._store import trust
from ckpt._store.location import locate, state_directory
from ckpt._store.trust import is_signed, key, key_path, present_key, sign
from ckpt.errors import StoreError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_keys", {})


def test_the_key_is_made_on_first_need(home: Path) -> None:
    """The key is 32 random bytes, 0600 in a directory 0700, and the same ever after."""
    path = home / ".local" / "state" / "ckpt" / "key"
    assert not path.exists()
    made = key()
    assert made is not None
    assert path.read_bytes() == made
    assert len(made) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["key"]
    trust._keys.clear()
    assert key() == made


def test_the_key_is_private_whatever_the_umask(home: Path) -> None:
    """Neither an open nor a strict umask changes the modes."""
    for umask in (0o000, 0o777):
        old = os.umask(umask)
        try:
            trust._keys.clear()
            assert key() is not None
        finally:
            os.umask(old)
        path = Path(key_path() or "")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.unlink()


def test_many_processes_make_one_key(home: Path, tmp_path: Path) -> None:
    """Processes that need the key for the first time at the same time agree on one."""
    program = "from ckpt._store.trust import key; import sys; open(sys.argv[1], 'wb').write(key())"
    commands = [[sys.executable, "-c", program, str(tmp_path / f"key{n}")] for n in range(8)]
    running = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) for command in commands]
    assert [process.wait(timeout=60) for process in running] == [0] * 8
    keys = {(tmp_path / f"key{n}").read_bytes() for n in range(8)}
    assert keys == {(home / ".local" / "state" / "ckpt" / "key").read_bytes()}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    """A key with a loose mode is refused, and the hint says what to type."""
    assert key()
    path = Path(key_path() or "")
    path.chmod(mode)
    trust._keys.clear()
    with pytest.raises(StoreError, match="others") as caught:
        key()
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() != 0, reason="only root can give a file to another user")
def test_a_key_of_another_user_is_refused(home: Path) -> None:
    """A key that another user owns was not made by this one."""
    assert key()
    os.chown(key_path() or "", 12345, -1)
    trust._keys.clear()
    with pytest.raises(StoreError, match="another user"):
        key()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_of_the_wrong_size_is_refused(home: Path, content: bytes) -> None:
    """A cut or filled-up key is refused, not used."""
    assert key()
    Path(key_path() or "").write_bytes(content)
    trust._keys.clear()
    with pytest.raises(StoreError, match="32 bytes"):
        key()


def test_a_link_or_fifo_in_place_of_the_key_is_not_followed(home: Path, tmp_path: Path) -> None:
    """A link to another file is not read, a FIFO not waited for."""
    path = Path(key_path() or "")
    path.parent.mkdir(parents=True)
    (tmp_path / "planted").write_bytes(b"x" * 32)
    path.symlink_to(tmp_path / "planted")
    assert key() is None
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(StoreError):
        key()


def test_without_a_home_the_key_lies_where_the_captures_do(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no home, the key is in this user's directory under the temporary one, beside the store and not in it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    own = Path(key_path() or "").parent.parent
    assert own == Path(locate(None, os.environ, "", state_directory).path).parent
    assert key() is not None
    assert key() == present_key()
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_another_planted_holds_no_key(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A link where this user's temporary directory would be is refused."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    (tmp_path / f"pyckpt-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="link"):
        key()


def test_where_no_key_can_be_made_nothing_is_signed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the state directory cannot be written to, there is no key."""
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    assert key() is None
    assert sign(None, b"message") == ""


def test_a_signature_is_that_of_the_standard() -> None:
    """It is HMAC-SHA256, as any other program would compute it, for keys of all lengths."""
    for secret in (b"", b"k" * 32, b"k" * 64, b"k" * 65, os.urandom(200)):
        for message in (b"", b"body", os.urandom(1000)):
            assert sign(secret, message) == hmac.new(secret, message, hashlib.sha256).hexdigest()


def test_only_the_right_signature_passes() -> None:
    """A signature holds for one key and one message; none holds without a key."""
    secret = os.urandom(32)
    signature = sign(secret, b"message")
    assert is_signed(secret, b"message", signature)
    assert not is_signed(secret, b"other", signature)
    assert not is_signed(os.urandom(32), b"message", signature)
    assert not is_signed(secret, b"message", "")
    assert not is_signed(secret, b"message", "é")
    assert not is_signed(None, b"message", "")
