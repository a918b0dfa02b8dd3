"""What `python -m experiments.sweep` consists of: axes of a sweep, its jobs, the session, the tables and figures."""
