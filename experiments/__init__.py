"""Scripts that each answer a question: flags in, a run directory or a result file out."""
