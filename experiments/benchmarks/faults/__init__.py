"""What `python -m experiments.benchmarks.endurance` consists of: runs that are killed, files that are damaged."""
