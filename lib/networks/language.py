"""Language models: nets that say, at each place of a text, how likely each token is to come next.

    params = recurrent_layers("gru", vocabulary=96, units=128, seed=0)
    logits = recurrent_model(params, tokens)
    loss = next_token_loss(logits, following)

``tokens`` are whole numbers of shape (batch, length), ``following`` those one place on, logits are of shape (batch,
length, vocabulary). `lib.networks.language_torch` has the same nets in PyTorch.
"""

import numpy as np

from lib.checks import COUNT, check_range
from lib.networks.attention import embed, transformer_block
from lib.networks.backpropagation import joined, reshape
from lib.networks.initializers import lecun, normal, orthogonal
from lib.networks.layers import dense
from lib.networks.losses import cross_entropy
from lib.networks.normalization import layer_norm
from lib.networks.recurrent import gru_cell, lstm_cell, recurrent_layer


def check_kind(where, kind):
    """Raise a ValueError if there is no language model with such cells."""
    if kind not in ("gru", "lstm"):
        raise ValueError(f"{where}: kind must be 'gru' or 'lstm', got {kind!r}.")


def recurrent_layers(kind, vocabulary, units, seed, inputs=64) -> dict:
    """The parameters of `recurrent_model`, float64.

    Args:
        kind: "gru" or "lstm".
        vocabulary: how many tokens there are.
        units: of the recurrent layer.
        seed: of the generator; a whole number.
        inputs: the size of the vector that stands for a token.

    Returns:
        dict: ``tokens`` (vocabulary, inputs); those of `recurrent_layer`, and of a GRU ``ch``; ``W`` (units,
        vocabulary) and ``b``.

    Raises:
        ValueError: the kind is unknown, or a size is not a whole number >= 1.
    """
    check_kind("recurrent_layers", kind)
    vocabulary, units, inputs = _sizes("recurrent_layers", vocabulary=vocabulary, units=units, inputs=inputs)
    rng = np.random.default_rng([seed, 1])
    params = {"tokens": normal(rng, vocabulary, inputs)}
    params |= recurrent_layer(kind, inputs, units, lecun, orthogonal, [seed, 2])
    if kind == "gru":
        params["ch"] = np.zeros(units)
    return params | {"W": lecun(rng, units, vocabulary), "b": np.zeros(vocabulary)}


def recurrent_model(params, tokens):
    """A cell reads one token after the other; its state says what may come next.

    Args:
        params: what `recurrent_layers` made: arrays, or Variables. A GRU has ``reset_after``, as in the frameworks.
        tokens: whole numbers (batch, length).

    Source: Mikolov et al. 2010, "Recurrent neural network based language model", with cells that have gates.
    """
    x, states = embed(params["tokens"], tokens), []
    h = c = np.zeros((len(tokens), params["W"].shape[0]))
    for place in range(x.shape[1]):
        if "ch" in params:
            h = gru_cell(x[:, place], h, params, reset_after=True)
        else:
            h, c = lstm_cell(x[:, place], h, c, params)
        states.append(h)
    return dense(joined(states, axis=1), params["W"], params["b"])


def transformer_layers(vocabulary, context, units, blocks, seed) -> dict:
    """The parameters of `transformer`, float64.

    Args:
        vocabulary: how many tokens there are.
        context: how many tokens the net can look at.
        units: the size of the vector that stands for a token at its place.
        blocks: how many.
        seed: of the generator; a whole number.

    Returns:
        dict: ``tokens`` (vocabulary, units), ``places`` (context, units); those of `transformer_block`, with the
        number of the block in front, as in ``1.Wq``; ``scale``, ``shift``, ``W`` (units, vocabulary) and ``b``. What a
        block adds begins small, by the root of how often something is added (Radford et al. 2019, "Language Models
        are Unsupervised Multitask Learners", section 2.3).

    Raises:
        ValueError: a size is not a whole number >= 1.
    """
    sizes = {"vocabulary": vocabulary, "context": context, "units": units, "blocks": blocks}
    vocabulary, context, units, blocks = _sizes("transformer_layers", **sizes)
    rng = np.random.default_rng(seed)
    params = {"tokens": normal(rng, vocabulary, units, units**-0.5), "places": normal(rng, context, units, units**-0.5)}
    small = (2 * blocks) ** -0.5
    for block in range(1, blocks + 1):
        shapes = dict.fromkeys(["Wq", "Wk", "Wv", "Wo"], (units, units))
        shapes |= {"W1": (units, 4 * units), "W2": (4 * units, units)}
        for name, shape in shapes.items():
            params[f"{block}.{name}"] = lecun(rng, *shape, gain=small if name in ("Wo", "W2") else 1.0)
            params[f"{block}.b{name[1:]}"] = np.zeros(shape[1])
        for norm in "12":
            params |= {f"{block}.scale{norm}": np.ones(units), f"{block}.shift{norm}": np.zeros(units)}
    params |= {"scale": np.ones(units), "shift": np.zeros(units)}
    return params | {"W": lecun(rng, units, vocabulary), "b": np.zeros(vocabulary)}


def transformer(params, tokens, heads):
    """A Transformer that sees the past: vectors of tokens and of places, blocks, a last normalization, logits.

    Args:
        params: what `transformer_layers` made: arrays, or Variables.
        tokens: whole numbers (batch, length); ``length`` is at most the context.
        heads: of the attention; a divisor of the units.

    Raises:
        ValueError: there are more tokens than the context holds, or the heads do not divide the units.

    Source: Vaswani et al. 2017, arXiv 1706.03762, the decoder without what looks at an encoder, as in Radford et al.
    2019, "Language Models are Unsupervised Multitask Learners".
    """
    length, context = np.shape(tokens)[1], params["places"].shape[0]
    if length > context:
        raise ValueError(f"transformer: the context is {context} tokens, got {length}; keep the last {context}.")
    x = embed(params["tokens"], tokens) + params["places"][:length]
    blocks = max(int(name.split(".")[0]) for name in params if "." in name)
    for block in range(1, blocks + 1):
        its = {name.removeprefix(f"{block}."): p for name, p in params.items() if name.startswith(f"{block}.")}
        x = transformer_block(x, its, heads)
    return dense(layer_norm(x, params["scale"], params["shift"]), params["W"], params["b"])


def next_token_loss(logits, following):
    """The mean cross-entropy of the next tokens, in nats a token.

    Args:
        logits: (batch, length, vocabulary), array or Variable.
        following: whole numbers (batch, length).
    """
    return cross_entropy(reshape(logits, (-1, logits.shape[-1])), np.ravel(following))


def _sizes(where, **sizes):
    return [check_range(COUNT, name, size, where) for name, size in sizes.items()]
