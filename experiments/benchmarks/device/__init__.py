"""What `experiments.benchmarks.accelerator` measures: one function a question, each called in a process of its own."""
