"""What must not be shown, logged or kept: passwords, tokens and keys, in addresses, settings, texts and code."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MASK = "***"
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SECRET_WORDS = frozenset(
    "password passwd passphrase passcode pwd secret secrets token credential credentials sig signature sas auth "
    "authorization bearer cookie apikey".split()
)
SECRET_PARTS = ("password", "passwd", "passphrase", "secret", "apikey", "accesskey", "accountkey", "privatekey")
# the user information of an address (before :// a sweep has a backslash): to the last @ before the path, or in a
# password with a slash in it to the next @
LOGIN = re.compile(r"(\w[\w+.-]*\\?://)(?:[^\s/]+|[^\s/@:]*:(?!\d+(?:[/?#]|\s|$))[^\s@]*)@")
QUERY = re.compile(r"([?&;])([\w.-]+)=([^&;\s'\"]+)")
SETTING = re.compile(r"(?<![\w.?&;-])([\w.-]+)=(\"[^\"]*\"|'[^']*'|[^\s&;,'\"]+)")
HEADER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")
# shapes that services give their tokens, so that they are found again when they leak
SHAPES = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|hf_\w{20,}|sk-[\w-]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
)
# in code and settings files: a name, = or :, then a literal in quotes or all that is left of the line
LITERAL = re.compile(
    r"""([\w.-]+)(["']?\s*(?:=|:)\s*[rbuf]{0,2})("[^"]+"|'[^']+'|[^\s"'()\[\]{},;]+(?=\s*(?:\#.*)?$))"""
)
CODE = re.compile(r"(?:str|bytes|int|bool|None|null|[Tt]rue|[Ff]alse|\$.*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)")
BEGIN, END = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"), re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY")


def is_secret(key: str) -> bool:
    """Whether a name is that of something secret: tracking.password, AccountKey, sslpassword, api_key, sig."""
    words = [word.lower() for word in WORD.findall(key)]
    joined = "".join(words)
    return not SECRET_WORDS.isdisjoint(words) or any(part in joined for part in SECRET_PARTS)


def without_password(text: str) -> str:
    """A text as it may be shown, logged and kept.

    *** stands for the user information of addresses, for the value of each key that `is_secret` in `key=value`, and for
    what has the shape of a token.
    """
    return SETTING.sub(_hide_setting, HEADER.sub(rf"\1 {MASK}", _without_login(text)))


def masked(value: Any) -> Any:
    """Plain containers with all that is secret in them masked: by its key, or in a text."""
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, Mapping):
        return {key: _hidden(item) if is_secret(str(key)) else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list | tuple) else value


def mask_diff(diff: str) -> str:
    """A diff as it may be kept: secret values, logins, tokens and private keys are masked, all else is as it was."""
    lines, in_key = [], False
    for line in diff.split("\n"):
        in_key = in_key or bool(BEGIN.search(line))
        lines.append(f"{line[:1]}{MASK}" if in_key else LITERAL.sub(_hide_literal, _without_login(line)))
        in_key = in_key and not END.search(line)
    return "\n".join(lines)


def mask_logs() -> None:
    """From now on no log record of this process holds a secret, whoever makes it. Calling it again changes nothing."""
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Masking):
        logging.setLogRecordFactory(_Masking(factory))


def mask_yaml(path: Path) -> None:
    """Mask a YAML file in its place; one without secrets stays as it is."""
    import yaml

    text = path.read_text(encoding="utf-8")
    values = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # five times as fast where libyaml is
    if (safe := masked(values)) == values:
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(yaml.safe_dump(safe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    partial.replace(path)


@dataclass(frozen=True)
class _Masking:
    factory: Callable[..., logging.LogRecord]

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.factory(*args, **kwargs)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return record  # a wrong call is told by the handlers
        if (safe := without_password(text)) != text:
            record.msg, record.args = safe, None
        return record


def _without_login(text: str) -> str:
    return SHAPES.sub(MASK, QUERY.sub(_hide_query, LOGIN.sub(rf"\1{MASK}@", text)))


def _hidden(value: Any) -> Any:
    """In the place of a secret; what is not set is shown."""
    if isinstance(value, Mapping):
        return {key: _hidden(item) for key, item in value.items()}
    return value if value is None or value == "" or isinstance(value, bool) else MASK


def _hide_query(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={MASK}" if is_secret(found[2]) else found[0]


def _hide_setting(found: re.Match[str]) -> str:
    return f"{found[1]}={MASK}" if is_secret(found[1]) else found[0]


def _hide_literal(found: re.Match[str]) -> str:
    key, between, value = found.groups()
    if not is_secret(key) or CODE.fullmatch(value):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{key}{between}{quote}{MASK}{quote}"
