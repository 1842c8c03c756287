"""Six optimizers on 120 breeds of dogs, in three nets: which rate is right, and who wins at one rate and at each's own.

    python -m lib.experiments breeds
    python -m lib.experiments breeds --device cuda --source tfds --size 128

Nets of PyTorch, batches of 64, no schedule. "plain" has three convolutions and a hidden layer, "pooled" the same
convolutions with batch normalization and global average pooling, "residual" is a small residual net. The record,
``results/breeds.json``, has for each job the mean loss and the accuracy on each of three `parts` of the images, before
the first epoch and after each; then, too, the share of the units before the last layer that are dead, that is, 0 for
every image of the part "test". All is measured over whole parts, with the running averages of batch normalization. The
seed draws the start and the batches; the data are the same for all. Where a loss is missing, the net's outputs are not
numbers, and its accuracy and its units mean nothing.

The images are drawn unless ``--source`` says otherwise: what is reached on them says nothing of photographs.
"""

import functools
import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.breeds import Breeds, breeds
from lib.checks import COUNT, check_range
from lib.experiments.runs import Experiment, Run, chaotic
from lib.networks import convolutional_layers, glorot, he
from lib.stochastic_gradients import batches

BATCH = 64
SMALLEST = 8
STARTS = {"he": he, "glorot": glorot, "pytorch": None}

# What a row has after the last epoch, and the list of it before the first epoch and after each.
PARTS = "train", "validation", "test"
SERIES = {f"{part} loss": f"{part} losses" for part in PARTS}
SERIES |= {f"{part} accuracy": f"{part} accuracies" for part in PARTS}

# By the book's names of the rules: torch.optim's, and what is not its default. Its defaults are: Adagrad eps 1e-10;
# RMSprop alpha 0.99, eps 1e-8; Adadelta rho 0.9, eps 1e-6; Adam betas 0.9 and 0.999, eps 1e-8.
OPTIMIZERS = {
    "gradient_descent": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {}),
    "adadelta": ("Adadelta", {}),
    "adam": ("Adam", {}),
}

# Around each optimizer's best rate, and 0.001 for all; for Adam also the rates of the source.
RATES = {
    "plain": {
        "gradient_descent": (0.001, 0.01, 0.03, 0.1, 0.3, 1.0),
        "momentum": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
        "adagrad": (0.001, 0.003, 0.01, 0.03, 0.1),
        "rmsprop": (1e-4, 3e-4, 0.001, 0.003, 0.01),
        "adadelta": (0.001, 0.1, 0.3, 1.0, 3.0, 10.0),
        "adam": (1e-4, 3e-4, 0.001, 0.003, 0.01),
    },
    "pooled": {
        "gradient_descent": (0.001, 0.1, 0.3, 1.0, 3.0),
        "momentum": (0.001, 0.03, 0.1, 0.3, 1.0),
        "adagrad": (0.001, 0.01, 0.03, 0.1, 0.3),
        "rmsprop": (3e-4, 0.001, 0.003, 0.01, 0.03),
        "adadelta": (0.001, 1.0, 3.0, 10.0, 30.0),
        "adam": (1e-4, 0.001, 0.003, 0.01, 0.03),
    },
    "residual": {
        "momentum": (0.001, 0.03, 0.1, 0.3, 1.0),
        "adam": (1e-4, 0.001, 0.003, 0.01, 0.03, 0.1),
    },
}


def jobs(seeds: int, small: bool, source: str, size: int) -> list[dict]:
    """Each net with each optimizer at each of its rates, and the plain net from other starts than He's, all with seed 0
    first. The small version: the plain net with Adam at the source's three rates, on few classes.

    Raises:
        ValueError: there is no such source, or images of this size are too small for the nets.
    """
    if source not in ("drawn", "tfds") and not Path(source).expanduser().is_dir():
        raise ValueError(f"--source must be 'drawn', 'tfds' or a folder with Stanford Dogs, got {source!r}.")
    if check_range(COUNT, "--size", size, "breeds") < SMALLEST:
        raise ValueError(f"--size must be at least {SMALLEST}, which three poolings make 1, got {size}.")
    if small:
        runs = [("plain", "he", "adam", lr) for lr in (1e-4, 0.001, 0.01)]
    else:
        runs = [(net, "he", name, lr) for net, rates in RATES.items() for name in rates for lr in rates[name]]
        runs += [("plain", start, "adam", 0.01) for start in ("pytorch", "glorot")]
    length = {"epochs": 4, "classes": 12} if small else {"epochs": 8, "classes": 120}
    named = [dict(zip(("net", "start", "optimizer", "lr"), run, strict=True)) for run in runs]
    return [run | length | {"seed": seed} for seed in range(seeds) for run in named]


@functools.cache
def split(source: str = "drawn", size: int = 32, classes: int = 120) -> Breeds:
    """The images of the first ``classes`` breeds, standardized as all 120 are; else as `lib.breeds.breeds`.

    Raises:
        ValueError: there are not so many classes, or it is an error there.
    """
    data = breeds(source, size)
    if check_range(COUNT, "classes", classes, "split") > len(data.class_names):
        raise ValueError(f"split: classes must be at most {len(data.class_names)}, got {classes}.")
    if classes == len(data.class_names):
        return data
    train, test = data.y_train < classes, data.y_test < classes
    few = {"x_train": data.x_train[train], "y_train": data.y_train[train]}
    few |= {"x_test": data.x_test[test], "y_test": data.y_test[test]}
    return replace(data, class_names=data.class_names[:classes], **few)


def network(net: str, start: str = "he", seed: int = 0, size: int = 32, classes: int = 120):
    """A net of PyTorch at its start, float32.

    Args:
        net: "plain" or "pooled", a `ConvolutionalNet`, or "residual", a `ResidualNet`.
        start: "he" or "glorot": drawn by NumPy; of the first two nets by `convolutional_layers`, so that NumPy and
            Keras can start there, too. Or "pytorch": what PyTorch's layers start from by themselves.
        seed: of the start.
        size: height and width of the images in pixels; all the same to the residual net.
        classes: number of outputs.

    Raises:
        ValueError: net or start is none of these.
    """
    import torch

    from lib.networks.convolution_torch import ConvolutionalNet, load
    from lib.networks.residual_torch import ResidualNet, load_start

    for name, value, known in ("net", net, RATES), ("start", start, STARTS):
        if value not in known:
            raise ValueError(f"network: {name} must be one of {', '.join(map(repr, known))}, got {value!r}.")
    shape, initializer = {"pooled": net == "pooled", "size": size, "classes": classes}, STARTS[start]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = ResidualNet(classes=classes) if net == "residual" else ConvolutionalNet(**shape)
    if initializer and net == "residual":
        load_start(made, initializer, seed)
    elif initializer:
        load(made, convolutional_layers(initializer, seed, **shape))
    return made


def optimizer_of(name: str, params, lr: float):
    """The optimizer of torch.optim for a rule of `OPTIMIZERS`.

    Raises:
        ValueError: there is no such rule.
    """
    import torch

    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer_of: name must be one of {', '.join(map(repr, OPTIMIZERS))}, got {name!r}.")
    theirs, numbers = OPTIMIZERS[name]
    return getattr(torch.optim, theirs)(params, lr=lr, **numbers)


def pixels(data: Breeds, images, device: str = "cpu"):
    """Images (n, size, size, 3) of a set as PyTorch takes them: standardized float32, channels first.

    In memory the channels of a pixel still lie side by side; so a processor's convolutions take half the time.
    """
    import torch

    return torch.from_numpy(data.standardized(images)).to(device).permute(0, 3, 1, 2)


def parts(data: Breeds) -> dict[str, tuple]:
    """Images and labels by their use: "train", to learn from; "validation", to choose a rate; "test", to report.

    The last two are every other test image of each breed: a rate is not to be chosen by the images that praise it.
    """
    turn = np.empty(len(data.y_test), int)
    for breed in np.unique(data.y_test):
        mine = data.y_test == breed
        turn[mine] = np.arange(mine.sum()) % 2
    halves = {"validation": np.flatnonzero(turn == 0), "test": np.flatnonzero(turn == 1)}
    held_out = {name: (data.x_test[half], data.y_test[half]) for name, half in halves.items()}
    return {"train": (data.x_train, data.y_train)} | held_out


def measure(net, data: Breeds, images, labels, device: str = "cpu") -> tuple[float, float, float]:
    """A net in use, on images (n, size, size, 3) of a set.

    Returns:
        the mean loss; the accuracy; the share of the units before the last layer that are dead: 0 for every image.
    """
    import torch
    from torch.nn import functional

    *before, last = net.classifier
    loss, right, alive = 0.0, 0, False
    net.eval()
    with torch.inference_mode():
        for first in range(0, len(images), BATCH):
            some = slice(first, first + BATCH)
            units = torch.nn.Sequential(net.features, *before)(pixels(data, images[some], device))
            logits, y = last(units), torch.from_numpy(labels[some]).to(device)
            loss += functional.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(dim=1) == y).sum().item()
            alive |= (units != 0).any(dim=0)
    net.train()
    return loss / len(images), right / len(images), 1 - alive.float().mean().item()


def train(job: dict, run: Run) -> dict:
    """The numbers of a job."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)  # several add up in other orders
    data = split(job["source"], job["size"], job["classes"])
    parts_of_data = parts(data)
    net = network(job["net"], job["start"], job["seed"], job["size"], job["classes"])
    net.to(run.device, memory_format=torch.channels_last)
    optimizer = optimizer_of(job["optimizer"], net.parameters(), job["lr"])
    history = {name: [] for name in (*SERIES.values(), "dead units")}

    def look():
        for part, (images, labels) in parts_of_data.items():
            loss, accuracy, dead = measure(net, data, images, labels, run.device)
            history[f"{part} losses"].append(loss)
            history[f"{part} accuracies"].append(accuracy)
        history["dead units"].append(dead)

    if run.state:
        net.load_state_dict(run.state["net"])
        optimizer.load_state_dict(run.state["optimizer"])
        history = run.state["history"]
    else:
        look()
    an_epoch, trained = math.ceil(len(data.x_train) / BATCH), len(history["dead units"]) - 1
    draws = itertools.islice(batches(len(data.x_train), BATCH, job["seed"]), trained * an_epoch, None)
    for epoch in run.bar(job["epochs"]):
        for batch in itertools.islice(draws, an_epoch):
            optimizer.zero_grad()
            logits = net(pixels(data, data.x_train[batch], run.device))
            functional.cross_entropy(logits, torch.from_numpy(data.y_train[batch]).to(run.device)).backward()
            optimizer.step()
        look()
        run.log(epoch + 1, **{name: values[-1] for name, values in history.items()})
        run.keep(epoch, net=net.state_dict(), optimizer=optimizer.state_dict(), history=history)
    return {name: history[values][-1] for name, values in SERIES.items()} | history


BREEDS = Experiment(
    "breeds",
    "Six optimizers on 120 drawn breeds of dogs, in three nets, each at its rates.",
    cost="an hour or two of one core",
    jobs=jobs,
    train=train,
    packages=("numpy", "torch"),
    options={
        "source": ("drawn", "'drawn', 'tfds', or the folder of the archive of Stanford Dogs"),
        "size": (32, "height and width of the images in pixels"),
    },
    devices=("cpu", "cuda"),
    tolerance=chaotic,
)
