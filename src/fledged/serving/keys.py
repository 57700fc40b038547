"""API keys: where they are read from, and whether a request brings one."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fledged.errors import ConfigError

VARIABLE = "FLEDGED_API_KEYS"
_MIN_LENGTH = 16
_MAKE_ONE = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that open the server, as sha256; without any it is open."""

    digests: tuple[bytes, ...] = ()

    def allow(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers may be answered.

        A key is in `Authorization: Bearer KEY` or in `x-api-key: KEY`. How long this takes says nothing of the keys.
        """
        if not self.digests:
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        brought = [headers.get("x-api-key", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
        found = False
        for key in brought:
            digest = _digest(key)
            for known in self.digests:  # all of them, whether or not one was found
                found |= hmac.compare_digest(digest, known)
        return found


def read_keys(file: str, environment: Mapping[str, str] = os.environ) -> Keys:
    """Keys of a file, one a line, and of FLEDGED_API_KEYS, between commas or blanks; lines that begin with # are notes.

    Raises ConfigError for a file that cannot be read, for one or the other without a key in it, and for keys that are
    too short or not ASCII.
    """
    found = environment.get(VARIABLE, "").replace(",", " ").split()
    where = VARIABLE
    if VARIABLE in environment and not found:  # meant to be closed, and not open because nothing came
        raise ConfigError("There is no API key in it", where=VARIABLE, remedy=f"Unset it, or give one. {_MAKE_ONE}")
    if file:
        where = file
        try:
            lines = [line.strip() for line in Path(file).read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"Cannot read the API keys: {reason}", where=file, remedy="Check the path.") from error
        of_file = [line for line in lines if line and not line.startswith("#")]
        if not of_file:
            raise ConfigError("There is no API key in this file", where=file, remedy=f"One a line. {_MAKE_ONE}")
        found += of_file
    return _checked(found, where)


def _checked(keys: Iterable[str], where: str) -> Keys:
    for number, key in enumerate(keys := list(keys), start=1):
        if len(key) < _MIN_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            what = f"API key {number} is not one of at least {_MIN_LENGTH} ASCII letters, digits and signs"
            raise ConfigError(what, where=where, remedy=_MAKE_ONE)
    return Keys(tuple(dict.fromkeys(map(_digest, keys))))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
