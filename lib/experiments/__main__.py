"""Experiments from the command line, each with its record in ``results/``; see `lib.experiments.runs`.

    python -m lib.experiments                       what there is, and what it costs
    python -m lib.experiments digits                train the jobs that the record lacks; after a kill, go on
    python -m lib.experiments digits --check 5      train five jobs of the record anew, and compare

Older ones have commands of their own: ``python -m lib.experiments.population``, ``python -m lib.experiments.searches``.
"""

import os

# Before libraries are loaded: several threads, or oneDNN, add up in other orders, to other last digits.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}

from lib.experiments.agent import AGENT
from lib.experiments.batches import LARGE_BATCHES
from lib.experiments.breeds import BREEDS
from lib.experiments.command import main
from lib.experiments.digits import DIGITS
from lib.experiments.language_model import LANGUAGE, WARM_UPS
from lib.experiments.words import WORDS

EXPERIMENTS = (DIGITS, BREEDS, AGENT, LANGUAGE, WARM_UPS, WORDS, LARGE_BATCHES)

if __name__ == "__main__":
    main(EXPERIMENTS)
