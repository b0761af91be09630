"""What stands in for identifiers: the same for the same thing wherever it is met, and no way back without the key.

Plain hashes would not do: who has a list of patient ids can hash them all (PS3.15 E.1.1, note 3 of step 1). Everything
here is an HMAC-SHA256 (RFC 2104) under the key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import uuid
from pathlib import Path

from plait.errors import InputError

_LONGEST_SHIFT = 3650  # days


class Pseudonyms:
    """Pseudonyms under one key.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without giving them away, as 16 hex digits."""
        return self._digest("key", "").hex()[:16]

    def patient(self, identity: str) -> str:
        """A patient's new PatientID and PatientName."""
        return "P" + self._digest("patient", identity).hex()[:12].upper()

    def uid(self, uid: str) -> str:
        """A UID under 2.25, the arc of UUIDs (PS3.5 section B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def name(self, name: str) -> str:
        """A name for a file or a folder, as 16 hex digits."""
        return self._digest("file", name).hex()[:16]

    def days(self, identity: str) -> int:
        """By how many days a patient's dates go back: 1 to 3,650."""
        return 1 + int.from_bytes(self._digest("days", identity)[:8]) % _LONGEST_SHIFT

    def _digest(self, purpose: str, value: str) -> bytes:
        message = f"{purpose}\0{value}".encode(errors="surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()


def new_key() -> bytes:
    """A key that is nowhere kept: no later run will give the same pseudonyms."""
    return secrets.token_bytes(32)


def kept_key(path: Path) -> bytes:
    """Read a key file, or make one that only its owner may read.

    Raises:
        InputError: the file is no key, or cannot be read or made.
    """
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(new_key().hex() + "\n")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise InputError(f"{path} cannot be opened as a key ({error.strerror}): give another path.") from error
    except ValueError as error:
        raise InputError(f"{path} is no key: give a path that does not exist, and a key is made there.") from error
    if len(key) != 32:
        raise InputError(f"{path} is no key of 32 bytes: give a path that does not exist, and a key is made there.")
    return key
