"""MLflow's own scoring server behind a guard: bodies of limited size, and no unknown name is passed over.

`mlflow models serve` reads a body whole before any model sees it, and drops inputs and parameters that the model does
not know with a line in the server's log. A model cannot change that; an ASGI application around the server can.

    MLSSM_SERVED_MODEL=models:/mlssm@champion uvicorn --factory mlssm.tracking.scoring:app --port 5001
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from mlssm.errors import ConfigError
from mlssm.tracking.model_files import pyfunc
from mlssm.tracking.pyfunc import TOO_LARGE

MODEL = "MLSSM_SERVED_MODEL"  # environment variable: the model's URI or folder
MOST_BYTES = "MLSSM_SERVED_BYTES"  # environment variable: size of a body
DEFAULT_BYTES = 64_000_000
BAD_REQUEST = 400
INPUTS, PARAMS = "inputs", "params"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class _RefusedError(Exception):
    """A request that is not passed on: HTTP status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Guard:
    """Refuses what the server behind it would take in whole, or pass over.

    Attributes:
        server: The server.
        inputs: Names of the model's inputs.
        params: Names of its parameters.
        most_bytes: Of a request's body; no more is ever held.
    """

    server: Application
    inputs: frozenset[str]
    params: frozenset[str]
    most_bytes: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.server(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
            self._check_names(body)
        except _RefusedError as refused:
            await _answer(send, refused)
            return

        left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return left.pop() if left else await receive()

        await self.server(scope, again, send)

    async def _body(self, scope: Message, receive: Receive) -> bytes:
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if int(stated or 0) > self.most_bytes:
            raise _RefusedError(TOO_LARGE, self._too_large(f"{int(stated)}"))
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > self.most_bytes:
                raise _RefusedError(TOO_LARGE, self._too_large(f"more than {self.most_bytes}"))
        return b"".join(parts)

    def _too_large(self, found: str) -> str:
        return f"the body has {found} bytes, and {self.most_bytes} are taken; send smaller patches, or set {MOST_BYTES}"

    def _check_names(self, body: bytes) -> None:
        try:
            told = json.loads(body)
        except ValueError:
            return  # the server says what is wrong with it
        if not isinstance(told, dict):
            return
        _refuse_unknown("field", told, {INPUTS, PARAMS})
        for kind, known in ((INPUTS, self.inputs), (PARAMS, self.params)):
            if isinstance(told.get(kind), dict):
                _refuse_unknown(kind.removesuffix("s"), told[kind], known)


def _refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise _RefusedError(BAD_REQUEST, f"there is no {kind} '{unknown[0]}'; there are {', '.join(sorted(known))}")


async def _answer(send: Send, refused: _RefusedError) -> None:
    """As MLflow's server writes its errors."""
    body = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def app() -> Guard:
    """The guarded server of the model that `MLSSM_SERVED_MODEL` names, for `uvicorn --factory`.

    Raises:
        ConfigError: No model is named, or the size is no whole number above 0.
    """
    from mlflow.pyfunc import scoring_server

    uri, most = os.environ.get(MODEL, ""), os.environ.get(MOST_BYTES, str(DEFAULT_BYTES))
    if not uri:
        raise ConfigError(f"{MODEL} is not set; name a model, such as {MODEL}=models:/mlssm@champion")
    if not most.isdecimal() or int(most) == 0:
        raise ConfigError(f"{MOST_BYTES}={most} is no number of bytes; give a whole number above 0")
    model = pyfunc().load_model(uri)
    signature = model.metadata.signature
    inputs = frozenset(signature.inputs.input_names())
    params = frozenset(each.name for each in signature.params or ())  # models of before have none
    return Guard(scoring_server.init(model), inputs, params, int(most))
