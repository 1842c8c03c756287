"""Convolution and pooling give what PyTorch and Keras give, in value and gradient, over sizes, strides and paddings. So
do the two nets that are built of them.

A sum of n products, in whatever order it is run, is off by at most n roundings of the sum of their absolute values. Of
two libraries each may be off by as much. `magnitudes` computes these sums: the layer itself, of absolute values.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.nn import functional

from lib.networks import (
    Variable,
    average_pool,
    backpropagate,
    batch_moments,
    batch_norm_images,
    classify,
    convolution,
    convolutional_layers,
    cross_entropy,
    flatten,
    global_average_pool,
    glorot,
    he,
    max_pool,
    value_and_grad,
)
from lib.networks import convolution_keras as in_keras
from lib.networks import convolution_torch as in_torch
from lib.networks.convolution import padded
from tests.networks.frameworks import ours, random_params, same, tensorflows, torchs

EPS = np.finfo(np.float64).eps
IMAGES = [(1, 5, 5, 1), (2, 8, 8, 3), (3, 7, 9, 2), (1, 6, 5, 4)]
WINDOWS = [(1, 1), (2, 2), (3, 3), (5, 3)]
PADDINGS = ["valid", "same", 1, 2]


def pulled_back(layer, params, weights):
    """The layer's value, and the gradients of its sum with ``weights``, if we have built it."""
    variables = {name: Variable(x) for name, x in params.items()}
    y = layer(**variables)
    backpropagate((y * weights).sum())
    return {"y": y.value} | {name: v.gradient for name, v in variables.items()}


def pulled_back_by_torch(layer, params, weights):
    """The same; the layer takes images with channels first and filters with outputs first."""
    axes = {"x": (0, 3, 1, 2), "filters": (3, 2, 0, 1)}
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in params.items()}
    theirs = {name: t.permute(axes[name]) if name in axes else t for name, t in tensors.items()}
    y = layer(**theirs).permute(0, 2, 3, 1)
    grads = torch.autograd.grad((y * torch.tensor(weights)).sum(), list(tensors.values()))
    return {"y": y.detach().numpy()} | {name: g.numpy() for name, g in zip(tensors, grads, strict=True)}


def pulled_back_by_keras(layer, params, weights):
    tensors = {name: tf.Variable(x) for name, x in params.items()}
    with tf.GradientTape() as tape:
        y = layer(**tensors)
        loss = tf.reduce_sum(y * weights)
    return {"y": y.numpy()} | {name: g.numpy() for name, g in tape.gradient(loss, tensors).items()}


def magnitudes(layer, params, weights):
    return pulled_back(layer, {name: np.abs(x) for name, x in params.items()}, np.abs(weights))


def agree(given, expected, magnitudes, terms):
    for name, x in given.items():
        theirs = expected[name]
        assert (x.shape, x.dtype) == (theirs.shape, theirs.dtype), name
        bound = terms[name] * EPS * magnitudes[name]  # half an eps a rounding, and two libraries
        assert np.all(np.abs(x - theirs) <= bound), f"{name}: off by {np.max(np.abs(x - theirs) / bound):g} bounds"


def frame(image, window, stride, padding):
    """What torch.nn.functional.pad takes. By TensorFlow's rule for "same", in words of its own: windows start at 0,
    stride, 2 stride, ... minus what is before, and every pixel from which one could start is near one.
    """
    if padding == "valid":
        return [0] * 4
    if padding != "same":
        return [padding] * 4
    around = []
    for length, width in zip(image[2:0:-1], window[::-1], strict=True):  # the last axis first
        starts = len(range(0, length, stride))
        lacking = max(0, stride * (starts - 1) + width - length)
        around += [lacking // 2, lacking - lacking // 2]
    return around


def fits(image, window, padding):
    around = frame(image, window, 1, padding)
    return all(n + sum(around[k : k + 2]) >= width for n, width, k in zip(image[1:3], window, (2, 0), strict=True))


CASES = [
    (image, window, stride, padding)
    for image in IMAGES
    for window in WINDOWS
    for stride in (1, 2, 3)
    for padding in PADDINGS
    if fits(image, window, padding)
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")  # that it is slow
@pytest.mark.parametrize(("image", "window", "stride", "padding"), CASES)
def test_convolution(image, window, stride, padding):
    params = random_params({"x": image, "filters": (*window, image[3], 5), "bias": (5,)})
    layer = lambda x, filters, bias: convolution(x, filters, bias, stride, padding)
    weights = np.random.default_rng(1).standard_normal(layer(**params).shape)
    mine, size = pulled_back(layer, params, weights), magnitudes(layer, params, weights)
    window_size, places = int(np.prod(window)), int(np.prod(weights.shape[:3]))
    terms = {"y": window_size * image[3] + 1, "x": window_size * 5 + 1, "filters": places + 1, "bias": places + 1}

    around = frame(image, window, stride, padding)
    theirs = lambda x, filters, bias: functional.conv2d(functional.pad(x, around), filters, bias, stride)
    agree(mine, pulled_back_by_torch(theirs, params, weights), size, terms)
    if padding != "same" or stride == 1:  # what torch itself knows by that name
        theirs = lambda x, filters, bias: functional.conv2d(x, filters, bias, stride, padding)
        agree(mine, pulled_back_by_torch(theirs, params, weights), size, terms)
    if isinstance(padding, str):
        theirs = lambda x, filters, bias: keras.ops.conv(x, filters, stride, padding) + bias
        agree(mine, pulled_back_by_keras(theirs, params, weights), size, terms)


POOLINGS = [
    (image, size, stride, padding)
    for image in IMAGES
    for size in (1, 2, 3)
    for stride in (1, 2, 3)
    for padding in PADDINGS
    if isinstance(padding, str) or 2 * padding <= size
]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("image", "size", "stride", "padding"), POOLINGS)
def test_max_pool(image, size, stride, padding, tied):
    """Also where several pixels are largest: all three libraries take the first, row by row."""
    params = random_params({"x": image})
    if tied:
        params = {"x": np.sign(np.round(params["x"]))}  # -1, 0 and 1
    layer = lambda x: max_pool(x, size, stride, padding)
    weights = np.random.default_rng(1).standard_normal(layer(**params).shape)
    mine = pulled_back(layer, params, weights)
    # Nothing is summed but what a pixel gets from the windows that it won.
    bounds = {"y": np.zeros_like(mine["y"]), "x": pulled_back(layer, params, np.abs(weights))["x"]}
    terms = {"y": 0, "x": size**2}

    around = frame(image, (size, size), stride, padding)
    theirs = lambda x: functional.max_pool2d(functional.pad(x, around, value=-np.inf), size, stride)
    agree(mine, pulled_back_by_torch(theirs, params, weights), bounds, terms)
    if padding != "same":
        theirs = lambda x: functional.max_pool2d(x, size, stride, 0 if padding == "valid" else padding)
        agree(mine, pulled_back_by_torch(theirs, params, weights), bounds, terms)
    if isinstance(padding, str):
        theirs = lambda x: keras.ops.max_pool(x, size, stride, padding)
        agree(mine, pulled_back_by_keras(theirs, params, weights), bounds, terms)


@pytest.mark.parametrize(("image", "size", "stride", "padding"), POOLINGS)
def test_average_pool(image, size, stride, padding):
    params = random_params({"x": image})
    layer = lambda x: average_pool(x, size, stride, padding)
    weights = np.random.default_rng(1).standard_normal(layer(**params).shape)
    mine, bounds = pulled_back(layer, params, weights), magnitudes(layer, params, weights)
    terms = {"y": size**2 + 1, "x": size**2 + 2}
    if padding != "same":
        arguments = {"padding": 0 if padding == "valid" else padding, "count_include_pad": False}
        theirs = lambda x: functional.avg_pool2d(x, size, stride, **arguments)
        agree(mine, pulled_back_by_torch(theirs, params, weights), bounds, terms)
    if isinstance(padding, str):
        theirs = lambda x: keras.ops.average_pool(x, size, stride, padding)
        agree(mine, pulled_back_by_keras(theirs, params, weights), bounds, terms)


def test_same_is_tensorflows_and_not_padding_1():
    """At stride 2 on an even size both give half the pixels, but not the same ones: windows start one pixel apart."""
    params = random_params({"x": (1, 6, 6, 1), "filters": (3, 3, 1, 1)})
    same, one = (convolution(**params, stride=2, padding=padding) for padding in ("same", 1))
    assert same.shape == one.shape == (1, 3, 3, 1)
    assert np.abs(same - one).min() > 0.01
    for y, row in (one, (1, 0)), (same, (0, 1)):  # a row of zeros, and a column: in front, or behind
        image = np.pad(params["x"], ((0, 0), row, row, (0, 0)))
        np.testing.assert_array_equal(convolution(image, params["filters"], stride=2), y)
    with pytest.raises(RuntimeError, match="padding='same' is not supported for strided convolutions"):
        functional.conv2d(torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 3, 3), stride=2, padding="same")
    odd = {"x": params["x"][:, :5, :5], "filters": params["filters"]}  # there they agree
    np.testing.assert_array_equal(convolution(**odd, stride=2, padding="same"), convolution(**odd, stride=2, padding=1))


def test_the_first_of_equals_gets_the_gradient():
    """Where ReLU gives zeros it happens all the time; ``tf.reduce_max`` would share the gradient among them."""
    x = Variable(np.zeros((1, 4, 4, 1)))
    backpropagate(max_pool(x, 2).sum())
    np.testing.assert_array_equal(x.gradient[0, :, :, 0], np.kron(np.ones((2, 2)), [[1, 0], [0, 0]]))


def test_nan_is_handed_on():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    x[0, 1, 0] = np.nan
    theirs = functional.max_pool2d(torch.tensor(x).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(max_pool(x, 2), theirs)
    assert np.isnan(theirs).sum() == 1


def differences(layer, params, weights, h=1e-5):
    """Numerical gradients. What the layer multiplies is linear in each entry, so a central difference is off by the
    roundings of the sum alone, divided by 2h, and for a normalization by h**2 as well."""
    grads = {}
    for name, x in params.items():
        grads[name] = np.empty_like(x)
        for index in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[index] += h
            down[index] -= h
            up, down = ((layer(**params | {name: y}) * weights).sum() for y in (up, down))
            grads[name][index] = (up - down) / (2 * h)
    return grads


SHAPES = {"x": (2, 5, 6, 2), "filters": (3, 2, 2, 3), "bias": (3,), "scale": (2,), "shift": (2,)}
LAYERS = {
    "convolution": lambda x, filters, bias: convolution(x, filters, bias, 2, "same"),
    "max_pool": lambda x: max_pool(x, 3, 2, 1),
    "average_pool": lambda x: average_pool(x, 3, 2, "same"),
    "global_average_pool": lambda x: global_average_pool(x),
    "flatten": lambda x: flatten(x),
    "batch_norm_images": lambda x, scale, shift: batch_norm_images(x, scale, shift),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_numerically(layer):
    names = layer.__code__.co_varnames[: layer.__code__.co_argcount]
    params = random_params({name: SHAPES[name] for name in names})
    weights = np.random.default_rng(1).standard_normal(layer(**params).shape)
    mine = pulled_back(layer, params, weights)
    for name, g in differences(layer, params, weights).items():
        np.testing.assert_allclose(mine[name], g, rtol=0, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("averages", [{}, {"mean": np.array([-1.0, 0.5]), "variance": np.array([0.5, 2.0])}])
def test_batch_norm_of_images_agrees(averages):
    params = random_params({"x": (3, 4, 5, 2), "scale": (2,), "shift": (2,), "w": (3, 4, 5, 2)})
    eps = 0.1 if averages else 1e-5
    norm = lambda p: batch_norm_images(p["x"], p["scale"], p["shift"], eps=eps, **averages)
    mine = ours(lambda p: (norm(p) * p["w"]).sum(), params)

    def torch_loss(p):
        used = [torch.tensor(a) for a in averages.values()] or [None, None]
        x = p["x"].permute(0, 3, 1, 2)
        y = functional.batch_norm(x, *used, p["scale"], p["shift"], training=not averages, eps=eps)
        return (y.permute(0, 2, 3, 1) * p["w"]).sum()

    def keras_loss(p):
        used = averages.values() if averages else tf.nn.moments(p["x"], (0, 1, 2))
        y = keras.ops.batch_normalization(p["x"], *used, -1, p["shift"], p["scale"], epsilon=eps)
        return tf.reduce_sum(y * p["w"])

    same(mine, torchs(torch_loss, params))
    same(mine, tensorflows(keras_loss, params))


def test_pooled_and_flat():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(global_average_pool(x), x.mean((1, 2)), rtol=1e-15)
    np.testing.assert_array_equal(flatten(x), x.reshape(2, 60))


def test_without_a_variable_it_is_numpy_and_single_precision_stays():
    params = random_params({"x": (2, 6, 6, 3), "filters": (3, 3, 3, 2), "bias": (2,)}, dtype=np.float32)
    for y in convolution(**params, padding="same"), max_pool(params["x"], 3, 2, 1), average_pool(params["x"], 2):
        assert isinstance(y, np.ndarray)
        assert y.dtype == np.float32
    layer = lambda x, filters, bias: average_pool(max_pool(convolution(x, filters, bias, 1, "same"), 3, 1, "same"), 2)
    assert {g.dtype for g in pulled_back(layer, params, np.float32(2)).values()} == {np.dtype(np.float32)}


def test_nothing_that_came_in_is_changed():
    params = random_params({"x": (2, 6, 6, 3), "filters": (3, 3, 3, 2), "bias": (2,)})
    copies = {name: x.copy() for name, x in params.items()}
    for padding in PADDINGS:
        layer = lambda x, filters, bias, p=padding: max_pool(convolution(x, filters, bias, 1, p), 2)
        pulled_back(layer, params, 1.0)
    for name, x in params.items():
        np.testing.assert_array_equal(x, copies[name])


# ---------- the nets ----------

SMALL = {"size": 12, "channels": (3, 4, 6), "hidden": 5, "classes": 7}


def net(pooled, **sizes):
    params = convolutional_layers(he, seed=0, pooled=pooled, **sizes)
    rng = np.random.default_rng(3)  # away from the biases of 0 and scales of 1 of the start
    return {name: x + 0.1 * rng.standard_normal(x.shape) * (x.ndim == 1) for name, x in params.items()}


@pytest.mark.parametrize("sizes", [SMALL, {}], ids=["small", "the book's"])
@pytest.mark.parametrize("pooled", [False, True])
def test_nets_agree(pooled, sizes):
    params, rng = net(pooled, **sizes), np.random.default_rng(1)
    side, classes = (sizes.get("size", 32), sizes.get("classes", 120))
    x, labels = rng.standard_normal((6, side, side, 3)), rng.integers(0, classes, 6)
    logits = classify(params, x)
    loss, grads = value_and_grad(lambda p: cross_entropy(classify(p, x), labels))(params)

    torch_net = in_torch.ConvolutionalNet(pooled, **sizes).double()
    in_torch.load(torch_net, params)
    torch_logits = torch_net(torch.tensor(x).permute(0, 3, 1, 2))
    torch_loss = functional.cross_entropy(torch_logits, torch.tensor(labels))
    torch_loss.backward()

    keras_net = in_keras.convolutional_net(pooled, **sizes, dtype="float64")
    keras_net.set_weights(in_keras.weights(params))
    with tf.GradientTape() as tape:
        keras_logits = keras_net(x, training=True)
        keras_loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, keras_logits))
    keras_grads = tape.gradient(keras_loss, keras_net.trainable_variables)

    # Up to five layers, one after the other, each off by at most a hundred roundings of its largest entry.
    named = lambda arrays: {str(k): g for k, g in enumerate(arrays)}
    mine = named([logits, *in_torch.weights(grads)])
    theirs = named([torch_logits.detach().numpy(), *(p.grad.numpy() for p in torch_net.parameters())])
    same((loss, mine), (torch_loss.item(), theirs), roundings=500)
    mine = named([logits, *grads.values()])
    theirs = named([keras_logits.numpy(), *(g.numpy() for g in keras_grads)])
    same((loss, mine), (float(keras_loss), theirs), roundings=500)


def test_a_normalized_net_in_use_agrees():
    params, x = net(True, **SMALL), np.random.default_rng(1).standard_normal((6, 12, 12, 3))
    averages = batch_moments(params, x)
    logits = classify(params, x[:2], averages)
    torch_net = in_torch.ConvolutionalNet(True, **SMALL).double().eval()
    in_torch.load(torch_net, params, averages)
    keras_net = in_keras.convolutional_net(True, **SMALL, dtype="float64")
    keras_net.set_weights(in_keras.weights(params, averages))
    theirs = torch_net(torch.tensor(x[:2]).permute(0, 3, 1, 2)).detach().numpy(), keras_net(x[:2]).numpy()
    for their_logits in theirs:
        np.testing.assert_allclose(logits, their_logits, rtol=0, atol=300 * EPS * np.abs(logits).max())
    assert np.abs(logits - classify(params, x[:2])).max() > 0.1  # which normalizes with two images
    alone = classify(params, x[:1], averages)  # no image hangs on another
    np.testing.assert_allclose(alone, logits[:1], rtol=0, atol=300 * EPS * np.abs(logits).max())


def test_batch_moments_are_those_that_torch_averages():
    params, x = net(True, **SMALL), np.random.default_rng(1).standard_normal((6, 12, 12, 3))
    torch_net = in_torch.ConvolutionalNet(True, **SMALL).double()
    in_torch.load(torch_net, params)
    norms = [module for module in torch_net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of all batches
    torch_net(torch.tensor(x).permute(0, 3, 1, 2))
    moments = batch_moments(params, x)
    assert list(moments) == ["mean1", "variance1", "mean2", "variance2"]
    for layer, (norm, pixels) in enumerate(zip(norms, (6 * 12 * 12, 6 * 6 * 6), strict=True), start=1):
        np.testing.assert_allclose(moments[f"mean{layer}"], norm.running_mean, rtol=0, atol=1e-14)
        unbiased = moments[f"variance{layer}"] * pixels / (pixels - 1)
        np.testing.assert_allclose(unbiased, norm.running_var, rtol=1e-13)


def test_batch_moments_are_what_the_net_uses():
    params, x = net(True, **SMALL), np.random.default_rng(1).standard_normal((6, 12, 12, 3))
    np.testing.assert_allclose(classify(params, x, batch_moments(params, x)), classify(params, x), rtol=0, atol=1e-13)
    assert batch_moments(net(False, **SMALL), x) == {}


def test_parameters():
    shapes = lambda params: {name: x.shape for name, x in params.items()}
    assert shapes(convolutional_layers(he, seed=0, **SMALL)) == {
        "F1": (3, 3, 3, 4), "b1": (4,), "F2": (3, 3, 4, 6), "b2": (6,),
        "W3": (54, 5), "b3": (5,), "W4": (5, 7), "b4": (7,)
    }  # fmt: skip
    pooled = convolutional_layers(he, seed=0, pooled=True)
    assert shapes(pooled) == {
        "F1": (3, 3, 3, 16), "scale1": (16,), "shift1": (16,), "F2": (3, 3, 16, 32), "scale2": (32,), "shift2": (32,),
        "F3": (3, 3, 32, 64), "scale3": (64,), "shift3": (64,), "W4": (64, 120), "b4": (120,)
    }  # fmt: skip
    assert {name[:5] for name, x in pooled.items() if x.ndim == 1 and x.all()} == {"scale"}
    assert sum(x.size for x in convolutional_layers(he, seed=0).values()) == 170_264
    again, other = convolutional_layers(he, seed=0, pooled=True), convolutional_layers(he, seed=1, pooled=True)
    np.testing.assert_array_equal(pooled["F3"], again["F3"])
    assert not np.array_equal(pooled["F3"], other["F3"])
    assert convolutional_layers(he, seed=0, dtype=np.float32)["F1"].dtype == np.float32


def test_a_filter_has_as_many_inputs_as_pixels_times_channels():
    filters = convolutional_layers(he, seed=0, channels=(3, 64, 64, 64))["F2"]
    assert abs(filters.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.02  # 36,864 draws: 0.4 percent is one standard deviation


def test_it_learns():
    """Bright images from dark ones; loss and gradients of the whole net in a training."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 32)
    x = rng.standard_normal((32, 8, 8, 1)) + 2 * labels[:, None, None, None] - 1
    for pooled in False, True:
        params = convolutional_layers(he, 0, pooled=pooled, size=8, channels=(1, 4, 4), hidden=8, classes=2)
        objective = value_and_grad(lambda p: cross_entropy(classify(p, x), labels))
        before, _ = objective(params)
        for _ in range(50):
            loss, grads = objective(params)
            params = {name: p - 0.1 * grads[name] for name, p in params.items()}
        assert loss < before / 10


X, F = np.zeros((1, 4, 4, 2)), np.zeros((3, 3, 2, 1))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: convolution(X[0], F), "as many channels"),
        (lambda: convolution(X, F[0]), "as many channels"),
        (lambda: convolution(X, np.zeros((3, 3, 3, 1))), r"\(1, 4, 4, 2\) and \(3, 3, 3, 1\)"),
        (lambda: convolution(X, F, stride=0), "stride must be a whole number >= 1, got 0"),
        (lambda: convolution(X, F, padding=-1), "padding must be a whole number >= 0, got -1"),
        (lambda: convolution(X, F, padding="full"), "'valid', 'same' or a whole number >= 0, got 'full'"),
        (lambda: convolution(X, np.zeros((5, 5, 2, 1))), "height 4 has no room for windows of height 5"),
        (lambda: max_pool(X, 5), "no room"),
        (lambda: max_pool(X, 0), "max_pool: size must be a whole number >= 1, got 0"),
        (lambda: max_pool(X, 2, 0), "stride must be"),
        (lambda: max_pool(X, 2, padding=2), "max_pool: padding must be at most half of size 2, got 2"),
        (lambda: average_pool(X, 3, padding=2), "average_pool: padding"),
        (lambda: padded(X[0], (2, 2), 1, "same", 0), r"got shape \(4, 4, 2\)"),
        (lambda: convolutional_layers(glorot, 0, size=7), "size must be >= 8 for 3 blocks, got 7"),
        (lambda: convolutional_layers(glorot, 0, classes=0), "classes must be a whole number >= 1"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
