"""`GET /v1/balance`: what a customer has, and what is left of its limits, its project's and its session's."""

import asyncio
from urllib.parse import parse_qs

import msgspec

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.contract.limits import ID_CHARACTERS, TRACE_CHARACTERS
from billing_pipeline.errors import GuardError, RequestRefusedError
from billing_pipeline.gateway.answer import Answer
from billing_pipeline.gateway.endpoint import Endpoint
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.guard_refusals import refusal_of
from billing_pipeline.gateway.guard_served import check_customer, limit_rate, served, tell
from billing_pipeline.gateway.request import Request
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.guardrails.calling.wire import to_json

BALANCE_PATH = "/v1/balance"
CHARACTERS = {"customer_id": ID_CHARACTERS, "project_id": ID_CHARACTERS, "session_id": TRACE_CHARACTERS}
"""How many each parameter may have."""

_ENCODER = msgspec.json.Encoder()


class BalanceEndpoint(Endpoint):
    """An ASGI application for one path."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway, Right.GUARD_USE)

    async def _answer(self, request: Request, key: ApiKey) -> Answer:
        request.came_whole = True  # a GET has no body that anybody would read
        asked = parameters(request.query_string)
        customer_id = asked["customer_id"]
        check_customer(key, customer_id)
        limit_rate(self._gateway, key)
        try:
            reader = served(self._gateway.balances)
            found = await asyncio.to_thread(
                reader.balance, customer_id, asked.get("project_id"), asked.get("session_id")
            )
        except GuardError as error:
            raise refusal_of(error) from error
        return Answer(200, _ENCODER.encode(to_json(found)))

    def _tell(self, request: Request, answer: Answer, key_id: str | None, seconds: float) -> None:
        tell(self._gateway, BALANCE_PATH, request, answer, key_id=key_id, seconds=seconds)


def parameters(query_string: bytes) -> dict[str, str]:
    """The parameters of the query, each once.

    Raises:
        RequestRefusedError: one is unknown, missing, given twice or not possible.
    """
    try:
        found = parse_qs(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10
        )
    except ValueError as error:
        raise _refusal("query", None, "must be UTF-8, percent-encoded") from error
    for name, values in found.items():
        characters = CHARACTERS.get(name)
        if characters is None:
            raise _refusal(name, values[0], f"is unknown; known are {', '.join(CHARACTERS)}")
        value = values[0]
        if len(values) > 1 or not 0 < len(value) <= characters or not value.isprintable():
            raise _refusal(name, value, f"must be given once, with 1 to {characters} printable characters")
    if "customer_id" not in found:
        raise _refusal("customer_id", None, "must be given")
    return {name: values[0] for name, values in found.items()}


def _refusal(name: str, value: str | None, rule: str) -> RequestRefusedError:
    shown = None if value is None else value[:200]
    return RequestRefusedError(
        400, RequestCode.INVALID_PARAMETER, f"{name[:200]} {shown!r} {rule}", field=name[:200], value=shown
    )
