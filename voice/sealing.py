"""Secrets at rest: AES-256-GCM, so that the store, its append-only file and their copies hold none that can be read.

A sealed text is `s1.KEYID.BASE64`: which key it needs, then nonce and ciphertext. What it is about goes into the seal:
a password moved to another trunk in the store does not open there. Several keys may be known; the first one seals.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_MIN = 32  # characters: 128 bits, even when they are only hexadecimal digits
_VERSION = "s1"
_NONCE = 12  # bytes, NIST SP 800-38D section 8.2
_PURPOSE = b"tocsin secrets at rest v1:"


class CannotOpen(Exception):
    """A sealed secret cannot be read with the keys we have; the text names the key it needs, never the secret."""


class Sealer:
    """`keys`: texts of at least 32 characters. Raises ValueError for a shorter one."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < KEY_MIN for key in keys):
            raise ValueError(f"a key for secrets has at least {KEY_MIN} characters: openssl rand -hex 32 makes one")
        # The text is random, so one hash makes a key of it; a password would need a slow one, and is refused as short.
        raw = [hashlib.sha256(_PURPOSE + key.encode()).digest() for key in keys]
        self._boxes = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in raw}
        self.key_id = next(iter(self._boxes))

    def seal(self, secret: str, about: str) -> str:
        nonce = os.urandom(_NONCE)
        box = self._boxes[self.key_id].encrypt(nonce, secret.encode(), about.encode())
        return f"{_VERSION}.{self.key_id}.{base64.b64encode(nonce + box).decode()}"

    def open(self, sealed: str, about: str) -> str:
        """Raises CannotOpen."""
        version, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        box = self._boxes.get(key_id)
        if version != _VERSION or box is None:
            raise CannotOpen(f"it is sealed with the key {key_id or '?'}, which is not here: look at TOCSIN_SECRET_KEY")
        try:
            raw = base64.b64decode(text, validate=True)
            return box.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise CannotOpen("it was changed in the store, or belongs to something else") from None

    def is_current(self, sealed: str) -> bool:
        """Is it sealed with the first key? Else it is time to seal it anew."""
        return sealed.startswith(f"{_VERSION}.{self.key_id}.")
