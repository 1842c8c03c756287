"""Two language models, character by character, trained with eight optimizers, each at several rates.

    python -m lib.experiments language
    python -m lib.experiments warm_ups

The text is the book's own prose (`lib.experiments.corpus`); the nets are those of `lib.networks.language`, at their
starts, and trained in PyTorch, in float32, with the rules of `lib.optimizers`. All gradients are clipped to norm 1. The
seed draws the start and the batches. The record, ``results/language.json``, has for each net, optimizer, rate and seed:

- ``train losses``, ``validation losses``: the mean over the last 50 batches, and over the text that is kept back, after
  every 50 steps, in nats a character;
- ``train loss``, ``validation loss``: the last of them;
- ``losses by frequency``: the last validation loss of the characters of each of five groups, the most frequent first;
- ``steps by frequency``: by how much a step changes an entry of the vectors of such characters: the root of the mean
  square, the mean over one step of every 50;
- ``sample``: of seed 0, 200 characters that the trained net writes, as their numbers.

``results/warm_ups.json`` has Adagrad and Adam in the Transformer again, after the warm-up that AdamW and Muon have.
"""

import functools
from functools import partial

import numpy as np

from lib.experiments import corpus
from lib.experiments.runs import Experiment, Run, chaotic
from lib.optimizers import RULES, Optimizer
from lib.schedules import constant, cosine, linear, warm_up

NETS = {"gru": {"units": 128}, "transformer": {"units": 96, "blocks": 2, "heads": 4}}
CONTEXT, BATCH, EVERY, GROUPS = 64, 32, 50, 5
RATES = {
    "gru": {
        "gradient_descent": (0.3, 1.0, 3.0, 10.0, 30.0),
        "momentum": (0.1, 0.3, 1.0, 3.0, 10.0),
        "adagrad": (0.01, 0.03, 0.1, 0.3, 1.0),
        "adadelta": (1.0, 3.0, 10.0, 30.0, 100.0),
        "rmsprop": (1e-3, 3e-3, 0.01, 0.03, 0.1),
        "adam": (1e-3, 3e-3, 0.01, 0.03, 0.1),
        "adamw": (3e-3, 0.01, 0.03, 0.1, 0.3),
        "muon": (0.01, 0.03, 0.1, 0.3, 1.0),
    },
    "transformer": {
        "gradient_descent": (0.1, 0.3, 1.0, 3.0, 10.0),
        "momentum": (0.03, 0.1, 0.3, 1.0, 3.0),
        "adagrad": (1e-3, 3e-3, 0.01, 0.03, 0.1),
        "adadelta": (0.1, 0.3, 1.0, 3.0, 10.0),
        "rmsprop": (1e-4, 3e-4, 1e-3, 3e-3, 0.01),
        "adam": (3e-4, 1e-3, 3e-3, 0.01, 0.03),
        "adamw": (1e-3, 3e-3, 0.01, 0.03, 0.1),
        "muon": (0.01, 0.03, 0.1, 0.3, 1.0),
    },
}
# AdamW and Muon warm up, then follow a cosine to 0; what Muon does not step, AdamW does, at this rate.
WARM_UP, DECAY, BESIDE_MUON = 40, 0.1, 0.03
PROMPT = "The learning rate "
WARMED = {"adagrad": (0.01, 0.03, 0.1), "adam": (3e-3, 0.01, 0.03)}
SMALL = {"transformer": {"gradient_descent": (1.0,), "adam": (3e-3,), "muon": (0.1,)}}


def jobs(seeds: int, small: bool) -> list[dict]:
    """Each net with each optimizer at each rate, seed 0 first; the small version has three runs of 50 steps."""
    nets, steps = (SMALL, EVERY) if small else (RATES, 400)
    return [
        {"net": net, "optimizer": name, "lr": lr, "steps": steps, "seed": seed}
        for seed in range(seeds)
        for net, optimizers in nets.items()
        for name, rates in optimizers.items()
        for lr in rates
    ]


def warmed_jobs(seeds: int, small: bool) -> list[dict]:
    """The Transformer with a warm-up to a constant rate, seed 0 first; the small version has 50 steps."""
    job = {"net": "transformer", "warm_up": WARM_UP, "steps": EVERY if small else 400}
    return [
        job | {"optimizer": name, "lr": lr, "seed": seed}
        for seed in range(seeds)
        for name, rates in WARMED.items()
        for lr in rates
    ]


data = functools.cache(corpus.characters)


@functools.cache
def groups():
    """The group of each character, by how often it occurs."""
    return corpus.frequency_groups(np.bincount(data().train, minlength=len(data().vocabulary)), GROUPS)


def net_of(name: str, seed: int):
    """A net of the experiment, in PyTorch, float32, as the seed starts it."""
    from lib.networks import language, language_torch

    vocabulary, sizes = len(data().vocabulary), NETS[name]
    if name == "transformer":
        net = language_torch.Transformer(vocabulary, CONTEXT, **sizes)
        params = language.transformer_layers(vocabulary, CONTEXT, sizes["units"], sizes["blocks"], seed)
    else:
        net = language_torch.Recurrent(name, vocabulary, **sizes)
        params = language.recurrent_layers(name, vocabulary, **sizes, seed=seed)
    language_torch.load(net, params)
    return net


def optimizers_of(job: dict, params: dict) -> list[tuple[list[str], Optimizer]]:
    """For each optimizer of a job, the names of what it steps: for Muon the matrices between the vectors of tokens and
    places and the layer of logits. Where a job has a ``warm_up``, the rate rises for so many steps, then stays."""
    name, lr = job["optimizer"], job["lr"]
    scheduled = partial(warm_up, steps=WARM_UP, shape=linear)
    falling = lambda lr: partial(scheduled, then=partial(cosine, lr=lr, steps=job["steps"] - WARM_UP))
    if name == "adamw":
        return [([*params], Optimizer(RULES[name], lr=falling(lr), weight_decay=DECAY))]
    if name != "muon":
        warmed = partial(warm_up, steps=job.get("warm_up"), shape=linear, then=partial(constant, lr=lr))
        return [([*params], Optimizer(RULES[name], lr=warmed if "warm_up" in job else lr))]
    hidden = [key for key, x in params.items() if x.ndim == 2 and key.split(".")[0] in ("cells", "blocks")]
    beside = Optimizer(RULES["adamw"], lr=falling(BESIDE_MUON), weight_decay=DECAY)
    muon = Optimizer(RULES[name], lr=falling(lr), weight_decay=DECAY)
    return [(hidden, muon), ([key for key in params if key not in hidden], beside)]


def losses_of(net, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each character of a text that is read in windows of the context, and those characters; (n,) each."""
    import torch
    from torch.nn.functional import cross_entropy

    n = (len(tokens) - 1) // CONTEXT * CONTEXT
    read, following = (torch.from_numpy(tokens[i : i + n].reshape(-1, CONTEXT)) for i in (0, 1))
    with torch.no_grad():
        losses = [cross_entropy(net(x)[0].flatten(0, 1), y.flatten(), reduction="none")
                  for x, y in zip(read.split(BATCH), following.split(BATCH), strict=True)]  # fmt: skip
    return torch.cat(losses).double().numpy(), following.flatten().numpy()


def batch(random: np.random.Generator):
    """Windows of the training text at random places, each a context and one more character: a tensor of whole numbers
    (batch, context + 1)."""
    import torch

    starts = random.integers(0, len(data().train) - CONTEXT, BATCH)
    return torch.from_numpy(data().train[starts[:, None] + np.arange(CONTEXT + 1)])


def step(net, optimizers: list[tuple[list[str], Optimizer]], windows) -> float:
    """The loss of a batch; then a step of what `optimizers_of` gave, by its gradients, clipped.

    Raises:
        FloatingPointError: they are not finite.
    """
    from torch.nn.functional import cross_entropy
    from torch.nn.utils import clip_grad_norm_

    logits, _ = net(windows[:, :-1])
    loss, params = cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()), dict(net.named_parameters())
    net.zero_grad()
    loss.backward()
    if not clip_grad_norm_(params.values(), 1.0).isfinite():
        raise FloatingPointError("the gradient is not finite")
    for names, optimizer in optimizers:
        grads = {name: params[name].grad for name in names}
        for name, x in optimizer.step({name: params[name].detach() for name in names}, grads).items():
            params[name].data = x
    return loss.item()


def train(job: dict, run: Run) -> dict:
    """The numbers of a job; None for those that a run that left the finite numbers does not have."""
    import torch

    torch.set_num_threads(1)  # several add up in other orders
    net, epochs = net_of(job["net"], job["seed"]), job["steps"] // EVERY
    optimizers = optimizers_of(job, dict(net.named_parameters()))
    random = np.random.default_rng([job["seed"], 1])
    found = {"train losses": [], "validation losses": [], "losses by frequency": [], "steps by frequency": []}
    if run.state:
        net.load_state_dict(run.state["net"])
        random, found = run.state["random"], run.state["found"]
        for (_, optimizer), (t, state) in zip(optimizers, run.state["optimizers"], strict=True):
            optimizer.t, optimizer.state = t, state

    for epoch in run.bar(epochs):
        losses = []
        try:
            for _ in range(EVERY):
                before = net.tokens.weight.detach()
                losses.append(step(net, optimizers, batch(random)))
        except FloatingPointError:
            break
        each, following = losses_of(net, data().validation)
        moved = (net.tokens.weight.detach() - before).double().pow(2).mean(dim=1).sqrt().numpy()
        found["train losses"].append(float(np.mean(losses)))
        found["validation losses"].append(float(each.mean()))
        found["losses by frequency"].append(corpus.mean_by_group(each, following, groups()))
        found["steps by frequency"].append(corpus.mean_by_group(moved, np.arange(len(moved)), groups()))
        run.log(epoch + 1, **{name: found[f"{name}es"][-1] for name in ("train loss", "validation loss")})
        kept = [(optimizer.t, optimizer.state) for _, optimizer in optimizers]
        run.keep(epoch, net=net.state_dict(), random=random, found=found, optimizers=kept)

    whole = len(found["train losses"]) == epochs
    nothing = [None] * GROUPS
    numbers = {f"{name} losses": found[f"{name} losses"] for name in ("train", "validation")}
    numbers |= {f"{name} loss": found[f"{name} losses"][-1] if whole else None for name in ("train", "validation")}
    numbers["losses by frequency"] = found["losses by frequency"][-1] if whole else nothing
    numbers["steps by frequency"] = np.mean(found["steps by frequency"], axis=0) if whole else nothing
    if job["seed"] == 0:
        numbers["sample"] = sample_of(net) if whole else []
    return numbers


def sample_of(net, temperature: float = 0.7, seed: int = 0) -> np.ndarray:
    """200 characters that a net writes after the words of `PROMPT`, as their numbers."""
    from lib.networks.language_torch import sample

    prompt = [data().vocabulary.index(character) for character in PROMPT]
    return sample(net, prompt, 200, temperature, seed)


LANGUAGE = Experiment(
    "language",
    "A recurrent net and a Transformer on the book's text, with eight optimizers, each at five rates.",
    cost="an hour and a quarter of one core",
    jobs=jobs,
    train=train,
    packages=("numpy", "torch"),
    seeds=3,
    tolerance=chaotic,
)

WARM_UPS = Experiment(
    "warm_ups",
    "The Transformer of the experiment on language with two of its optimizers, after a warm-up.",
    cost="six minutes of one core",
    jobs=warmed_jobs,
    train=train,
    packages=("numpy", "torch"),
    seeds=3,
    tolerance=chaotic,
)
