"""What is written: calendar and message bytes, and the checks on them."""
