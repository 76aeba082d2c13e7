"""Small pieces without a domain: errors, atomic files, seeds, devices, checkpoints."""
