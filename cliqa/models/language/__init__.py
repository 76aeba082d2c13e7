"""Image-text models (CLIP-like), text encoders, and the candidate texts."""
