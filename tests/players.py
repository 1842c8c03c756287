"""Q-networks that play without having learned."""

import numpy as np


def linear(weights, worth):
    """A Q-network whose values are weights @ observation times ``worth``, one number for each action."""
    both = np.outer(weights, worth)
    identity = np.eye(len(weights))
    net = {"W1": np.hstack([identity, -identity]), "b1": np.zeros(2 * len(weights))}
    return {key: x.astype(np.float32) for key, x in (net | {"W2": np.vstack([both, -both]), "b2": 0 * both[0]}).items()}


PLAYERS = {  # whose episodes take 39 to 62 steps, and 72 to 95
    "CartPole-v1": linear([0, 0, 1, 0], [-1, 1]),
    "Acrobot-v1": linear([0, 0, 0, 0, 0, 1], [-1, 0, 1]),
}
