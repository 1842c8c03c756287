"""A deep Q-network (DQN) from scratch: an agent that learns what its actions are worth from what it has lived through.

    worlds = Worlds("CartPole-v1", 8, seed=0)
    agent = Agent(dense_layers([4, 64, 64, 2], he, seed=0), Optimizer(adam, lr=0.001))
    memory = ReplayBuffer(10_000, 4)
    for step in range(3000):
        memory.add(worlds.step(explore(agent.values(worlds.observations), epsilon, rng)))
        agent.learn(memory.sample(128, rng))

The environments are Gymnasium's; the rest is here. Any rule of ``lib.optimizers`` is dropped in through `Optimizer`;
whatever else has its ``step(params, grads)`` will do.

Source: Mnih et al. 2015, doi 10.1038/nature14236, Algorithm 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium
import numpy as np

from lib.checks import COUNT, FACTOR, check_range
from lib.networks import forward, huber, relu, value_and_grad

UNIT_INTERVAL = ("a number in [0, 1]", lambda v: 0 <= v <= 1)


class Transitions(NamedTuple):
    """Steps of an agent, one a row.

    Attributes:
        observations: float32 (n, inputs), what it saw.
        actions: int64 (n,), what it did.
        rewards: float32 (n,), what it got.
        next_observations: float32 (n, inputs), what it saw then.
        terminated: bool (n,), whether there is nothing more to get. An episode that is only cut off by a limit of time
            is not terminated: what it would have got later counts.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray


class ReplayBuffer:
    """The last transitions, in a ring: a new one takes the place of the oldest.

    Args:
        capacity: how many it holds.
        inputs: entries of an observation.

    Raises:
        TypeError, ValueError: one is not a whole number >= 1.
    """

    def __init__(self, capacity: int, inputs: int):
        n = check_range(COUNT, "capacity", capacity, "ReplayBuffer")
        seen = (n, check_range(COUNT, "inputs", inputs, "ReplayBuffer"))
        real, whole = np.float32, np.int64
        self._ring = Transitions(*map(np.zeros, (seen, n, n, seen, n), (real, whole, real, real, bool)))
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, len(self._ring.actions))

    def add(self, transitions: Transitions) -> None:
        """Keep these, in their order.

        Raises:
            ValueError: there are more than it holds, or their shapes are wrong. Nothing is kept then.
        """
        n, capacity = len(transitions.actions), len(self._ring.actions)
        if n > capacity:
            raise ValueError(f"ReplayBuffer.add: {n} transitions do not fit into a capacity of {capacity}; enlarge it.")
        for name, kept, new in zip(Transitions._fields, self._ring, transitions, strict=True):
            if np.shape(new) != (n, *kept.shape[1:]):
                wanted = (n, *kept.shape[1:])
                raise ValueError(f"ReplayBuffer.add: {name} must have shape {wanted}, got {np.shape(new)}.")
        at = (self.added + np.arange(n)) % capacity
        for kept, new in zip(self._ring, transitions, strict=True):
            kept[at] = new
        self.added += n

    def sample(self, size: int, rng: np.random.Generator) -> Transitions:
        """``size`` transitions, each drawn uniformly from all that are held; one may come twice.

        Raises:
            TypeError, ValueError: ``size`` is not a whole number >= 1, or none is held yet.
        """
        check_range(COUNT, "size", size, "ReplayBuffer.sample")
        if not self.added:
            raise ValueError("ReplayBuffer.sample: there is no transition yet; add some first.")
        drawn = rng.integers(len(self), size=size)
        return Transitions(*(kept[drawn] for kept in self._ring))


def q_values(params, observations):
    """What each action is worth: (n, actions), from observations (n, inputs). ReLUs between the layers."""
    return forward(params, observations, relu)[-1]


def q_targets(params, target_params, transitions: Transitions, discount: float, double: bool = True) -> np.ndarray:
    """What the taken actions should be worth: the reward, and the discounted worth of the best next action, if any.

    The target network says what that action is worth. Which it is, the target network says too, or, if ``double``, the
    network that learns: an action that one of them overrates by chance is then seldom chosen by the other.

    Returns:
        (n,), in the dtype of the parameters.

    Source: Mnih et al. 2015, doi 10.1038/nature14236, Algorithm 1; double: van Hasselt et al. 2016, arXiv 1509.06461,
    equation 4.
    """
    later = q_values(target_params, transitions.next_observations)
    chosen = (q_values(params, transitions.next_observations) if double else later).argmax(axis=1)
    best = later[np.arange(len(chosen)), chosen]
    return transitions.rewards + discount * np.where(transitions.terminated, 0, best)


def td_loss(params, transitions: Transitions, targets):
    """How far the worth of the taken actions is from the targets: `lib.networks.huber`, the mean over the batch."""
    taken = np.arange(len(targets)), transitions.actions
    return huber(q_values(params, transitions.observations)[taken], targets)


def explore(values: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """The action of the largest value for each row, or, with probability ``epsilon``, any, all equally likely.

    Args:
        values: (n, actions).

    Raises:
        TypeError, ValueError: ``epsilon`` is not in [0, 1].
    """
    check_range(UNIT_INTERVAL, "epsilon", epsilon, "explore")
    n, actions = values.shape
    return np.where(rng.random(n) < epsilon, rng.integers(actions, size=n), values.argmax(axis=1))


class Agent:
    """A Q-network that learns, and the older copy of it, the target network, that says what it should learn.

    Args:
        params: of a fully connected net, as `lib.networks.dense_layers` makes them.
        optimizer: what steps them: `lib.optimizers.Optimizer`, or anything with its ``step``.
        discount: gamma, what a reward is worth if it comes a step later.
        copy_every: after so many updates the network is copied to the target network.
        double: see `q_targets`.

    Attributes:
        params, target_params, updates: as they are now. Whoever keeps them, and the optimizer's state, can go on.

    Raises:
        TypeError, ValueError: ``discount`` is not in (0, 1], or ``copy_every`` not a whole number >= 1.
    """

    def __init__(self, params: dict, optimizer, discount: float = 0.99, copy_every: int = 100, double: bool = True):
        self.discount = check_range(FACTOR, "discount", discount, "Agent")
        self.copy_every = check_range(COUNT, "copy_every", copy_every, "Agent")
        self.params = self.target_params = params
        self.optimizer, self.double, self.updates = optimizer, double, 0

    def values(self, observations) -> np.ndarray:
        """What each action is worth to it: (n, actions)."""
        return q_values(self.params, observations)

    def learn(self, transitions: Transitions) -> float:
        """One update; returns the loss before it.

        Raises:
            FloatingPointError: the loss is not finite, or the step would not be; nothing has changed.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            targets = q_targets(self.params, self.target_params, transitions, self.discount, self.double)
            loss, grads = value_and_grad(lambda params: td_loss(params, transitions, targets))(self.params)
        if not np.isfinite(loss):
            raise FloatingPointError(f"Agent.learn: the loss is {loss} after {self.updates} updates; lower the rate.")
        self.params = self.optimizer.step(self.params, grads)
        self.updates += 1
        if self.updates % self.copy_every == 0:
            self.target_params = self.params  # a step makes new arrays, so this is a copy
        return loss


# Environments


def side_by_side(name: str, n: int) -> gymnasium.vector.VectorEnv:
    """``n`` environments of Gymnasium that take a step together: written for that, if there are such."""
    mode = "vector_entry_point" if gymnasium.spec(name).vector_entry_point else "sync"
    return gymnasium.make_vec(name, num_envs=n, vectorization_mode=mode)


class Worlds:
    """Environments side by side, each beginning a new episode after its end, that can be gone on with.

    An environment cannot be saved, but it does the same again: its seed and the actions are its state.

    Args:
        name: of the environment, in Gymnasium.
        n: how many.
        seed: of their starts.

    Attributes:
        observations: float32 (n, inputs), what there is to be seen now.
        actions: list of arrays (n,), all so far.
    """

    def __init__(self, name: str, n: int, seed: int):
        self._environments = side_by_side(name, n)
        self.observations, _ = self._environments.reset(seed=seed)
        self.actions: list[np.ndarray] = []
        self._ended = np.zeros(n, dtype=bool)

    def step(self, actions: np.ndarray) -> Transitions:
        """Do an action in each. Where an episode had ended, the action counts for nothing: the next one begins, and
        there is no transition from the one to the other."""
        before, going = self.observations, ~self._ended
        self.observations, rewards, terminated, truncated, _ = self._environments.step(actions)
        self._ended = terminated | truncated
        self.actions.append(actions)
        steps = Transitions(before, actions, rewards, self.observations, terminated)
        return Transitions(*(them[going] for them in steps))


class Episodes(NamedTuple):
    """How episodes went.

    Attributes:
        returns: float64 (episodes,), the sum of the rewards of each, not discounted.
        observations: list of float32 (steps + 1, inputs), what was seen, to the last.
        actions: list of int64 (steps,).
        terminated: bool (episodes,); if not, it was the limit of time that ended it.
    """

    returns: np.ndarray
    observations: list[np.ndarray]
    actions: list[np.ndarray]
    terminated: np.ndarray


def greedy_episodes(params, name: str, episodes: int, seed: int) -> Episodes:
    """One episode from each of so many starts, always doing what is worth most.

    Args:
        params: of the Q-network.
        name: of the environment, in Gymnasium.
        seed: of the starts; the same seed, the same starts.
    """
    worlds = side_by_side(name, episodes)
    observations, _ = worlds.reset(seed=seed)
    seen, done, going = [observations], [], [np.ones(episodes, dtype=bool)]
    returns, fell = np.zeros(episodes), np.zeros(episodes, dtype=bool)
    while going[-1].any():
        done.append(q_values(params, observations).argmax(axis=1))
        observations, rewards, terminated, truncated, _ = worlds.step(done[-1])
        returns += np.where(going[-1], rewards, 0)
        fell |= going[-1] & terminated
        going.append(going[-1] & ~(terminated | truncated))
        seen.append(observations)
    lengths = np.sum(going, axis=0)
    of = lambda steps, n, i: np.array([them[i] for them in steps[:n]])
    return Episodes(
        returns,
        [of(seen, n + 1, i) for i, n in enumerate(lengths)],
        [of(done, n, i) for i, n in enumerate(lengths)],
        fell,
    )


def replay(name: str, seed: int, actions: Sequence[int]) -> np.ndarray:
    """What is seen in one episode of these actions: float32 (steps + 1, inputs).

    Raises:
        ValueError: the episode ends before the last action.
    """
    worlds = Worlds(name, 1, seed)
    seen = [worlds.observations[0]]
    for t, action in enumerate(actions):
        if not len(worlds.step(np.array([action])).actions):
            raise ValueError(f"replay: the episode ends after {t} of the {len(actions)} actions; are they of it?")
        seen.append(worlds.observations[0])
    return np.array(seen)
