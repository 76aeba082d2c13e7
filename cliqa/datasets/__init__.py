"""Image quality data sets, read from their official files."""
