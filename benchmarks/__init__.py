"""What `invites` costs, beside what ordinary scripts cost; `make bench` runs them."""
