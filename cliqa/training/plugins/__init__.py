"""Strategy plugins: one continual-learning method a file."""
