"""The meters as a relation: for each distinct usage of a day the meters that take it."""

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.meters import taken_by
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.schemas.table import Column, ColumnType

METER_COLUMNS = (
    Column("rule_version", ColumnType.TEXT, "rule version"),
    Column("unit", ColumnType.TEXT, "unit of the usage"),
    Column("dimensions", ColumnType.TEXT, "all dimensions of the usage"),
    Column("meter", ColumnType.TEXT, "a meter that takes it"),
    Column("aggregation", ColumnType.TEXT, "how the meter counts"),
    Column("distinct_field", ColumnType.TEXT, "what it counts the values of", nullable=True),
    Column("distinct_value", ColumnType.TEXT, "the value, where that is a dimension", nullable=True),
    Column("grouped_dimensions", ColumnType.TEXT, "the dimensions the meter keeps apart"),
)


def load_meters(workshop: Workshop, session: Session, name: str, usage: str) -> None:
    """Name the meters of the usage in a relation: one decision, made where the guard makes it too."""
    rows: list[tuple[object, ...]] = []
    query = (
        f"SELECT DISTINCT rule_version, unit, dimensions FROM {usage} ORDER BY rule_version, unit, dimensions"
    )
    for version, unit, dimensions in session.rows(query):
        book = workshop.books.get(str(version))
        for taken in taken_by(book, str(unit), str(dimensions)) if book else ():
            meter = taken.meter
            rows.append(
                (
                    version,
                    unit,
                    dimensions,
                    meter.name,
                    meter.aggregation,
                    meter.distinct,
                    taken.distinct_dimension,
                    taken.grouped_dimensions,
                )
            )
    session.load(name, METER_COLUMNS, rows)
