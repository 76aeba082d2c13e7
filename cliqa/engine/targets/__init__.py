"""What a stream's samples are labelled with, and all that depends on it."""
