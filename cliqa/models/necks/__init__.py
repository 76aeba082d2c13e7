"""Necks of the HyperIQA family; mmpretrain's necks work too."""
