"""The search for a good learning rate, and for other hyperparameters.

- ``range_test``   a rate that rises in one short run
- ``space``        what may be searched: dimensions, their draws and grids
- ``strategies``, ``population``, ``workers``  population based training: whom to copy and what to try; in step; each
  member in its own time, on a simulated clock or as processes
"""
