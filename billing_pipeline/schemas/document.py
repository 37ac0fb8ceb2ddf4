"""`docs/tables.md`: the tables as analysts and auditors query them, made from their declarations."""

from collections.abc import Iterator

from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import TABLES

HEAD = """# Tables

Query them with `billing sql "SELECT …"`. Names and meanings are stable. Amounts in `…_minor` are whole minor units of
the currency, `amount` is the unrounded amount in its major unit; nothing is binary floating point. All instants are
UTC. This page is generated from the schemas (`make docs`).
"""


def tables_document() -> str:
    """The page, in Markdown."""
    return "\n".join([HEAD, *(line for table in TABLES for line in _section(table))])


def _section(table: Table) -> Iterator[str]:
    yield f"## `{table.name}`"
    yield ""
    yield table.description
    yield ""
    source = ", ".join(f"`{name}`" for name in table.upstream) or "the durable queue"
    hashed = "its canonical rows" if table.hash_rows else "the bytes of its files"
    yield f"Partitioned by `{'`, `'.join(table.partition_by)}`. Made from {source}. Content hash over {hashed}."
    yield ""
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column in table.columns:
        null = " May be null." if column.nullable else ""
        yield f"| `{column.name}` | {column.type} | {column.description}{null} |"
    yield ""


if __name__ == "__main__":
    print(tables_document(), end="")  # noqa: T201 - the page is what this prints
