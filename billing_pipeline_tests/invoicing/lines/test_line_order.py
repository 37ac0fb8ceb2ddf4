from itertools import product
from typing import get_args

import duckdb

from billing_pipeline.invoicing.lines.line_order import LINE_RANK, line_rank
from billing_pipeline.rating.charges import Component


def test_an_invoice_reads_the_same_from_the_table_and_in_memory() -> None:
    """For every component and kind the SQL ranks a line as Python does."""
    with duckdb.connect() as connection:
        for component, kind in product(get_args(Component), ("usage", "adjustment")):
            query = f"SELECT {LINE_RANK} FROM (SELECT '{component}' AS component, '{kind}' AS kind)"
            assert connection.execute(query).fetchall() == [(line_rank(component, kind),)]
