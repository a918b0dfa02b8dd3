"""Published results on the two-layer network, one script each."""
