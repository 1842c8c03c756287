"""Attention: each place of a sequence takes a weighted mean of what the places before it offer.

Sequences are arrays (batch, length, units). Parameters are dicts of arrays or Variables; weights are of shape
(inputs, outputs).
"""

import numpy as np

from lib.networks.activations import relu
from lib.networks.backpropagation import exp, reshape, swap_axes, value_of, where
from lib.networks.layers import dense
from lib.networks.normalization import layer_norm


def embed(table, tokens):
    """The row of ``table`` for each token. Rows of tokens that do not occur get a gradient of exactly 0.

    Args:
        table: (vocabulary, units), array or Variable.
        tokens: whole numbers from 0, of any shape.

    Returns:
        Vectors of shape (*tokens.shape, units).

    Raises:
        IndexError: a token is no number of a row.
    """
    vocabulary, tokens = table.shape[0], np.asarray(tokens)
    if tokens.dtype.kind not in "iu" or (tokens.size and not 0 <= tokens.min() <= tokens.max() < vocabulary):
        raise IndexError(
            f"embed: tokens must be whole numbers from 0 to {vocabulary - 1}, one row of the table each; got "
            f"{tokens.dtype} from {tokens.min()} to {tokens.max()}."
        )
    return table[tokens]


def softmax(x):
    """exp(x), divided by its sum along the last axis; nothing overflows, and -inf becomes 0."""
    e = exp(x - value_of(x).max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def causal_attention(x, p, heads):
    """Each place compares its query with the keys of the places up to itself, and takes
    the mean of their values, weighted by the softmax. Each head does so with its own
    part of the units.

    Args:
        x: (batch, length, units).
        p: ``Wq``, ``Wk``, ``Wv``, ``Wo`` (units, units) and ``bq``, ``bk``, ``bv``,
            ``bo`` (units,): queries, keys, values and output.
        heads: a divisor of units.

    Raises:
        ValueError: it is none.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1, with heads and the mask
    of section 3.2. Elsewhere: ``torch.nn.MultiheadAttention``,
    ``keras.layers.MultiHeadAttention``.
    """
    batch, length, units = x.shape
    if heads < 1 or units % heads:
        raise ValueError(f"causal_attention: heads must divide the {units} units, got {heads}.")
    shape = batch, length, heads, units // heads
    apart = lambda y: swap_axes(reshape(y, shape), 1, 2)
    q, k, v = (apart(dense(x, p[f"W{part}"], p[f"b{part}"])) for part in "qkv")
    scores = q @ swap_axes(k, 2, 3) * shape[-1] ** -0.5  # (batch, heads, length, length)
    seen = np.tri(length, dtype=bool)  # place i sees the places 0 to i
    mixed = softmax(where(seen, scores, -np.inf)) @ v
    return dense(reshape(swap_axes(mixed, 1, 2), x.shape), p["Wo"], p["bo"])


def transformer_block(x, p, heads):
    """Attention, then a net of two layers for each place; each gets a normalized input,
    and what it gives is added to ``x``.

    Args:
        x: (batch, length, units).
        p: those of `causal_attention`; ``W1``, ``b1``, ``W2``, ``b2`` of the net;
            ``scale1``, ``shift1``, ``scale2``, ``shift2`` of the normalizations.
        heads: as of `causal_attention`.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.1, with the normalization
    in front, Xiong et al. 2020, arXiv 2002.04745. Elsewhere:
    ``torch.nn.TransformerEncoderLayer(norm_first=True)`` with a causal mask.
    """
    x = x + causal_attention(layer_norm(x, p["scale1"], p["shift1"]), p, heads)
    hidden = relu(dense(layer_norm(x, p["scale2"], p["shift2"]), p["W1"], p["b1"]))
    return x + dense(hidden, p["W2"], p["b2"])
