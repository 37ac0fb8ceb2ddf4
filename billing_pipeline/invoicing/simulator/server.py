"""The simulator over HTTP, on loopback only."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from billing_pipeline.errors import SimulatorError
from billing_pipeline.invoicing.simulator.api import Simulator
from billing_pipeline.invoicing.simulator.clock import advance_clock
from billing_pipeline.invoicing.simulator.droppable import DroppableConnection
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response
from billing_pipeline.invoicing.simulator.store import Store

HOST = "127.0.0.1"
MAX_BODY_BYTES = 4 * 1024 * 1024
_START_TIMEOUT_SECONDS = 30.0


def _unchanged(handler: Handler) -> Handler:
    return handler


@contextmanager
def running_simulator(
    path: Path,
    *,
    port: int = 0,
    wrap: Callable[[Handler], Handler] = _unchanged,
    meter_delay_seconds: int = 0,
    advance_seconds: int = 0,
) -> Iterator[str]:
    """Serve the simulator from a thread of this process for as long as the block runs.

    Args:
        path: the store (`Settings.simulator_path`); several processes may serve the same one.
        port: 0 chooses a free one.
        wrap: what stands around every request; where faults go.
        meter_delay_seconds: how long after its receipt a meter event counts.
        advance_seconds: how far the store's clock goes on, for good, before anything is served.

    Yields:
        The base address, like `http://127.0.0.1:43121`.

    Raises:
        SimulatorError: the port is taken, or the server does not start.
    """
    store = Store(path)
    simulator = Simulator(store, meter_delay_seconds=meter_delay_seconds)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        with store.transaction() as transaction:
            advance_clock(transaction, advance_seconds)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise SimulatorError(f"{HOST}:{port} is taken ({error}); give another port or 0") from error
        with _serving(application(wrap(simulator.handle)), listener):
            yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        listener.close()
        store.close()


def application(handler: Handler) -> Starlette:
    """The ASGI application around a handler."""

    async def answer(http: HttpRequest) -> HttpResponse:
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return HttpResponse(status_code=413)
        response = await run_in_threadpool(handler, _request(http, bytes(body)))
        if response.delay_seconds or response.dropped:
            await _wait(http, response)
        return HttpResponse(response.body, response.status or 500, response.headers, "application/json")

    methods = ["GET", "POST", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


def _request(http: HttpRequest, body: bytes) -> Request:
    scheme, _, api_key = http.headers.get("authorization", "").partition(" ")
    return Request(
        method=http.method,
        path=http.url.path,
        form=body.decode("utf-8", "replace") if http.method == "POST" else http.url.query,
        api_key=api_key if scheme.lower() == "bearer" else None,
        idempotency_key=http.headers.get("idempotency-key"),
    )


async def _wait(http: HttpRequest, response: Response) -> None:
    """Let the delay pass, or the client go away; then close the connection of an answer that is dropped."""

    async def gone() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    with suppress(TimeoutError):
        await asyncio.wait_for(gone(), response.delay_seconds)
    if response.dropped:
        DroppableConnection.drop(http.scope)
        # What is returned after this goes nowhere; before it, it would still be sent.
        await gone()


@contextmanager
def _serving(app: Starlette, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        app,
        http=DroppableConnection,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="stripe-simulator", daemon=True
    )
    thread.start()
    try:
        waited = threading.Event()
        for _ in range(int(_START_TIMEOUT_SECONDS / 0.01)):
            if server.started or not thread.is_alive():
                break
            waited.wait(0.01)
        if not server.started:
            raise SimulatorError("the Stripe simulator did not start; its log says why")
        yield
    finally:
        server.should_exit = True
        thread.join()
