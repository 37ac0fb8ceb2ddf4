"""From invoice lines to exactly one right invoice in Stripe: the outbox, its states and its requests."""
