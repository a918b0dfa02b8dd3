"""Functions with their derivatives by hand, right as they stand; table.py says how each is made wrong."""
