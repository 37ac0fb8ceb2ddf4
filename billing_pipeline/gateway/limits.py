"""What one request to the gateway may bring."""

from billing_pipeline.ingest.queue import MAX_BATCH_BYTES, MAX_BATCH_RECORDS

WIRE_BYTES = 8 * 1024 * 1024
"""Of a body as it comes, compressed or not."""

GUARD_BYTES = 256 * 1024
"""Of the body of a request to the guard."""

BODY_BYTES = 16 * 1024 * 1024
"""Of a body once decompressed."""

EVENTS = MAX_BATCH_RECORDS

LINES_BYTES = MAX_BATCH_BYTES
"""Of the log's lines that a request's events become."""

JSON_COMMAS = 1_000_000
"""Of a JSON body: what it can be split into takes memory before the events can be counted."""

HEAD_BYTES = 64 * 1024
"""Of a request's line and headers."""

HEAD_SECONDS = 10
"""How long a request's line and headers may take to come."""

IDLE_SECONDS = 75
"""How long a connection is kept between requests; longer than the usual proxies keep theirs."""

ANSWER_SECONDS = 30
"""How long a client may not read its answer."""

SLICE_EVENTS = 100
"""Events handled at a time; between slices other requests have their turn."""
