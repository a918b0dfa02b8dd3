"""The derivation debugger: exact arithmetic, rounding bounds, location and causes of errors."""
