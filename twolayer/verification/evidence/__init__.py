"""Where a derivation is tested, and its values beside the right ones."""
