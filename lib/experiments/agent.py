"""What an agent learns by which optimizer: deep Q-networks on a cart with a pole, and on two links that must swing up.

    python -m lib.experiments agent

The record, ``results/agent.json``, has for each job, after every 800 steps (on Acrobot 1,600), the mean return of 20
greedy episodes from starts that are the same for all (``returns``), what the network expects at these starts
(``values``, discounted, in rewards as the environment gives them), and how many of the episodes ended before the limit
of time (``ended``); ``area`` is the mean of all returns, ``last`` that of the last five. The seed draws the net, the
episodes and the batches. Of seed 0 it also has what the agent did in one episode at the end (``actions``, see
`lib.agent.replay`).

A job may change what else decides how an agent learns: ``eps``, which keeps the divisor of an adaptive rule from zero;
``unit``, what a reward of 1 counts for; ``copy_every``, how many updates the target network stays. Ten seeds compare
the optimizers on the cart; all else has five.
"""

import html
import itertools

import numpy as np
from scipy.stats import trim_mean

from lib.agent import Agent, ReplayBuffer, Worlds, explore, greedy_episodes
from lib.checks import COUNT, SHARE, check_range
from lib.experiments.runs import Experiment, Run, chaotic
from lib.networks import dense_layers, he
from lib.optimizers import RULES, Optimizer

ACTIONS = {"CartPole-v1": 2, "Acrobot-v1": 3}
WORLDS, HIDDEN = 8, (64, 64)  # environments side by side; units
BATCH, UPDATES = 128, 4  # transitions an update; updates a step of all environments
STEPS = {"CartPole-v1": 24_000, "Acrobot-v1": 48_000}  # counted over all eight environments, as are the next
EVERY = {"CartPole-v1": 800, "Acrobot-v1": 1_600}  # it is measured
CAPACITY, FIRST = 10_000, 1_000
EXPLORED, EPSILON = 8_000, 0.05  # by then the share of actions at random has fallen from 1 to this
EPISODES, STARTS = 20, 1_000_000  # that measure an agent, and the seed of their starts

# RMSProp of Mnih et al. 2015, doi 10.1038/nature14236, extended data table 1, as their program has it: centered,
# without momentum, eps within the root, and the gradient a sum over a batch of 32. That of a mean is 32 times smaller.
PUBLISHED = {"optimizer": "centered_rmsprop", "lr": 0.00025, "eps": 0.01 / 32**2}
FIXED = {"centered_rmsprop": {"rho": 0.95, "momentum": 0.0}}

RATES = {
    "gradient_descent": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "momentum": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "rmsprop": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
    "centered_rmsprop": (2.5e-5, 8e-5, 2.5e-4, 8e-4, 2.5e-3, 8e-3),
    "adam": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
}
EPS = (1e-6, 1e-4, 1e-3, 1e-2)  # beside 1e-8, the rules' own
UNITS = (0.1, 1.0)  # beside 0.01, in which no return of a long life is above 1
COPIES = (25, 100, 400, 1600)
FEWER = 5  # seeds of all that does not compare the optimizers on the cart


def jobs(seeds: int, small: bool) -> list[dict]:
    """Each optimizer at each rate on each environment; then, on the cart alone, other units, eps and copies."""
    base = {"environment": "CartPole-v1", "optimizer": "adam", "lr": 1e-4, "eps": None, "unit": 0.01, "copy_every": 100}
    if small:
        return [base | {"steps": 4_000, "seed": seed} for seed in range(seeds)]
    few = _changes(base) + [it | {"environment": "Acrobot-v1"} for it in _rates()]
    settings = [_rates() + (few if seed < FEWER else []) for seed in range(seeds)]
    found = [base | it | {"seed": seed} for seed, its in enumerate(settings) for it in its]
    return [it | {"steps": STEPS[it["environment"]]} for it in found]


def _rates():
    """Each optimizer at each rate."""
    eps = {PUBLISHED["optimizer"]: PUBLISHED["eps"]}
    return [{"optimizer": name, "lr": lr, "eps": eps.get(name)} for name, rates in RATES.items() for lr in rates]


def _changes(base):
    """Other units, eps and copies, each once."""
    found = [PUBLISHED | {"unit": 1.0}, PUBLISHED | {"eps": 0.01}]
    for name, unit in itertools.product(("gradient_descent", "adam"), UNITS):
        found += [{"optimizer": name, "lr": lr, "unit": unit} for lr in RATES[name]]
    adaptive = ("adam", 1e-4), ("adam", 1e-3), ("rmsprop", 1e-4)  # a good rate, one too large, a good one
    found += [{"optimizer": name, "lr": lr, "eps": eps} for name, lr in adaptive for eps in EPS]
    found += [{"copy_every": copy_every} for copy_every in COPIES if copy_every != base["copy_every"]]
    return found


def optimizer_of(job: dict) -> Optimizer:
    """The rule of a job, at its rate, with its eps if it names one."""
    name, eps = job["optimizer"], {} if job["eps"] is None else {"eps": job["eps"]}
    return Optimizer(RULES[name], lr=job["lr"], **eps, **FIXED.get(name, {}))


def train(job: dict, run: Run) -> dict:
    """The numbers of a job.

    What is kept of the environments and of the replay buffer are the actions: done again, they bring back both.
    """
    name, unit = job["environment"], job["unit"]
    net, starts, draws = (int(it) for it in np.random.SeedSequence(job["seed"]).generate_state(3))
    worlds, rng = Worlds(name, WORLDS, starts), np.random.default_rng(draws)
    inputs = worlds.observations.shape[1]
    memory, optimizer = ReplayBuffer(CAPACITY, inputs), optimizer_of(job)
    params = dense_layers([inputs, *HIDDEN, ACTIONS[name]], he, net, dtype=np.float32)
    params["W3"] = 0 * params["W3"]  # it begins by expecting nothing: what it expected would fade by gamma a copy
    agent = Agent(params, optimizer, copy_every=job["copy_every"])
    measured, diverged = {"returns": [], "values": [], "ended": []}, False

    def live(actions):
        lived = worlds.step(actions)
        memory.add(lived._replace(rewards=lived.rewards * unit))

    if run.state:
        kept = run.state
        agent.params, agent.target_params, agent.updates = kept["params"], kept["target_params"], kept["updates"]
        optimizer.t, optimizer.state, rng = kept["t"], kept["optimizer"], kept["rng"]
        measured, diverged = kept["measured"], kept["diverged"]
        for actions in kept["actions"]:
            live(actions.astype(np.int64))
    for evaluation in run.bar(job["steps"] // EVERY[name], "evaluations"):
        for _ in range(EVERY[name] // WORLDS):
            step = len(worlds.actions) * WORLDS
            epsilon = float(np.interp(step, [FIRST, EXPLORED], [1, EPSILON]))
            live(explore(agent.values(worlds.observations), epsilon, rng))
            for _ in range(UPDATES if step >= FIRST and not diverged else 0):
                try:
                    agent.learn(memory.sample(BATCH, rng))
                except FloatingPointError:  # it goes on as it is, and learns no more
                    diverged = True
                    break
        episodes = greedy_episodes(agent.params, name, EPISODES, STARTS)
        values = agent.values(np.array([seen[0] for seen in episodes.observations])).max(axis=1)
        measured["returns"].append(float(episodes.returns.mean()))
        measured["values"].append(round(float(values.mean()) / unit, 3))
        measured["ended"].append(int(episodes.terminated.sum()))
        run.log((evaluation + 1) * EVERY[name], **{key: them[-1] for key, them in measured.items()})
        now = {"params": agent.params, "target_params": agent.target_params, "updates": agent.updates}
        now |= {"t": optimizer.t, "optimizer": optimizer.state, "rng": rng}
        now |= {"measured": measured, "diverged": diverged}
        run.keep(evaluation, **now, actions=np.array(worlds.actions, dtype=np.int8))
    area, last = np.mean(measured["returns"]), np.mean(measured["returns"][-5:])
    numbers = {"area": float(area), "last": float(last)} | measured
    if job["seed"] == 0:
        numbers["actions"] = greedy_episodes(agent.params, name, 1, STARTS).actions[0].tolist()
    return numbers


AGENT = Experiment(
    "agent",
    "Agents that learn by five optimizers, each at six rates, on two environments.",
    cost="two hours of one core",
    jobs=jobs,
    train=train,
    packages=("numpy", "gymnasium"),
    seeds=10,
    tolerance=chaotic,
)


# What a few runs say


def interquartile_mean(scores, axis=None):
    """The mean of the middle half: a quarter of the scores, rounded down, is left out at each end.

    Source: Agarwal et al. 2021, arXiv 2108.13264, section 4.3.
    """
    return trim_mean(scores, 0.25, axis=axis)


def interval(scores, level: float = 0.95, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Where the interquartile mean of other runs would lie: percentiles over runs that are drawn again.

    Args:
        scores: (runs,), or (tasks, runs): runs are drawn again within each task, with replacement.
        level: the share of draws within.
        draws: how many.
        seed: of them.

    Returns:
        float64 (2,): from, to.

    Raises:
        TypeError, ValueError: ``level`` is not in (0, 1), ``draws`` not a whole number >= 1, or there is no score.

    Source: Agarwal et al. 2021, arXiv 2108.13264, section 4.1, a stratified bootstrap.
    """
    check_range(SHARE, "level", level, "interval")
    check_range(COUNT, "draws", draws, "interval")
    scores = np.atleast_2d(np.asarray(scores, dtype=float))
    if not scores.size:
        raise ValueError(f"interval: there is no score in an array of shape {scores.shape}; pass some.")
    drawn = np.random.default_rng(seed).integers(scores.shape[1], size=(draws, *scores.shape))
    again = np.take_along_axis(scores[None], drawn, axis=2).reshape(draws, -1)
    return np.quantile(interquartile_mean(again, axis=1), [(1 - level) / 2, (1 + level) / 2])


# The agent, moving


def joints(name: str, observations: np.ndarray) -> np.ndarray:
    """Where the links begin and end: float64 (steps, points, 2), x to the right and y up, in meters.

    Of the cart: its middle, and the tip of the pole. Of the two links: the joint that hangs on the wall, the joint
    between them, and the tip.

    Raises:
        ValueError: the environment is another one.
    """
    o = np.asarray(observations, dtype=float)
    if name == "CartPole-v1":
        x, angle = o[:, 0], o[:, 2]
        points = [(x, 0 * x), (x + np.sin(angle), np.cos(angle))]
    elif name == "Acrobot-v1":
        cos1, sin1, cos2, sin2 = o[:, :4].T
        x, y = sin1, -cos1
        tip = x + sin1 * cos2 + cos1 * sin2, y - cos1 * cos2 + sin1 * sin2
        points = [(0 * x, 0 * y), (x, y), tip]
    else:
        raise ValueError(f"joints: the environment must be one of {', '.join(ACTIONS)}, got {name!r}.")
    return np.moveaxis(np.array(points), 2, 0)


# Of each environment: seconds that a step takes on the page, a box in meters (left, bottom, right, top), and lines that
# stay where they are: the track, or the height to reach.
STAGES = {
    "CartPole-v1": (0.02, (-2.6, -0.3, 2.6, 1.45), [(-2.4, -0.12, 2.4, -0.12)]),
    "Acrobot-v1": (0.1, (-2.2, -2.2, 2.2, 2.2), [(-2.0, 1.0, 2.0, 1.0)]),
}


def film(name: str, episodes: dict[str, tuple[np.ndarray, str]], about: str) -> str:
    """Episodes one below the other, as HTML with a picture that moves: it needs no network, and a button starts it.

    Until then it shows the first step and, pale, the last.

    Args:
        name: of the environment.
        episodes: label -> observations (steps + 1, inputs), and the color, as CSS has it. Each stays at its last step.
        about: what is to be seen, in words.

    Raises:
        ValueError: the environment is unknown.
    """
    seconds, (left, bottom, right, top), lines = STAGES.get(name) or joints(name, np.zeros((0, 6)))
    pixels, rows = 100, []
    width, height = pixels * (right - left), pixels * (top - bottom)
    place = lambda points: np.stack([points[..., 0] - left, top - points[..., 1]], -1) * pixels
    words = lambda points: " ".join(f"{x:.0f},{y:.0f}" for x, y in points)

    def moving(points, color, thick):
        steps = sorted({*range(0, len(points), max(1, round(0.05 / seconds))), len(points) - 1})
        poses = list(map(words, place(points[steps])))  # the browser draws what is between
        look, last = f'fill="none" stroke="{color}" stroke-width="{thick}"', seconds * (len(points) - 1)
        return (
            f'<polyline points="{poses[-1]}" {look} opacity="0.25"/><polyline points="{poses[0]}" {look}>'
            f'<animate attributeName="points" values="{";".join(poses)}" dur="{last:.2f}s" begin="indefinite" '
            'fill="freeze"/></polyline>'
        )

    for row, (label, (observations, color)) in enumerate(episodes.items()):
        links = joints(name, observations)
        parts = [
            f'<polyline points="{words(place(np.reshape(line, (2, 2))))}" stroke="#8c8c8c" stroke-dasharray="4 4"/>'
            for line in lines
        ]
        if name == "CartPole-v1":  # a cart under the pole
            parts.append(moving(links[:, :1] + [[-0.25, 0], [0.25, 0]], "#8c8c8c", 20))
        parts.append(moving(links, color, 8))
        parts.append(f'<text x="8" y="24" font-size="22" fill="{color}">{html.escape(label)}</text>')
        rows.append(f'<g transform="translate(0 {row * height:.0f})">{"".join(parts)}</g>')
    play = "for (const it of this.parentElement.querySelectorAll('animate')) it.beginElement()"
    return (
        f'<div class="film"><svg viewBox="0 0 {width:.0f} {height * len(rows):.0f}" style="max-width: {width:.0f}px" '
        f'role="img" aria-label="{html.escape(about)}" stroke-linecap="round">{"".join(rows)}</svg>'
        f'<button type="button" onclick="{play}">Play</button></div>'
    )
