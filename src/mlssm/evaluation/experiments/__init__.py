"""What the experiments' trainings come to: the paper's table beside ours, the 2 x 2, and the leakage of splits."""
