"""Who may connect, and the sealed blob with which a client may prove what it was."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from offhook.errors import PeerError
from offhook.node.gateway.settings import Credential

__all__ = ["Credentials", "Grant", "SealedState", "StateRefused", "token_id_of"]

_NONCE_BYTES = 12


class StateRefused(PeerError):
    """An ``authorization_state`` that this node did not make."""


class Credentials:
    """Checks project and token without telling by its time how much of them was right."""

    def __init__(self, credentials: list[Credential]) -> None:
        self._known = [(_digest(known.project), _digest(known.token), known) for known in credentials]

    def check(self, project: str, token: str) -> str | None:
        """Return the token's id, or None for a wrong project or token."""
        given_project, given_token = _digest(project), _digest(token)
        found = None
        for known_project, known_token, _ in self._known:
            is_project = hmac.compare_digest(known_project, given_project)
            is_token = hmac.compare_digest(known_token, given_token)
            if is_project & is_token:
                found = _id_of(known_token)
        return found


def token_id_of(token: str) -> str:
    """The id by which sessions remember a token."""
    return _id_of(_digest(token))


def _id_of(digest: bytes) -> str:
    return digest[:8].hex()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Grant(msgspec.Struct, frozen=True):
    """What a state proves: that this session was connected with this token."""

    protocol: str
    project: str
    token_id: str
    expires_at: float


class SealedState:
    """Seals grants with AES-256-GCM: ``<base64 nonce>:<base64 ciphertext>``."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, grant: Grant) -> str:
        """Make the blob that the client keeps."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.json.encode(grant), None)
        return f"{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"

    def open(self, state: str) -> Grant:
        """Read a blob; whether it is expired or of another session is for the caller to see.

        Raises:
            StateRefused: it is corrupt, or made with another key.
        """
        try:
            nonce, sealed = (base64.b64decode(part, validate=True) for part in state.split(":"))
            if len(nonce) != _NONCE_BYTES:
                raise StateRefused("nonce of a wrong length")
            return msgspec.json.decode(self._cipher.decrypt(nonce, sealed, None), type=Grant)
        except (ValueError, binascii.Error, InvalidTag, msgspec.DecodeError) as error:
            raise StateRefused("not made by this node, or changed on its way") from error
