"""The nets of `lib.networks.language` in PyTorch, and text that they write.

net = Recurrent("gru", vocabulary=96, units=128)
load(net, recurrent_layers("gru", vocabulary=96, units=128, seed=0))
logits, state = net(tokens)

Their own start is PyTorch's; load parameters for that of the book.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lib.checks import COUNT, NON_NEGATIVE, check_range
from lib.networks.language import check_kind

# The gates of a layer, in the order in which PyTorch stacks them.
GATES = {"gru": "rzh", "lstm": "ifco"}


class Recurrent(nn.Module):
    """Tokens (batch, length) -> logits (batch, length, vocabulary), and the state at the end, to go on from; arguments
    as of `recurrent_layers`."""

    def __init__(self, kind, vocabulary, units, inputs=64):
        check_kind("Recurrent", kind)
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, inputs)
        self.cells = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](inputs, units, batch_first=True)
        self.out = nn.Linear(units, vocabulary)

    def forward(self, tokens, state=None):
        h, state = self.cells(self.tokens(tokens), state)
        return self.out(h), state


class Block(nn.Module):
    """`transformer_block`."""

    def __init__(self, units, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(units), nn.LayerNorm(units)
        self.query, self.key, self.value, self.mix = (nn.Linear(units, units) for _ in range(4))
        self.hidden, self.out = nn.Linear(units, 4 * units), nn.Linear(4 * units, units)

    def forward(self, x):
        normal = self.norm1(x)
        apart = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = (apart(part(normal)) for part in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(mixed.transpose(1, 2).flatten(-2))
        return x + self.out(torch.relu(self.hidden(self.norm2(x))))


class Transformer(nn.Module):
    """Tokens (batch, length) -> logits (batch, length, vocabulary), and None for a state; arguments as of
    `transformer_layers` and `transformer`."""

    def __init__(self, vocabulary, context, units, blocks, heads):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, units), nn.Embedding(context, units)
        self.blocks = nn.ModuleList(Block(units, heads) for _ in range(blocks))
        self.norm, self.out = nn.LayerNorm(units), nn.Linear(units, vocabulary)

    def forward(self, tokens, state=None):
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x)), None


def weights(params) -> dict:
    """Parameters of the nets in `lib.networks.language`, or their gradients, by the names of ``net.named_parameters()``
    and with its axes: outputs first, the gates of a layer in one array.
    """
    found = {"tokens.weight": params["tokens"]}
    linear = lambda name, key, p: {f"{name}.weight": p[f"W{key}"].T, f"{name}.bias": p[f"b{key}"]}
    norm = lambda name, key, p: {f"{name}.weight": p[f"scale{key}"], f"{name}.bias": p[f"shift{key}"]}
    if "places" in params:
        found["places.weight"] = params["places"]
        for block in range(sum(name.endswith(".Wq") for name in params)):
            p = {name.split(".")[1]: x for name, x in params.items() if name.startswith(f"{block + 1}.")}
            parts = {"query": "q", "key": "k", "value": "v", "mix": "o", "hidden": "1", "out": "2"}
            for name, key in parts.items():
                found |= linear(f"blocks.{block}.{name}", key, p)
            for key in "12":
                found |= norm(f"blocks.{block}.norm{key}", key, p)
        found |= norm("norm", "", params)
    else:
        kind, second = "gru" if "ch" in params else "lstm", "cells.bias_hh_l0"
        stacked = lambda letter: np.concatenate([params[f"{letter}{gate}"].T for gate in GATES[kind]])
        found |= {f"cells.weight_{which}_l0": stacked(letter) for which, letter in (("ih", "W"), ("hh", "U"))}
        found |= {"cells.bias_ih_l0": stacked("b"), second: np.zeros_like(stacked("b"))}
        if kind == "gru":  # of PyTorch's two biases the second is needed in the reset gate's product only
            found[second][-len(params["ch"]) :] = params["ch"]
    return found | linear("out", "", params)


def load(net, params) -> None:
    """Give a net parameters of `lib.networks.language`, in its own dtype.

    Raises:
        RuntimeError: they are of a net of other sizes.
    """
    net.load_state_dict({name: torch.tensor(x) for name, x in weights(params).items()})


@torch.no_grad()
def sample(net, prompt, length, temperature=1.0, seed=0) -> np.ndarray:
    """Let a net write: token after token, each drawn with the probability that the net gives it.

    Args:
        net: a `Recurrent`, which reads a token a step and keeps its state, or a `Transformer`, which reads its whole
            context anew for each token.
        prompt: whole numbers (n,), n >= 1: how the text begins.
        length: how many tokens to add.
        temperature: what logits are divided by: at 0 the likeliest token is taken, at 1 each as likely as it is.
        seed: of the generator; on one machine the same seed writes the same text.

    Returns:
        The tokens that were added, (length,), int64.

    Raises:
        ValueError: the prompt is empty, or a number is out of range.
    """
    length = check_range(COUNT, "length", length, "sample")
    temperature = check_range(NON_NEGATIVE, "temperature", temperature, "sample")
    if not len(prompt):
        raise ValueError("sample: prompt is empty; pass at least one token.")
    rng, text, state = np.random.default_rng(seed), list(prompt), None
    unread = text
    for _ in range(length):
        if isinstance(net, Transformer):
            unread = text[-len(net.places.weight) :]
        logits, state = net(torch.tensor(np.array([unread])), state)
        scores = logits[0, -1].double().numpy()
        # With Gumbel noise each is the largest as often as the softmax says.
        noise = rng.gumbel(size=len(scores))
        text.append(int(np.argmax(scores + temperature * noise)))
        unread = text[-1:]
    return np.array(text[len(prompt) :])
