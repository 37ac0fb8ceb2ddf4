"""The Azure LLM inference trace (code): one row is one request to a production LLM service.

Columns `TIMESTAMP` (UTC, 7 fractional digits), `ContextTokens`, `GeneratedTokens`. A row becomes up to two
events, for its input and its output tokens. A request's id is a hash of its row and of how often the same
row came before in the file, so that a second import of the file is a complete redelivery and equal requests
stay several.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.contract.instants import instant_text, instant_us, microseconds_of
from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources.source_record import SourceRecord, TraceOptions, customer_of

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
SOURCE = "azure-llm-trace"
PROJECT = "code-completion"
MODEL = {"model": "azure-code-llm", "provider": "azure", "service": "code"}
_TOKENS = re.compile(r"[0-9]{1,18}", re.ASCII)


def read(path: Path, options: TraceOptions) -> Iterator[SourceRecord]:
    """The events of one trace file, in the order of the file.

    Raises:
        SourceError: the file has other columns.
    """
    seen: Counter[str] = Counter()
    shift: int | None = None
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise SourceError(str(path), f"no Azure LLM trace: its columns are not {', '.join(COLUMNS)}")
        for row in rows:
            if not row:
                continue
            text = ",".join(row)
            occurred_at = f"{row[0].replace(' ', 'T')}Z"
            moment = instant_us(occurred_at)
            if len(row) != len(COLUMNS) or moment is None or not all(map(_TOKENS.fullmatch, row[1:])):
                yield SourceRecord(str(path), rows.line_num, text.encode())
                continue
            if options.start is not None:
                shift = microseconds_of(options.start) - moment if shift is None else shift
                occurred_at = instant_text(moment + shift)
            seen[text] += 1
            request = sha256(f"{text}#{seen[text]}".encode()).hexdigest()[:32]
            customer_id = customer_of(options, request)
            for token_class, tokens in (("input_uncached", int(row[1])), ("output", int(row[2]))):
                if tokens == 0:
                    options.skipped[token_class] += 1
                    continue
                event = UsageEvent(
                    id=f"{request}:{token_class}",
                    source=SOURCE,
                    customer_id=customer_id,
                    project_id=PROJECT,
                    occurred_at=occurred_at,
                    unit="token",
                    quantity=str(tokens),
                    dimensions=MODEL | {"token_class": token_class},
                    correlation_id=request,
                    step="completion",
                    billable=True,
                )
                yield SourceRecord(str(path), rows.line_num, encode(event))
