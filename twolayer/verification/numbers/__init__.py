"""What the verifier computes in: balls of real numbers, what a float literal means, and constants read off a ratio."""
