"""Initializers: the weights a layer starts from.

Each takes a generator (``numpy.random.default_rng(seed)``), the number of inputs and the number of outputs, and returns
a float64 array of shape (inputs, outputs), to be used as ``x @ weights``.
"""

import numpy as np

from lib.checks import COUNT, POSITIVE, check_range


def normal(rng, inputs, outputs, std=1.0):
    """Normal with a standard deviation that knows nothing of the layer: the naive start."""
    inputs, outputs = _sizes(inputs, outputs, "normal")
    return check_range(POSITIVE, "std", std, "normal") * rng.standard_normal((inputs, outputs))


def uniform(rng, inputs, outputs):
    """Uniform between ±1/sqrt(inputs), variance 1/(3 inputs): once "the commonly used heuristic", and still what
    ``torch.nn.Linear`` starts from.

    Source: Glorot & Bengio 2010, equation 1.
    """
    inputs, outputs = _sizes(inputs, outputs, "uniform")
    return rng.uniform(-1, 1, (inputs, outputs)) / np.sqrt(inputs)


def lecun(rng, inputs, outputs, gain=1.0):
    """Normal with variance gain**2 / inputs: a layer hands on the size of its inputs.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.6,
    equation 16. Elsewhere: ``keras.initializers.LecunNormal``, cut off at two
    standard deviations.
    """
    inputs, outputs = _sizes(inputs, outputs, "lecun")
    gain = check_range(POSITIVE, "gain", gain, "lecun")
    return gain * rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)


def glorot(rng, inputs, outputs):
    """Uniform with variance 2 / (inputs + outputs): between what keeps outputs and
    what keeps gradients at their size.

    Source: Glorot & Bengio 2010, equation 16. Elsewhere: ``torch.nn.init.xavier_uniform_``,
    ``keras.initializers.GlorotUniform``, what ``keras.layers.Dense`` starts from.
    """
    inputs, outputs = _sizes(inputs, outputs, "glorot")
    return rng.uniform(-1, 1, (inputs, outputs)) * np.sqrt(6 / (inputs + outputs))


def he(rng, inputs, outputs):
    """Normal with variance 2 / inputs: twice LeCun's, as a ReLU takes half of it away.

    Source: He, Zhang, Ren & Sun 2015, arXiv 1502.01852, equation 10. Elsewhere:
    ``torch.nn.init.kaiming_normal_``; ``keras.initializers.HeNormal``, cut off at two
    standard deviations.
    """
    inputs, outputs = _sizes(inputs, outputs, "he")
    return rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)


def orthogonal(rng, inputs, outputs, gain=1.0):
    """``gain`` times a random matrix whose columns (or rows, if it has fewer) are
    orthonormal: it turns vectors and does not stretch them.

    Source: Saxe, McClelland & Ganguli 2014, arXiv 1312.6120. Elsewhere:
    ``torch.nn.init.orthogonal_``, ``keras.initializers.Orthogonal``.
    """
    inputs, outputs = _sizes(inputs, outputs, "orthogonal")
    gain = check_range(POSITIVE, "gain", gain, "orthogonal")
    tall = max(inputs, outputs), min(inputs, outputs)
    q, r = np.linalg.qr(rng.standard_normal(tall))
    q = q * np.sign(np.diag(r))  # the signs that QR chooses are not random
    return gain * (q if inputs >= outputs else q.T)


def _sizes(inputs, outputs, where):
    return check_range(COUNT, "inputs", inputs, where), check_range(COUNT, "outputs", outputs, where)


INITIALIZERS = {f.__name__: f for f in (normal, uniform, lecun, glorot, he, orthogonal)}
