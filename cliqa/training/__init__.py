"""Training: strategies, plugins, optimisation."""
