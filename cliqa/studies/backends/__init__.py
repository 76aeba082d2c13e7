"""Where the runs of a study are started: as processes here, as Ray's tasks, or as jobs of SLURM.

A backend takes commands and says which has ended and how; what a run is, what its folder holds and
what a study makes of it is known to the rooms above alone.
"""
