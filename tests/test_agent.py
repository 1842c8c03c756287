"""The agent remembers what happened, aims at what the papers say, learns as PyTorch would, and can be gone on with."""

from collections import deque

import gymnasium
import numpy as np
import pytest
import torch

from lib.agent import (
    Agent,
    ReplayBuffer,
    Transitions,
    Worlds,
    explore,
    greedy_episodes,
    q_targets,
    q_values,
    replay,
    td_loss,
)
from lib.networks import dense_layers, he, value_and_grad
from lib.optimizers import Optimizer, adam, centered_rmsprop, gradient_descent, momentum, rmsprop
from tests.networks.frameworks import ours, same, torchs
from tests.players import PLAYERS

EPS = np.finfo(np.float64).eps


def transitions(n, seed=0, inputs=4, actions=2):
    rng = np.random.default_rng(seed)
    seen = rng.normal(size=(2, n, inputs)).astype(np.float32)
    return Transitions(seen[0], rng.integers(actions, size=n), rng.normal(size=n).astype(np.float32), seen[1],
                       rng.random(n) < 0.3)  # fmt: skip


def rows(these):
    """Each transition as a text: floats are written to the last bit."""
    return [str([np.asarray(it).tolist() for it in row]) for row in zip(*these, strict=True)]


def some(these, which):
    return Transitions(*(it[which] for it in these))


# ---------- what is remembered ----------


def test_the_ring_holds_the_last_transitions():
    these, ring, plain = transitions(400), ReplayBuffer(37, 4), deque(maxlen=37)
    rng, start = np.random.default_rng(1), 0
    while start < 400:
        n = rng.integers(0, 38)
        now = some(these, slice(start, start + n))
        ring.add(now)
        plain.extend(rows(now))
        start += n
        assert len(ring) == len(plain)
        if plain:
            drawn = rows(ring.sample(2000, rng))
            assert set(drawn) == set(plain)  # one of 37 is missed by 2,000 draws with probability 37 e-54
    assert ring.added == 400


def test_draws_are_uniform():
    """Each of 50 rows is drawn 2,000 ± 44 times of 100,000; five standard deviations."""
    ring, n = ReplayBuffer(50, 1), 120
    zeros = np.zeros((n, 1), dtype=np.float32)
    ring.add(Transitions(zeros[:20], np.arange(20), zeros[:20, 0], zeros[:20], zeros[:20, 0] > 0))
    for start in 20, 70:
        part = slice(start, start + 50)
        ring.add(Transitions(zeros[part], np.arange(n)[part], zeros[part, 0], zeros[part], zeros[part, 0] > 0))
    numbers, counts = np.unique(ring.sample(100_000, np.random.default_rng(2)).actions, return_counts=True)
    assert numbers.tolist() == list(range(70, 120))
    assert abs(counts - 2000).max() < 5 * np.sqrt(2000 * 0.98)


def test_a_refused_transition_leaves_the_ring_as_it_was():
    ring = ReplayBuffer(10, 4)
    ring.add(transitions(5))
    kept = rows(ring.sample(50, np.random.default_rng(0)))
    for wrong, words in [
        (transitions(11), "11 transitions do not fit into a capacity of 10; enlarge it"),
        (transitions(3, inputs=5), r"observations must have shape \(3, 4\), got \(3, 5\)"),
        (transitions(3)._replace(rewards=np.zeros((3, 1))), r"rewards must have shape \(3,\), got \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            ring.add(wrong)
        assert rows(ring.sample(50, np.random.default_rng(0))) == kept


# ---------- what it aims at ----------


def nets(actions=2, dtype=np.float64):
    return [dense_layers([4, 16, 16, actions], he, seed, dtype=dtype) for seed in (0, 1)]


@pytest.mark.parametrize("double", [False, True])
def test_targets_are_those_of_the_papers(double):
    """Written out, one transition after the other."""
    params, target = nets(actions=3)
    these = transitions(60, actions=3)
    expected, differ = [], 0
    for _, _, reward, later, terminated in zip(*these, strict=True):
        theirs, own = q_values(target, later[None])[0], q_values(params, later[None])[0]
        differ += theirs.argmax() != own.argmax()
        worth = theirs[own.argmax()] if double else theirs.max()
        expected.append(reward if terminated else reward + 0.9 * worth)
    assert differ > 10  # or the two would be one
    found = q_targets(params, target, these, 0.9, double)
    # Sums of 16 products, in another order: 16 roundings in each of three layers, of numbers below 10.
    np.testing.assert_allclose(found, expected, rtol=0, atol=3 * 16 * 10 * EPS)
    assert (found[these.terminated] == these.rewards[these.terminated]).all()


def test_what_is_only_cut_off_counts_on():
    """The same step, terminated or not: only the limit of time may leave something to come."""
    params, target = nets()
    these = transitions(8)
    cut = q_targets(params, target, these._replace(terminated=np.zeros(8, bool)), 0.9)
    over = q_targets(params, target, these._replace(terminated=np.ones(8, bool)), 0.9)
    assert (over == these.rewards).all()
    assert (cut != over).all()


def test_the_dtype_is_that_of_the_net():
    for dtype in np.float32, np.float64:
        params, target = nets(dtype=dtype)
        these = transitions(8)
        targets = q_targets(params, target, these, 0.99)
        _, grads = value_and_grad(lambda p, y=targets, it=these: td_loss(p, it, y))(params)
        assert {targets.dtype, *(g.dtype for g in grads.values())} == {np.dtype(dtype)}


# ---------- as PyTorch does it ----------


def torch_values(tensors, x):
    x = torch.as_tensor(x).double()
    for layer in 1, 2:
        x = torch.relu(x @ tensors[f"W{layer}"] + tensors[f"b{layer}"])
    return x @ tensors["W3"] + tensors["b3"]


def torch_loss(tensors, target, these, discount=0.9):
    with torch.no_grad():
        theirs = {name: torch.as_tensor(x) for name, x in target.items()}
        chosen = torch_values(tensors, these.next_observations).argmax(1, keepdim=True)
        later = torch_values(theirs, these.next_observations).gather(1, chosen)[:, 0]
        y = torch.as_tensor(these.rewards) + discount * later * ~torch.as_tensor(these.terminated)
    taken = torch_values(tensors, these.observations).gather(1, torch.as_tensor(these.actions)[:, None])[:, 0]
    return torch.nn.functional.huber_loss(taken, y)


def test_loss_and_gradients_are_torchs():
    params, target = nets()
    these = transitions(128)
    targets = q_targets(params, target, these, 0.9)
    assert 0 < (abs(targets) > 1).mean() < 1  # both sides of the clip
    mine = ours(lambda p: td_loss(p, these, targets), params)
    same(mine, torchs(lambda tensors: torch_loss(tensors, target, these), params))


class Torch:
    """An optimizer of PyTorch, in the place of ours."""

    def __init__(self, kind, **hyperparameters):
        self.make, self.tensors, self.optimizer = lambda them: kind(them, **hyperparameters), None, None

    def step(self, params, grads):
        if self.tensors is None:
            self.tensors = {name: torch.tensor(x) for name, x in params.items()}
            self.optimizer = self.make(self.tensors.values())
        for name, tensor in self.tensors.items():
            tensor.grad = torch.tensor(grads[name])
        self.optimizer.step()
        return {name: tensor.numpy().copy() for name, tensor in self.tensors.items()}


PAIRS = {
    "gradient_descent": (Optimizer(gradient_descent, lr=0.1), Torch(torch.optim.SGD, lr=0.1)),
    "momentum": (Optimizer(momentum, lr=0.01), Torch(torch.optim.SGD, lr=0.01, momentum=0.9)),
    "rmsprop": (Optimizer(rmsprop, lr=0.001, eps=1e-3), Torch(torch.optim.RMSprop, lr=0.001, alpha=0.9, eps=1e-3)),
    "adam": (Optimizer(adam, lr=0.001, eps=1e-3), Torch(torch.optim.Adam, lr=0.001, eps=1e-3)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_updates_are_those_of_a_loop_in_torch(name):
    """40 updates with four copies, by our rule, and by PyTorch's optimizer in its place: both end where a loop that is
    PyTorch throughout ends. An update errs by some 100 roundings of the largest weight, as one gradient does above;
    40 add up, and as long as the path is no chaos, 25 times that is a wide margin."""
    start, _ = nets()
    mine, dropped = (Agent(start, it, discount=0.9, copy_every=10) for it in PAIRS[name])
    tensors = {key: torch.tensor(x, requires_grad=True) for key, x in start.items()}
    theirs, target = PAIRS[name][1].make(tensors.values()), start
    for update in range(40):
        these = transitions(32, seed=update)
        theirs.zero_grad()
        loss = torch_loss(tensors, target, these)
        loss.backward()
        theirs.step()
        assert abs(mine.learn(these) - loss.item()) <= 100_000 * EPS
        assert abs(dropped.learn(these) - loss.item()) <= 100_000 * EPS
        if update % 10 == 9:
            target = {key: x.detach().numpy().copy() for key, x in tensors.items()}
    for key, x in tensors.items():
        assert abs(start[key] - x.detach().numpy()).max() > 1e-3  # it went somewhere
        for agent in mine, dropped:
            np.testing.assert_allclose(agent.params[key], x.detach().numpy(), rtol=0, atol=100_000 * EPS)


def test_rmsprop_as_published():
    """The update of the authors' program, written out: eps within the root, no momentum, the gradient a sum over the
    batch. With the mean over a batch of B it is the same rule, with eps / B**2."""
    rng = np.random.default_rng(0)
    x, mean, square = rng.normal(size=5), np.zeros(5), np.zeros(5)
    summed = Optimizer(centered_rmsprop, lr=0.00025, rho=0.95, momentum=0.0, eps=0.01)
    averaged = Optimizer(centered_rmsprop, lr=0.00025, rho=0.95, momentum=0.0, eps=0.01 / 32**2)
    a = b = {"x": x}
    for _ in range(50):
        g = rng.normal(size=5) * 10.0 ** rng.integers(-4, 1)
        mean, square = 0.95 * mean + 0.05 * g, 0.95 * square + 0.05 * g**2
        x = x - 0.00025 * g / np.sqrt(square - mean**2 + 0.01)
        a, b = summed.step(a, {"x": g}), averaged.step(b, {"x": g / 32})
    # 50 steps below 0.01, each with some 10 roundings of its own and one of x, below 4.
    np.testing.assert_allclose(a["x"], x, rtol=0, atol=50 * 5 * EPS)
    np.testing.assert_allclose(b["x"], x, rtol=0, atol=50 * 5 * EPS)


def test_the_target_network_is_the_network_of_the_last_copy():
    agent = Agent(nets()[0], Optimizer(adam, lr=0.01), copy_every=7)
    for update in range(1, 30):
        was = agent.target_params
        agent.learn(transitions(16, seed=update))
        assert agent.updates == update
        assert agent.target_params is (agent.params if update % 7 == 0 else was)


def test_an_update_that_diverges_is_refused():
    agent = Agent(nets()[0], Optimizer(adam, lr=0.01))
    agent.params = agent.params | {"b3": np.array([np.inf, 0.0])}
    before = agent.params
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) after 0 updates; lower the rate"):
        agent.learn(transitions(16))
    assert agent.params is before
    assert (agent.updates, agent.optimizer.t) == (0, 0)


# ---------- what it does ----------


def test_exploring():
    """Of 3 actions, 20,000 times; five standard deviations."""
    values = np.tile([0.0, 2.0, 1.0], (20_000, 1))
    for epsilon in 0.0, 0.3, 1.0:
        found = explore(values, epsilon, np.random.default_rng(0))
        for action, share in enumerate([epsilon / 3, 1 - 2 * epsilon / 3, epsilon / 3]):
            assert abs((found == action).mean() - share) <= 5 * np.sqrt(share * (1 - share) / 20_000)


def balance(seen):
    """Keeps the pole up for as long as there is time."""
    return (seen @ [0.1, 0.3, 1.0, 0.5] > 0).astype(int)


def swing(seen):
    """Torque along the motion of the second joint: the tip comes up."""
    return np.where(seen[:, 5] > 0, 2, 0)


GAMES = {"CartPole-v1": (balance, 2), "Acrobot-v1": (swing, 3)}


def inside(worlds):
    """The state of each environment, in full precision."""
    them = worlds._environments.unwrapped
    return list(them.state.T) if hasattr(them, "state") else [it.unwrapped.state for it in them.envs]


@pytest.mark.parametrize("name", GAMES)
def test_transitions_are_those_of_single_environments(name):
    """To the bit: what was seen, got, and how it ended. Two of four play well, two at random."""
    play, actions = GAMES[name]
    worlds, rng = Worlds(name, 4, seed=5), np.random.default_rng(5)
    singles, ends = [gymnasium.make(name) for _ in range(4)], {"terminated": 0, "truncated": 0}

    def begin(i):
        singles[i].reset()
        singles[i].unwrapped.state = np.array(inside(worlds)[i])
        return False

    ended = [begin(i) for i in range(4)]
    for _ in range(1100):
        seen = worlds.observations
        chosen = np.where(np.arange(4) < 2, play(seen), rng.integers(actions, size=4))
        found, expected = worlds.step(chosen), []
        for i, single in enumerate(singles):
            if ended[i]:
                ended[i] = begin(i)
                continue
            after, reward, terminated, truncated, _ = single.step(chosen[i])
            expected.append((seen[i], chosen[i], reward, after, terminated))
            ends["terminated"] += terminated
            ends["truncated"] += truncated and not terminated
            ended[i] = terminated or truncated
        assert rows(found) == rows(zip(*expected, strict=True) if expected else [])
    assert ends["terminated"] >= 3
    assert ends["truncated"] >= 2


@pytest.mark.parametrize("name", GAMES)
def test_a_world_is_its_seed_and_its_actions(name):
    first, rng = Worlds(name, 3, seed=8), np.random.default_rng(8)
    for _ in range(600):
        first.step(rng.integers(2, size=3))
    second = Worlds(name, 3, seed=8)
    for actions in first.actions:
        second.step(actions)
    for _ in range(100):
        actions = rng.integers(2, size=3)
        assert rows(first.step(actions)) == rows(second.step(actions))
    assert Worlds(name, 3, seed=9).observations.tolist() != Worlds(name, 3, seed=8).observations.tolist()


@pytest.mark.parametrize("name", GAMES)
def test_greedy_episodes_are_those_of_single_environments(name):
    worlds, params = Worlds(name, 5, seed=3), PLAYERS[name]
    found = greedy_episodes(params, name, 5, seed=3)
    assert max(found.returns) - min(found.returns) > 10
    for i, state in enumerate(inside(worlds)):
        single = gymnasium.make(name)
        single.reset()
        single.unwrapped.state = np.array(state)
        seen, total, over = [worlds.observations[i]], 0.0, False
        for action in found.actions[i]:
            # The product of one row may round as that of five does not: only near ties may another action be best.
            values = q_values(params, seen[-1][None])[0]
            assert values[action] >= values.max() - 100 * np.finfo(np.float32).eps * abs(values).max()
            assert not over
            after, reward, terminated, truncated, _ = single.step(action)
            seen.append(after)
            total, over = total + reward, terminated or truncated
        assert over
        assert found.terminated[i] == terminated
        assert found.returns[i] == total
        assert found.observations[i].tolist() == np.array(seen).tolist()


def test_an_episode_is_replayed():
    params = dense_layers([4, 16, 2], he, seed=2, dtype=np.float32)
    (episode,), (actions,) = greedy_episodes(params, "CartPole-v1", 1, seed=4)[1:3]
    assert replay("CartPole-v1", 4, actions.tolist()).tolist() == episode.tolist()
    assert len(replay("CartPole-v1", 4, actions[:3])) == 4
    with pytest.raises(ValueError, match=f"ends after {len(actions)} of the {len(actions) + 1} actions"):
        replay("CartPole-v1", 4, [*actions, 0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ReplayBuffer(0, 4), "ReplayBuffer: capacity must be a whole number >= 1, got 0"),
        (lambda: ReplayBuffer(5, 0), "ReplayBuffer: inputs must be"),
        (lambda: ReplayBuffer(5, 4).sample(3, None), "no transition yet; add some first"),
        (lambda: ReplayBuffer(5, 4).sample(0, None), "size must be a whole number >= 1, got 0"),
        (lambda: explore(np.ones((1, 2)), 1.5, None), r"epsilon must be a number in \[0, 1\], got 1.5"),
        (lambda: Agent({}, None, discount=0), r"discount must be a number in \(0, 1\], got 0"),
        (lambda: Agent({}, None, copy_every=0), "copy_every must be a whole number >= 1, got 0"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
