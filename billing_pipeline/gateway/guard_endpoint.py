"""The routes that move holds, `POST /v1/reserve` and so on: from a body to the ledger's answer, once it is durable."""

import asyncio
import time
from typing import TYPE_CHECKING, cast

import msgspec

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.errors import GuardError, HoldNotFoundError, RequestRefusedError
from billing_pipeline.gateway.answer import Answer
from billing_pipeline.gateway.endpoint import Endpoint
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.guard_bodies import ExtendBody, ReleaseBody, ReserveBody, SettleBody
from billing_pipeline.gateway.guard_reading import read_body
from billing_pipeline.gateway.guard_refusals import refusal_of
from billing_pipeline.gateway.guard_served import check_customer, limit_rate, served, tell
from billing_pipeline.gateway.limits import GUARD_BYTES
from billing_pipeline.gateway.request import Request
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.guardrails.answers import Answer as GuardAnswer
from billing_pipeline.guardrails.answers import Denied
from billing_pipeline.guardrails.calling.denials import denial_message
from billing_pipeline.guardrails.calling.wire import to_json
from billing_pipeline.guardrails.requests import Reserve

if TYPE_CHECKING:
    from concurrent.futures import Future

    from billing_pipeline.guardrails.requests import Request as GuardRequest

LEDGER_SECONDS = 30.0
"""How long the ledger may take; a client has given up by then."""

DENIED_STATUS = 402

Body = type[ReserveBody] | type[SettleBody] | type[ReleaseBody] | type[ExtendBody]
BODIES: dict[str, Body] = {
    "/v1/reserve": ReserveBody,
    "/v1/settle": SettleBody,
    "/v1/release": ReleaseBody,
    "/v1/extend": ExtendBody,
}
_ENCODER = msgspec.json.Encoder()


class GuardEndpoint(Endpoint):
    """An ASGI application for one of the paths of `BODIES`."""

    def __init__(self, gateway: Gateway, path: str) -> None:
        super().__init__(gateway, Right.GUARD_USE)
        self._path = path
        self._body = BODIES[path]

    async def _answer(self, request: Request, key: ApiKey) -> Answer:
        gateway = self._gateway
        check_form(request)
        with gateway.budget.share() as share:
            content = await request.body(share, gateway.settings.body_seconds, GUARD_BYTES)
        body = read_body(content, self._body)
        try:
            asked = body.request()
            await self._check_key(key, asked)
            found = await self._ask(asked)
        except (GuardError, TimeoutError) as error:
            raise refusal_of(error) from error
        if not isinstance(found, Denied):
            return Answer(200, _ENCODER.encode(to_json(found)))
        told = to_json(found) | {"message": denial_message(found)}
        gateway.metrics.guard_denials.labels(found.rule).inc()
        return Answer(DENIED_STATUS, _ENCODER.encode({"denied": told}), code=str(found.rule))

    async def _check_key(self, key: ApiKey, asked: "GuardRequest") -> None:
        """Refuse what the key may not ask for. Only a reserve may be too many: what is held has to end."""
        if isinstance(asked, Reserve):
            check_customer(key, asked.customer_id)
            limit_rate(self._gateway, key)
        elif key.scope.customers is not None:
            reader = served(self._gateway.balances)
            customer_id = await asyncio.to_thread(reader.customer_of, asked.hold_id)
            if customer_id is None or not key.scope.covers(customer_id):
                raise HoldNotFoundError(asked.hold_id)

    async def _ask(self, asked: "GuardRequest") -> GuardAnswer:
        gateway = self._gateway
        future = cast("Future[GuardAnswer]", served(gateway.guard).submit(asked))
        started = time.perf_counter()
        async with asyncio.timeout(LEDGER_SECONDS):
            found = await gateway.completions.wait(future)
        gateway.metrics.guard_seconds.observe(time.perf_counter() - started)
        return found

    def _tell(self, request: Request, answer: Answer, key_id: str | None, seconds: float) -> None:
        tell(self._gateway, self._path, request, answer, key_id=key_id, seconds=seconds)


def check_form(request: Request) -> None:
    """Refuse a body that is no plain JSON.

    Raises:
        RequestRefusedError: it says that it is something else, or compressed.
    """
    media_type = request.header(b"content-type").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CONTENT_TYPE, "send application/json")
    if request.content_encoding() != "identity":
        raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CONTENT_ENCODING, "send the body uncompressed")
