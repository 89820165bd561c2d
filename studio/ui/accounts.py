"""The auth file: who may sign in to a studio that is open to the network.

One line each, ``name:password`` or ``name:scrypt$SALT$HASH`` (both hex; made by `hashed`); lines that
begin with # are comments.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from core.errors import InputError

_COST = {"n": 2**14, "r": 8, "p": 1}


def hashed(password: str, salt: bytes | None = None) -> str:
    """A line's second half for a password that should not be written in clear."""
    salt = salt or secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_digest(password, salt).hex()}"


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST["n"], r=_COST["r"], p=_COST["p"], dklen=32)


class Accounts:
    """Names and hashed passwords, held in memory only as hashes."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries: dict[str, tuple[bytes, bytes]] = {}
        for name, secret in entries.items():
            parts = (secret if secret.startswith("scrypt$") else hashed(secret)).split("$")
            try:
                self._entries[name] = (bytes.fromhex(parts[1]), bytes.fromhex(parts[2]))
            except (IndexError, ValueError):
                raise InputError(f"auth file: the hash of '{name}' is damaged; expected scrypt$SALT$HASH") from None

    @staticmethod
    def read(path: Path) -> Accounts:
        """Read an auth file.

        Raises:
            InputError: missing, empty, or a line that is not ``name:password``.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"auth file {path}: cannot be read ({error})") from None
        entries: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, secret = line.strip().partition(":")
            if not colon or not name or not secret:
                raise InputError(f"auth file {path}, line {number}: expected name:password")
            entries[name] = secret
        if not entries:
            raise InputError(f"auth file {path}: holds no account; add a line name:password")
        return Accounts(entries)

    def check(self, name: str, password: str) -> bool:
        """Whether the password is that person's; an unknown name takes as long as a known one."""
        salt, known = self._entries.get(name, (b"\0" * 16, b""))
        return hmac.compare_digest(_digest(password, salt), known)
