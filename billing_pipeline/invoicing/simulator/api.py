"""Request in, answer out: authorization, contract, idempotency, endpoint. No HTTP server in here."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from billing_pipeline.invoicing.simulator import (
    clock,
    credit_notes,
    customers,
    invoice_items,
    invoice_lines,
    invoice_states,
    invoices,
    meter_errors,
    meter_events,
    meter_summaries,
    meters,
    products,
)
from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.call import Call, Endpoint, understood_only
from billing_pipeline.invoicing.simulator.clock import clock_offset_seconds
from billing_pipeline.invoicing.simulator.contract import read
from billing_pipeline.invoicing.simulator.faults import key_in_use, lock_timeout, refusal
from billing_pipeline.invoicing.simulator.form import decode
from billing_pipeline.invoicing.simulator.http_messages import Request, Response, ServerFault
from billing_pipeline.invoicing.simulator.running import Running
from billing_pipeline.invoicing.simulator.store import KeptAnswer, Store

ENDPOINTS = (
    *customers.ENDPOINTS,
    *products.ENDPOINTS,
    *invoices.ENDPOINTS,
    *invoice_states.ENDPOINTS,
    *invoice_lines.ENDPOINTS,
    *invoice_items.ENDPOINTS,
    *credit_notes.ENDPOINTS,
    *meters.ENDPOINTS,
    *meter_events.ENDPOINTS,
    *meter_summaries.ENDPOINTS,
    *meter_errors.ENDPOINTS,
    *clock.ENDPOINTS,
)
MAX_KEY_LENGTH = 255
OWN_PATHS = "/simulator/"
"""What Stripe does not have; no key is asked for."""
KEY_LIFE_SECONDS = 86_400
"""Stripe forgets a key after at least 24 hours; the simulator forgets it then."""


class Simulator:
    """Stripe's answers over one store.

    Args:
        store: all state.
        clock: the second it is, before the offset that the store keeps.
        key_life_seconds: how long an idempotency key is remembered.
        meter_delay_seconds: how long after its receipt a meter event counts.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int] = lambda: int(time.time()),
        *,
        key_life_seconds: int = KEY_LIFE_SECONDS,
        meter_delay_seconds: int = 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._key_life_seconds = key_life_seconds
        self._meter_delay_seconds = meter_delay_seconds
        self._running_keys = Running()
        self._running_calls = Running()

    def handle(self, request: Request) -> Response:
        """The answer to one request; every refusal is an answer too."""
        try:
            _authorize(request)
            found, ids = _route(request)
            parameters = _parameters(found, request)
            key = (request.idempotency_key or None) if request.method == "POST" else None
            _check_key(key)
            with self._running_keys.claim(key) as is_first:
                if not is_first:
                    return key_in_use(key)
                exclusive = found.exclusive(parameters) if found.exclusive else None
                with self._running_calls.claim(exclusive) as is_alone:
                    return self._answer(found, ids, parameters, request) if is_alone else lock_timeout()
        except ApiError as error:
            return Response(error.status, json.dumps(error.body))

    def _answer(
        self, found: Endpoint, ids: tuple[str, str], parameters: dict[str, Any], request: Request
    ) -> Response:
        with self._store.transaction() as transaction:
            now = self._clock() + clock_offset_seconds(transaction)
            call = Call(transaction, parameters, ids[0], now, ids[1], self._meter_delay_seconds)
            if request.method != "POST" or not request.idempotency_key:
                return _run(found, call, request.server_fault)
            return self._run_once(found, call, request, request.idempotency_key)

    def _run_once(self, found: Endpoint, call: Call, request: Request, key: str) -> Response:
        request_hash = hashlib.sha256(
            json.dumps([request.method, request.path, call.parameters], default=str, sort_keys=True).encode()
        ).hexdigest()
        headers = {"Idempotency-Key": key}
        call.transaction.forget_answers(call.now - self._key_life_seconds)
        kept = call.transaction.kept_answer(key)
        if kept is not None:
            _refuse_another_request(kept, request_hash, key)
            return Response(kept.status, kept.body, {**headers, "Idempotent-Replayed": "true"})
        response = _run(found, call, request.server_fault)
        call.transaction.keep_answer(key, KeptAnswer(request_hash, response.status, response.body), call.now)
        return Response(response.status, response.body, headers)


def _run(found: Endpoint, call: Call, fault: ServerFault | None) -> Response:
    """The endpoint's answer, or the 500 that a fault puts in its place."""
    if fault is ServerFault.INSTEAD:
        return _server_error()
    try:
        with call.transaction.savepoint():
            response = Response(200, json.dumps(found.run(call)))
    except ApiError as error:
        if not error.keep:
            raise
        return Response(error.status, json.dumps(error.body))
    return response if fault is None else _server_error()


def _server_error() -> Response:
    return refusal(500, "api_error", "Something went wrong on Stripe's end.")


def _check_key(key: str | None) -> None:
    if key is not None and len(key) > MAX_KEY_LENGTH:
        raise ApiError(f"Idempotency keys have at most {MAX_KEY_LENGTH} characters.", keep=False)


def _authorize(request: Request) -> None:
    if request.path.startswith(OWN_PATHS):
        return
    if request.api_key is None or not request.api_key.startswith("sk_test_"):
        raise ApiError(
            "Invalid API Key provided: the simulator takes any key that starts with sk_test_.",
            status=401,
            code="api_key_invalid",
            keep=False,
        )


def _route(request: Request) -> tuple[Endpoint, tuple[str, str]]:
    for found in ENDPOINTS:
        match = found.path.match(request.path)
        if match and found.method == request.method:
            ids = match.groupdict()
            return found, (ids.get("id", ""), ids.get("child", ""))
    raise ApiError(
        f"Unrecognized request URL ({request.method}: {request.path}): the simulator does not have it.",
        status=404,
        keep=False,
    )


def _parameters(found: Endpoint, request: Request) -> dict[str, Any]:
    parameters = read(found.parameters, decode(request.form))
    understood_only(parameters, found.understood)
    return parameters


def _refuse_another_request(kept: KeptAnswer, request_hash: str, key: str) -> None:
    if kept.request_hash != request_hash:
        raise ApiError(
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request.",
            kind="idempotency_error",
            keep=False,
        )
