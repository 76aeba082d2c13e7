"""Training in several processes: batches that they share, gradients that they exchange.

A process loads its share of the inputs of every batch and puts it through the model. Outputs and
targets are exchanged, so losses and methods see the whole batch in every process, in the order of
one process; `DistributedDataParallel` averages the gradients. Equal inputs give equal results, and
so the processes hold the same weights, memories, masks and importances without sending them.
"""
