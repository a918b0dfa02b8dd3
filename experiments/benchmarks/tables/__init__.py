"""The tables of README and docs/, each written from committed result files in docs/results/."""
