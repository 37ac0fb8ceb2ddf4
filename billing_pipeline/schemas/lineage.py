"""Column lineage: which columns each column of a table is made of. What auditors follow in the Dagster UI."""

from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import BY_NAME


def column_lineage(table: Table) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each column the (table, column) pairs it is made of.

    What a table declares in `derived_from`; otherwise the columns of the same name in the tables it is made of. A
    column that is new in the table has none.
    """
    upstream = [BY_NAME[name] for name in table.upstream]
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for column in table.column_names:
        if column in table.derived_from:
            found[column] = tuple(_pair(source) for source in table.derived_from[column])
        else:
            found[column] = tuple((each.name, column) for each in upstream if column in each.column_names)
    return found


def _pair(source: str) -> tuple[str, str]:
    table, _, column = source.partition(".")
    return table, column
