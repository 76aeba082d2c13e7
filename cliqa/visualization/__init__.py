"""Figures drawn from the written artefacts of a run."""
