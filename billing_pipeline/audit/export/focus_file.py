"""Writes the FOCUS dataset: in bounded chunks, each validated before it is written, into a file put in place whole."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from billing_pipeline.audit.export.csv_file import write_rows
from billing_pipeline.audit.export.exported_lines import Exported
from billing_pipeline.audit.export.focus_columns import NAMES
from billing_pipeline.audit.export.focus_rows import AroundLine, focus_rows
from billing_pipeline.audit.export.focus_schema import focus_frame
from billing_pipeline.audit.export.list_prices import ListPrices
from billing_pipeline.audit.export.placed_file import placed_file
from billing_pipeline.rating.money import plain

CHUNK_ROWS = 50_000
METADATA = {"FocusVersion": "1.2", "DataGenerator": "billing_pipeline"}
"""In the Parquet file's key-value metadata, by FOCUS's names."""
Format = Literal["parquet", "csv"]


class Written(NamedTuple):
    """How many rows and lines were written; lines that are about nothing have no rows."""

    rows: int
    lines: int


def write_focus(
    days: Iterable[Exported], prices: ListPrices, provider: str, path: Path, output: Format
) -> Written:
    """Write the dataset of some days; the same lines give the same bytes.

    Args:
        days: in their order.
        prices: what plans ask by themselves.
        provider: who sells the service and issues the invoices.
        path: replaced when all is written.
        output: the file's format.

    Raises:
        FocusFaultError: a row breaks a rule of FOCUS; the file is left as it was.
    """
    lines = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal lines
        for day in days:
            for line in day.lines:
                lines += 1
                yield from focus_rows(
                    line,
                    AroundLine(
                        provider,
                        day.customer_name(line.customer_id),
                        day.usage_until(line),
                        day.in_stripe(line),
                        prices,
                    ),
                )

    write = _write_parquet if output == "parquet" else _write_csv
    with placed_file(path) as unfinished:
        written = write(unfinished, (focus_frame(chunk) for chunk in _chunks(rows())))
    return Written(written, lines)


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """At least one, also without rows: an empty dataset has its columns all the same."""
    chunk = list(islice(rows, CHUNK_ROWS))
    yield chunk
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _write_parquet(path: Path, frames: Iterable[Any]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for frame in frames:
            table = frame.to_arrow()
            texts = [
                pa.field(field.name, pa.string(), field.nullable)
                if pa.types.is_large_string(field.type)
                else field
                for field in table.schema
            ]
            table = table.cast(pa.schema(texts, metadata=METADATA))
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_csv(path: Path, frames: Iterable[Any]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [NAMES])
        for frame in frames:
            write_rows(file, (map(_short, row) for row in frame.iter_rows()))
            rows += frame.height
    return rows


def _short(value: object) -> object:
    """Without the zeros that a column's type adds."""
    return Decimal(plain(value)) if isinstance(value, Decimal) else value
