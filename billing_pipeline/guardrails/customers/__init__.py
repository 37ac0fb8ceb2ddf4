"""The customers of the guard: what holds for whom by registry, rule books and policies, and the credit they have."""
