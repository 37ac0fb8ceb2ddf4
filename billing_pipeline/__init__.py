"""Usage-based billing for AI products, on Dagster."""
