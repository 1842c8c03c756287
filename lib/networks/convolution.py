"""Convolution and pooling, and a small convolutional net: pure functions of its parameters.

params = convolutional_layers(he, seed=0)                F1 (3, 3, 3, 16), b1 (16,), ..., W5 (128, 120), b5 (120,)
logits = classify(params, images)                        images (batch, 32, 32, 3) -> (batch, 120)

Images are arrays (batch, height, width, channels), as TensorFlow has them. The channels of a pixel lie side by side
then, so a convolution is one product of matrices, and its bias, the activation and the normalization that follow are
those of a dense layer, with pixels for examples. PyTorch wants (batch, channels, height, width): transpose.

A window of k x k pixels goes over the image. Its place (a, b) sees a shifted image, every ``stride``-th pixel from
(a, b) on. Pooling loops over these k * k images, convolution lays them out side by side; gradients go back the way
that values came.
"""

from functools import reduce
from itertools import count, pairwise, takewhile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lib.checks import COUNT, WHOLE, check_range
from lib.networks.activations import relu
from lib.networks.backpropagation import _operation, reshape, value_of
from lib.networks.layers import dense
from lib.networks.normalization import batch_norm


def convolution(x, filters, bias=None, stride=1, padding="valid"):
    """y[n, i, j] = sum over a, b of x[n, stride i + a, stride j + b] @ filters[a, b], + bias.

    It multiplies one matrix: each window is laid out as a row. Then y = rows F, and as
    for every product grad F = rows^T grad y and grad rows = grad y F^T. A pixel lies in
    several windows and gets the sum of what they send back.

    Args:
        x: images (batch, height, width, channels).
        filters: (height of a window, its width, channels, outputs).
        bias: (outputs,), or None for none.
        stride: by how many pixels the window moves on.
        padding: zeros around the image; see `padded`.

    Returns:
        (batch, rows, columns, outputs).

    Raises:
        ValueError: the shapes do not fit each other, or stride or padding is none.

    Source: LeCun et al. 1989, "Backpropagation Applied to Handwritten Zip Code
    Recognition". It flips no filter; mathematics calls it a cross-correlation.
    """
    image, kernel = value_of(x), value_of(filters)
    if image.ndim != 4 or kernel.ndim != 4 or image.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"convolution: x (batch, height, width, channels) and filters (height, width, channels, outputs) must "
            f"have as many channels, got shapes {image.shape} and {kernel.shape}."
        )
    height, width, channels, outputs = kernel.shape
    image, inside = padded(image, (height, width), stride, padding, fill=0)
    windows = sliding_window_view(image, (height, width), axis=(1, 2))[:, ::stride, ::stride]  # [n, i, j, c, a, b]
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    rows, matrix = windows.reshape(-1, height * width * channels), kernel.reshape(-1, outputs)

    def to_x(g):
        back = (g.reshape(-1, outputs) @ matrix.T).reshape(windows.shape)
        whole = np.zeros_like(image)
        for (a, b), pixels in _shifted(whole, height, width, stride):
            pixels += back[:, :, :, a, b]
        return whole[inside]

    def to_filters(g):
        return (rows.T @ g.reshape(-1, outputs)).reshape(kernel.shape)

    y = _operation((rows @ matrix).reshape(*windows.shape[:3], outputs), (x, to_x), (filters, to_filters))
    return y if bias is None else y + bias


def max_pool(x, size, stride=None, padding="valid"):
    """The largest value in each window, channel by channel.

    Its gradient goes to where the value came from. Where several are largest, it goes to
    the first of them, row by row, in PyTorch and TensorFlow alike.

    Args:
        x: images (batch, height, width, channels).
        size: height and width of a window.
        stride: by how many pixels it moves on; ``size`` if None.
        padding: see `padded`; what is added is never the largest.

    Raises:
        ValueError: size, stride or padding is none, an image is smaller than a window, or the padding is more than
            half a window, which then could lie outside the image.
    """
    image, inside, seen = _seen_by_places("max_pool", value_of(x), size, stride, padding, fill=-np.inf)
    largest = reduce(np.maximum, seen(image))

    def to_x(g):
        whole, unclaimed = np.zeros_like(image), np.ones(g.shape, bool)
        for pixels, gradient in zip(seen(image), seen(whole), strict=True):
            first = unclaimed & (pixels == largest)
            gradient += g * first
            unclaimed &= ~first
        return whole[inside]

    return _operation(largest, (x, to_x))


def average_pool(x, size, stride=None, padding="valid"):
    """The mean over each window, channel by channel; what is padded does not count.

    Nor does it in TensorFlow, and in ``torch.nn.AvgPool2d(count_include_pad=False)``; by
    default that counts its zeros.

    Args, Raises: as for `max_pool`.
    """
    image, inside, seen = _seen_by_places("average_pool", value_of(x), size, stride, padding, fill=0)
    there = np.zeros((1, *image.shape[1:3], 1), image.dtype)
    there[inside] = 1
    counts = sum(seen(there))

    def to_x(g):
        whole = np.zeros_like(image)
        for gradient in seen(whole):
            gradient += g / counts
        return whole[inside]

    return _operation(sum(seen(image)) / counts, (x, to_x))


def global_average_pool(x):
    """The mean of each channel over the whole image: (batch, height, width, channels) -> (batch, channels).

    Source: Lin, Chen & Yan 2014, arXiv 1312.4400, section 3.2.
    """
    return x.mean(axis=(1, 2))


def flatten(x):
    """Each image as one row, pixel by pixel: (batch, height, width, channels) -> (batch, height * width * channels).

    PyTorch, whose channels come first, lists them channel by channel: the weights of a dense layer that follows must
    be permuted when they move from one to the other.
    """
    return reshape(x, (x.shape[0], -1))


def batch_norm_images(x, scale, shift, *, eps=1e-5, mean=None, variance=None):
    """`batch_norm` for images: a channel is normalized over all pixels of all images.

    Args:
        x: (batch, height, width, channels).
        scale, shift, mean, variance: (channels,).
        eps: PyTorch's default; Keras' is 1e-3.

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, section 3.2.
    """
    pixels = reshape(x, (-1, x.shape[-1]))
    return reshape(batch_norm(pixels, scale, shift, eps=eps, mean=mean, variance=variance), x.shape)


def padded(image, window, stride, padding, fill):
    """Images with a frame around them, and where in it they are.

    With "valid" there is none. With "same" a step of one pixel keeps the size: there
    are ceil(size / stride) windows, and if the pixels that these need are odd in number,
    the last one is added below and to the right. A number p adds p on each side.

    "same" is TensorFlow's. PyTorch has it for stride 1 only, and p for the rest: at
    stride 2, on an even number of pixels, 3 x 3 windows start at the first pixel with
    "same" and one before it with p = 1. Both give half as many outputs, of other pixels.

    Args:
        image: array (batch, height, width, channels).
        window: its height and width.
        stride: by how many pixels it moves on.
        padding: "valid", "same" or a whole number.
        fill: what the frame is made of.

    Returns:
        the larger array, and the index with which the image is cut out of it.

    Raises:
        ValueError: the image is no such array, stride or padding is none of these, or a window is larger than the
            padded image.
    """
    if image.ndim != 4:
        raise ValueError(f"images must be (batch, height, width, channels), got shape {image.shape}.")
    stride = check_range(COUNT, "stride", stride, "convolution or pooling")
    frame = []
    for name, length, width in zip(("height", "width"), image.shape[1:3], window, strict=True):
        if padding == "same":
            total = max((-(-length // stride) - 1) * stride + width - length, 0)
            frame.append((total // 2, total - total // 2))
        elif padding == "valid":
            frame.append((0, 0))
        elif isinstance(padding, str):
            raise ValueError(f"padding must be 'valid', 'same' or a whole number >= 0, got {padding!r}.")
        else:
            frame.append((check_range(WHOLE, "padding", padding, "convolution or pooling"),) * 2)
        if length + sum(frame[-1]) < width:
            raise ValueError(f"an image of {name} {length} has no room for windows of {name} {width}; pad it.")
    (top, bottom), (left, right) = frame
    if not (top or bottom or left or right):
        return image, np.s_[:]
    inside = np.s_[:, top : top + image.shape[1], left : left + image.shape[2]]
    return np.pad(image, ((0, 0), *frame, (0, 0)), constant_values=fill), inside


def _seen_by_places(where, image, size, stride, padding, fill):
    """The padded image, where in it the image is, and a function: what each place of a pooling's window sees of one."""
    size = check_range(COUNT, "size", size, where)
    if not isinstance(padding, str) and 2 * padding > size:
        raise ValueError(f"{where}: padding must be at most half of size {size}, got {padding}.")
    stride = size if stride is None else stride
    image, inside = padded(image, (size, size), stride, padding, fill)
    return image, inside, lambda images: (view for _, view in _shifted(images, size, size, stride))


def _shifted(image, height, width, stride):
    """What each place (a, b) of a window sees as the window moves: pairs of the place and a view of ``image``, (batch,
    rows, columns, channels). What is added to the view is added to the image.
    """
    last_row, last_column = image.shape[1] - height, image.shape[2] - width
    for a, b in np.ndindex(height, width):
        yield (a, b), image[:, a : a + last_row + 1 : stride, b : b + last_column + 1 : stride]


# ---------- a net ----------


def convolutional_layers(
    initializer,
    seed,
    *,
    pooled=False,
    size=32,
    channels=(3, 16, 32, 64),
    hidden=128,
    classes=120,
    dtype=np.float64,
) -> dict:
    """The parameters of a net for `classify`.

    Each block has 3 x 3 filters, ReLU and max pooling by 2. Two nets follow from there:
    all values of the last block go through a hidden dense layer to the classes; or, if
    ``pooled``, each block is normalized and the mean of each channel goes to the classes.

    Args:
        initializer: function (rng, inputs, outputs) -> weights, one of ``lib.networks.initializers``. An output of a
            convolution has 9 * channels inputs. (For `glorot` Keras and PyTorch count 9 * outputs, too.)
        seed: of the generator; a whole number.
        pooled: the second net.
        size: height and width of the images.
        channels: of the images, and of the output of each block.
        hidden: width of the hidden layer of the first net.
        classes: number of outputs.
        dtype: of all parameters.

    Returns:
        dict in the order of the layers: filters ``F1`` (3, 3, channels, outputs), ``b1`` or, if pooled, ``scale1``,
        ``shift1``; ...; then ``W4``, ``b4`` and so on. Biases and shifts start at 0, scales at 1.

    Raises:
        ValueError: a number is no whole number >= 1, or the images are too small for the blocks.
    """
    for name, value in {"size": size, "hidden": hidden, "classes": classes}.items():
        check_range(COUNT, name, value, "convolutional_layers")
    blocks = len(channels) - 1
    if size >> blocks == 0:
        raise ValueError(f"convolutional_layers: size must be >= {2**blocks} for {blocks} blocks, got {size}.")
    rng, params = np.random.default_rng(seed), {}
    for layer in range(1, blocks + 1):
        inputs, outputs = channels[layer - 1 : layer + 1]
        params[f"F{layer}"] = initializer(rng, 9 * inputs, outputs).reshape(3, 3, inputs, outputs)
        if pooled:
            params[f"scale{layer}"], params[f"shift{layer}"] = np.ones(outputs), np.zeros(outputs)
        else:
            params[f"b{layer}"] = np.zeros(outputs)
    ends = [channels[-1], classes] if pooled else [channels[-1] * (size >> blocks) ** 2, hidden, classes]
    for layer, (inputs, outputs) in enumerate(pairwise(ends), start=blocks + 1):
        params[f"W{layer}"], params[f"b{layer}"] = initializer(rng, inputs, outputs), np.zeros(outputs)
    return {name: x.astype(dtype) for name, x in params.items()}


def classify(params, x, averages=None):
    """The logits of images, (batch, classes).

    Args:
        params: what `convolutional_layers` made: arrays, or Variables.
        x: images (batch, height, width, channels), standardized.
        averages: of `batch_moments` over training data, to normalize with when the net is
            used; the batch's own if None. Of no use to a net without normalization.
    """
    for layer in _layers(params, "F"):
        x = _block(params, layer, x, averages or {})
    x = global_average_pool(x) if "scale1" in params else flatten(x)
    first, *others = _layers(params, "W")
    x = dense(x, params[f"W{first}"], params[f"b{first}"])
    for layer in others:
        x = dense(relu(x), params[f"W{layer}"], params[f"b{layer}"])
    return x


def _block(params, layer, x, averages):
    z = convolution(x, params[f"F{layer}"], params.get(f"b{layer}"), padding="same")
    if f"scale{layer}" in params:
        mean, variance = averages.get(f"mean{layer}"), averages.get(f"variance{layer}")
        z = batch_norm_images(z, params[f"scale{layer}"], params[f"shift{layer}"], mean=mean, variance=variance)
    return relu(max_pool(z, 2))  # as max_pool(relu(z), 2), on a quarter of the pixels


def batch_moments(params, x) -> dict:
    """What a batch is normalized with: ``mean1``, ``variance1`` (channels,), ...

    A net that is used must not depend on what else is in the batch. Average these over
    batches of training data, after training, and give them to `classify`.

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 2, without its factor
    m / (m - 1); ``torch.optim.swa_utils.update_bn`` does it with.
    """
    moments = {}
    for layer in _layers(params, "scale"):
        z = value_of(convolution(x, params[f"F{layer}"], padding="same"))
        moments |= {f"mean{layer}": z.mean(axis=(0, 1, 2)), f"variance{layer}": z.var(axis=(0, 1, 2))}
        x = _block(params, layer, x, moments)
    return moments


def _layers(params, name):
    """The numbers of the layers that have a parameter of this name."""
    start = 1 + (len(_layers(params, "F")) if name == "W" else 0)
    return list(takewhile(lambda layer: f"{name}{layer}" in params, count(start)))
