"""What stands around charges: discounts, minimums, maximums, coupons, credits, trials, proration."""
