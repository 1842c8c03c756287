"""The search for a good learning rate, and for other hyperparameters.

- ``range_test``   a rate that rises in one short run
- ``space``        what may be searched: dimensions, their draws and grids
- ``search``  what a search asks and costs, and its file; grid, random and quasi-random search
- ``halving``, ``stopping``, ``tpe``  successive halving, Hyperband and ASHA; trainings that end early when they are
  worse than the median; a search that learns from its losses
- ``optuna``, ``hyperopt``  those libraries' searches, asked and told like ours
- ``strategies``, ``population``, ``workers``  population based training: whom to copy and what to try; in step; each
  member in its own time, on a simulated clock or as processes
- ``spread``  a stack on all cores of a machine
- ``ray``  the same tasks on a cluster, by Ray Tune; only this file imports it
- ``python -m lib.search``  the command line of searches and populations
"""
