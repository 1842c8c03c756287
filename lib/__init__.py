"""What *Step Size* builds from scratch.

Imports run one way, from the top of this list to the bottom:

- ``referees``     drive torch.optim, tf.keras and optax over recorded gradients
- ``exercises``   the judges of the chapters' exercises
- ``experiments``  data sets, models and loops of the experiment chapters
- ``search``      ways to find a good learning rate, and other hyperparameters
- ``curvature``     steps that take a matrix of second derivatives
- ``agent``         a deep Q-network: what learns from what it has lived through
- ``stochastic_gradients``, ``training``, ``networks``, ``landscapes``, ``figures``  for all
- ``checkpoints``, ``data``, ``machine``  files, data sets, and what a record says of its machine
- ``breeds``, ``drawn_breeds``  120 breeds of dogs, photographed or drawn
- ``compiled``     the fast path: the same rules, as one kernel
- ``dialects``     the rules in which a framework differs from the paper
- ``optimizers``, ``schedules``  the ground floor: pure functions of arrays and numbers
- ``arrays``, ``checks``  square roots for any array library; clear errors for bad numbers
"""
