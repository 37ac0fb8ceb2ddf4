"""Serving the gateway: listening, stopping without losing a request, and ending at once where the queue has failed."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.errors import GatewayError
from billing_pipeline.gateway.application import application
from billing_pipeline.gateway.chores import advance_to_now, keep_clock, take_keys, watch_keys
from billing_pipeline.gateway.connection import Connection
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.guard_chores import Chore, keep_doing
from billing_pipeline.gateway.limits import HEAD_SECONDS, IDLE_SECONDS
from billing_pipeline.gateway.request_log import ServerLog
from billing_pipeline.settings import GatewaySettings

FAILED_STATUS = 70
"""The exit status where the queue has failed (EX_SOFTWARE): a supervisor is to start the process again."""

_BACKLOG = 1024
_FAILED_SECONDS = 5.0
"""How long the process may take to end by itself once the queue has failed."""
_ANSWER_SECONDS = 2
_POLL_SECONDS = 0.02


class Server(uvicorn.Server):
    """uvicorn, but for the signals: the first one drains, the second ends."""

    def __init__(
        self, gateway: Gateway, read_keys: Callable[[], Iterable[ApiKey]], chores: Sequence[Chore] = ()
    ) -> None:
        config = uvicorn.Config(
            application(gateway),
            http=_connection(gateway.settings),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=_ANSWER_SECONDS,
        )
        super().__init__(config)
        self._gateway = gateway
        self._read_keys = read_keys
        self._chores = chores
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """A signal: stop, or stop at once."""
        if self._gateway.draining:
            self.should_exit = self.force_exit = True
        self.stop()

    def stop(self) -> None:
        """Take nothing more, let what is under way end, and end; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def work(self, listener: socket.socket) -> None:
        """Serve until stopped."""
        self._loop = asyncio.get_running_loop()
        gateway = self._gateway
        chores = [
            asyncio.create_task(watch_keys(gateway, self._read_keys)),
            asyncio.create_task(self._drain()),
            *(asyncio.create_task(keep_doing(gateway, chore)) for chore in self._chores),
        ]
        if gateway.settings.clock_seconds:
            chores.append(asyncio.create_task(keep_clock(gateway, gateway.settings.clock_seconds)))
        try:
            await self.serve(sockets=[listener])
        finally:
            for chore in chores:
                chore.cancel()
            for chore in chores:
                with suppress(asyncio.CancelledError):
                    await chore

    async def _drain(self) -> None:
        await self._stop.wait()
        gateway = self._gateway
        gateway.draining = True
        gateway.log.info("draining", in_flight=gateway.in_flight)
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if gateway.failure else gateway.settings.drain_seconds):
                while gateway.in_flight:  # noqa: ASYNC110 - a counter costs each request less than an event
                    await asyncio.sleep(_POLL_SECONDS)
        self.should_exit = True


def serve(
    gateway: Gateway,
    read_keys: Callable[[], Iterable[ApiKey]],
    close_queue: Callable[[], None],
    chores: Sequence[Chore] = (),
) -> int:
    """Serve until SIGTERM or SIGINT, or until the queue fails; returns the exit status. Chores are done meanwhile.

    Raises:
        GatewayError: the address cannot be listened on.
        QueueError: the queue cannot be written, say because another process does; nothing was served.
    """
    settings = gateway.settings
    take_keys(gateway, read_keys())
    advance_to_now(gateway.queue)
    listener = _listen(settings)
    server = Server(gateway, read_keys, chores)
    gateway.on_failure = partial(_end_soon, server)
    told = logging.getLogger("uvicorn.error")
    told.handlers, told.propagate = [ServerLog(gateway.log)], False
    host, port = listener.getsockname()[:2]
    gateway.log.info("listening", host=host, port=port, keys=len(gateway.keys))
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.work(listener))
    finally:
        listener.close()
        if gateway.failure is None:
            close_queue()
    gateway.log.info("stopped")
    gateway.log.flush()
    return 0 if gateway.failure is None else FAILED_STATUS


def _connection(settings: GatewaySettings) -> type[Connection]:
    class BoundedConnection(Connection):
        max_connections = settings.connections
        head_seconds = min(HEAD_SECONDS, settings.body_seconds)

    return BoundedConnection


def _end_soon(server: Server) -> None:
    """Stops the server, and ends the process if that takes too long: after a failed write nothing may linger."""
    timer = threading.Timer(_FAILED_SECONDS, os._exit, (FAILED_STATUS,))
    timer.daemon = True
    timer.start()
    server.stop()


def _listen(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise GatewayError(
            f"{settings.host}:{settings.port} cannot be listened on ({error}); give another --host or --port"
        ) from error
    return listener
