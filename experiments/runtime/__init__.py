"""What a run needs: flags, jobs, the training loop, the run directory, checkpoints, figures, several processes."""
