"""One run in several processes, as ``torchrun`` starts them: who is who, and what they exchange.

Every process goes through the same program with the same random numbers. They share the samples of
each batch, and exchange what follows from them; so all of them hold the same model and the same
state of a method, and the first one, the main process, writes the files. Without ``torchrun`` there
is one process, and everything here does nothing.
"""
