"""Necks that turn feature maps into vectors."""
