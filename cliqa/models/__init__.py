"""Models: backbones, necks, heads and their assembly."""
