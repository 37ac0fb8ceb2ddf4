"""A gateway whose queue fails at the second batch handed in, `failing_server.py`; started by test_stopping."""

import sys
from concurrent.futures import Future

from billing_pipeline.contract.log_lines import Body
from billing_pipeline.errors import QueueFailedError
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request_log import RequestLog
from billing_pipeline.gateway.server import serve
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import GatewaySettings, load_settings


class FailingQueue(SqliteQueue):
    """A queue on a disk that takes one batch."""

    taken = 0

    def submit(self, producer: str, body: Body) -> Future[range]:
        """Take the first batch, and fail from then on."""
        self.taken += 1
        if self.taken == 1:
            return super().submit(producer, body)
        future: Future[range] = Future()
        future.set_exception(QueueFailedError(str(self.path), "the disk is gone"))
        return future


def main() -> int:
    """Serve."""
    from billing_pipeline.control.api_keys import api_keys

    pipeline = Pipeline(load_settings())
    queue = FailingQueue(pipeline.settings.queue_path)
    gateway = Gateway(queue, GatewaySettings(port=0), RequestLog())
    return serve(gateway, lambda: api_keys(pipeline.control), queue.close)


if __name__ == "__main__":
    sys.exit(main())
