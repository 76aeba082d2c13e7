"""Models of images and texts, and the texts themselves."""
