"""What the compiled program computes, held against its own formula within a derived rounding bound."""
