"""How a trained network is executed: number type, memory layout, compiler, batches of 8 bits.

The room knows nothing of files or data sets: it takes networks and preprocessings, and returns
functions. What these changes do to the scores is measured by `agreement`.
"""
