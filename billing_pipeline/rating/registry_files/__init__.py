"""Registry files: customers and contracts as people write them, read entry by entry, and checked before they count."""
