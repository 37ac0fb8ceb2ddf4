"""The control database: what was materialized, which rules were used, the Stripe outbox."""
