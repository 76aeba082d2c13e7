"""Another model teaches: the earlier one of the stream, or one that was trained before.

A teacher is frozen and stays in evaluation mode; it is part of the state.
"""
