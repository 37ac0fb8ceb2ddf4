"""The client for products, and adapters that turn what providers report into usage events."""
