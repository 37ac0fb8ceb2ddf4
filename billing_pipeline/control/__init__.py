"""The control database: what was landed and materialized, which rules were used, the Stripe outbox."""
