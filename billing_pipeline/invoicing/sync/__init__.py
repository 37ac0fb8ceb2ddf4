"""Our customers, plans and meters as Stripe objects: made once, kept as we have them, what is gone left alone."""
