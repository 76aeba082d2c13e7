"""Self-supervised pretraining on images without scores."""
