"""Metric plugins for Avalanche over the measures of `cliqa.evaluation`, and Avalanche's own."""
