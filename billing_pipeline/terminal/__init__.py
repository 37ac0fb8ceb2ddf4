"""What the `billing` command prints: one module per command, tables for people and JSON for programs."""
