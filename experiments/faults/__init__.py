"""What `python -m experiments.endurance` consists of: runs that are killed, files that are damaged."""
