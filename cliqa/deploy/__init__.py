"""Models made smaller and faster, and measured."""
