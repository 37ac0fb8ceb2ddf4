"""Where tables live (Apache Iceberg) and what computes over them (DuckDB)."""
