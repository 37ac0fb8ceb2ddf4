"""How a table of the lake looks in Dagster: its spec, and what every materialization tells."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.metering.stage import Partition, StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.lineage import column_lineage
from billing_pipeline.schemas.table import Table

OWNERS = ["team:billing"]


def spec(
    table: Table, partitions: dg.PartitionsDefinition[str], deps: Sequence[dg.AssetDep | str] | None = None
) -> dg.AssetSpec:
    """The asset of a table: group by stage, description, column schema and column lineage."""
    lineage = column_lineage(table)
    metadata: dict[str, dg.TableSchema | dg.TableColumnLineage | dg.MetadataValue | str] = {
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(
                    column.name,
                    str(column.type),
                    column.description,
                    dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ]
        ),
        "dagster/table_name": f"billing.{table.name}",
        "partitioned by": ", ".join(table.partition_by),
    }
    if table.upstream:
        metadata["dagster/column_lineage"] = dg.TableColumnLineage(
            {column: [_dep(*source) for source in sources] for column, sources in lineage.items() if sources}
        )
        # The open-source UI keeps that for tools and does not draw it: the same, to be read.
        metadata["column lineage"] = dg.MetadataValue.md(_lineage_text(lineage))
    return dg.AssetSpec(
        table.name,
        deps=list(table.upstream) if deps is None else deps,
        description=table.description,
        group_name=table.stage,
        owners=OWNERS,
        kinds={"duckdb", "iceberg"},
        tags={"append_only": "true"} if table.append_only else {},
        metadata=metadata,
        partitions_def=partitions,
    )


def _dep(table: str, column: str) -> dg.TableColumnDep:
    return dg.TableColumnDep(asset_key=dg.AssetKey(table), column_name=column)


def _lineage_text(lineage: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    rows = [
        f"| {column} | {', '.join(f'{table}.{name}' for table, name in sources) or 'rules and texts'} |"
        for column, sources in lineage.items()
    ]
    return "\n".join(["| column | made of |", "|---|---|", *rows])


def report(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    result: StageResult,
    tables: Sequence[Table],
    watermark: int,
) -> Iterator[dg.MaterializeResult[None]]:
    """Keep and show what a stage wrote: a materialization per table, figures per partition."""
    pipeline.record(result, watermark=watermark, run_id=context.run.run_id)
    for table in tables:
        written = [partition for partition in result.partitions if partition.table == table.name]
        for partition in written:
            context.add_asset_metadata(
                partition_metadata(pipeline, result, partition, watermark),
                asset_key=table.name,
                partition_key=str(partition.key),
            )
        yield dg.MaterializeResult(asset_key=table.name)


def partition_metadata(
    pipeline: Pipeline, result: StageResult, partition: Partition, watermark: int
) -> dict[str, dg.MetadataValue]:
    """Rows by outcome, content hash, rules, snapshots and the watermark of one partition."""
    versions = (
        [partition.key.rule_version] if partition.key.rule_version else [b.version for b in pipeline.books]
    )
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(partition.rows),
        **{f"rows: {outcome}": dg.MetadataValue.int(count) for outcome, count in partition.counts.items()},
        "content hash": dg.MetadataValue.text(partition.content_hash),
        "rule version": dg.MetadataValue.text(", ".join(versions)),
        "snapshots read": dg.MetadataValue.json(
            {name: str(found) for name, found in result.snapshots_read.items()}
        ),
        "snapshot written": dg.MetadataValue.text(str(result.snapshots_written.get(partition.table))),
        "watermark": dg.MetadataValue.text(instant_text(watermark)),
        "closed": dg.MetadataValue.bool(watermark >= pipeline.calendar.close(partition.key.day)),
    }
