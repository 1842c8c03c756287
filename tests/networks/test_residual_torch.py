"""The residual net computes what NumPy's layers do; its skips are the identity, and the gradient comes back by them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lib.networks import batch_norm_images, convolution, dense, global_average_pool, glorot, he, relu
from lib.networks.residual_torch import ResidualBlock, ResidualNet, load_start

SMALL = {"channels": (3, 4, 4, 6, 8), "classes": 5}


def images(shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape)).permute(0, 3, 1, 2)


def silence(net):
    """Make the f of each block 0."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, ResidualBlock):
                module.f[-1].weight.zero_()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (64, 64), (33, 20)])
def test_any_size(height, width):
    net, x = ResidualNet(), torch.zeros(2, 3, height, width)
    assert net(x).shape == (2, 120)
    for layers, channels, share in (1, 16, 2), (2, 16, 2), (3, 32, 4), (4, 64, 8):
        assert net.features[:layers](x).shape == (2, channels, -(-height // share), -(-width // share))


def test_it_computes_what_numpy_s_layers_do():
    """In double, layer by layer as the paper has it; away from the scales of 1 and shifts of 0 of the start."""
    net, rng = ResidualNet(**SMALL).double(), np.random.default_rng(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter += torch.tensor(0.1 * rng.standard_normal(parameter.shape))
    x = rng.standard_normal((3, 9, 9, 3))
    weights = iter(parameter.detach().numpy() for parameter in net.parameters())
    filters = lambda: next(weights).transpose(2, 3, 1, 0)

    def normalized(h):
        return relu(batch_norm_images(h, next(weights), next(weights)))

    h = convolution(x, filters(), stride=2, padding=1)
    for stride in 1, 2, 2:
        skip = h[:, ::stride, ::stride]
        h = convolution(normalized(h), filters(), stride=stride, padding=1)
        h = convolution(normalized(h), filters(), padding=1)
        h[..., : skip.shape[3]] += skip
    logits = dense(global_average_pool(normalized(h)), next(weights).T, next(weights))
    theirs = net(torch.tensor(x).permute(0, 3, 1, 2)).detach().numpy()
    # Eight layers, each off by at most a hundred roundings.
    np.testing.assert_allclose(theirs, logits, rtol=0, atol=800 * np.finfo(float).eps * np.abs(logits).max())


def test_the_skip_is_the_identity():
    x = images((2, 6, 6, 4))
    same, half = ResidualBlock(4, 4).double(), ResidualBlock(4, 7, stride=2).double()
    silence(nn.Sequential(same, half))
    assert torch.equal(same(x), x)
    assert torch.equal(half(x)[:, :4], x[:, :, ::2, ::2])
    assert half(x).shape == (2, 7, 3, 3)
    assert not half(x)[:, 4:].any()


def test_the_gradient_comes_back_by_the_skips():
    """As it is, through thirty blocks that compute nothing."""
    x = images((2, 6, 6, 4)).requires_grad_()
    blocks = nn.Sequential(*(ResidualBlock(4, 4) for _ in range(30))).double()
    silence(blocks)
    g = images((2, 6, 6, 4), seed=1)
    blocks(x).backward(g)
    assert torch.equal(x.grad, g)


def test_the_gradient_reaches_the_first_layer():
    net = ResidualNet().double()
    load_start(net, he, seed=0)
    functional.cross_entropy(net(images((4, 32, 32, 3))), torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.norm() > 1e-3, name


@pytest.mark.parametrize("initializer", [he, glorot])
def test_the_start_is_numpy_s(initializer):
    net, rng = ResidualNet(**SMALL).double(), np.random.default_rng(7)
    load_start(net, initializer, seed=7)
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 8
    for layer in layers:
        fan_in = layer.weight[0].numel()
        weights = initializer(rng, fan_in, len(layer.weight))
        np.testing.assert_array_equal(layer.weight.detach().numpy().reshape(-1, fan_in), weights.T)
    assert not layers[-1].bias.any()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()
