"""Addresses as they may be recorded: without logins, signatures and tokens."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mlssm.secrets import is_secret

# of Azure's shared access signatures: who signed, what for and until when; `sig` itself is known as a secret
SHARED_ACCESS = frozenset("se st sp sv sr spr skoid sktid skt ske sks skv sip ss srt".split())
SIGNED = ("x-amz-", "x-goog-", "googleaccessid", "awsaccesskeyid", "key-pair-id", "policy", "expires")


def bare_address(url: str) -> str:
    """An address without its login, and without all of its query that signs it or is secret."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    signed = any(_signs(key) for key, _ in pairs)
    kept = [(key, value) for key, value in pairs if not _signs(key) and not (signed and key in SHARED_ACCESS)]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(kept, safe="/:,"), ""))


def _signs(key: str) -> bool:
    return is_secret(key) or key.lower() == "key" or key.lower().startswith(SIGNED)
