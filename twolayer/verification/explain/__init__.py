"""Where a wrong derivation goes wrong, and why."""
