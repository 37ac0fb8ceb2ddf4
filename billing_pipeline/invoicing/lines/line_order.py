"""The order in which an invoice is read: usage, fees, the terms around them, adjustments, then what pays for it."""

LINE_RANK = """CASE
    WHEN component = 'credit' THEN 8
    WHEN component = 'invoice_coupon' THEN 7
    WHEN kind = 'adjustment' THEN 6
    WHEN component = 'usage' THEN 0
    WHEN component = 'flat_fee' THEN 1
    WHEN component = 'discount' THEN 2
    WHEN component = 'minimum' THEN 3
    WHEN component = 'maximum' THEN 4
    ELSE 5
END"""
"""An SQL expression over `invoice_lines`, to order by before anything else of one invoice."""
