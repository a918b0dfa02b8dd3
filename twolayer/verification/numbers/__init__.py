"""Number systems for the interpreter, one a module."""
