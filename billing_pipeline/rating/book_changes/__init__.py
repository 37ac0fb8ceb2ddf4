"""What two rule books say differently, value by value."""
