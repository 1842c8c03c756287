"""A small residual net of images, in PyTorch.

net = ResidualNet()
load_start(net, he, seed=0)
logits = net(torch.tensor(images).permute(0, 3, 1, 2))        channels first
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """x -> skip(x) + f(x); f is twice normalization, ReLU and a 3 x 3 convolution, without biases.

    At stride 1 the skip is the identity. At stride 2 it is that of every other pixel, with channels of zeros added:
    it has no parameters, so the gradient comes back along it as it is.

    Source: He, Zhang, Ren & Sun 2016, "Identity Mappings in Deep Residual Networks", figure 1b. The skip is option A of
    He, Zhang, Ren & Sun 2016, arXiv 1512.03385, section 3.3.
    """

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.stride, self.added = stride, outputs - inputs
        self.f = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
        )

    def skip(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, 0, self.added)) if self.added else x

    def forward(self, x):
        return self.skip(x) + self.f(x)


class ResidualNet(nn.Module):
    """Images (batch, channels, height, width), of any size -> logits (batch, classes).

    A convolution of stride 2; a block for each pair of neighbors in ``channels``, the first at stride 1, the others at
    2; normalization, ReLU, the mean of each channel and a dense layer.

    Args:
        channels: of the images, of the first convolution, and of what each block returns; none fewer than before.
        classes: number of outputs.
    """

    def __init__(self, channels=(3, 16, 16, 32, 64), classes=120):
        super().__init__()
        images, first, *_ = channels
        self.features = nn.Sequential(
            nn.Conv2d(images, first, kernel_size=3, stride=2, padding=1, bias=False),
            *(ResidualBlock(*pair, stride=1 if i == 0 else 2) for i, pair in enumerate(pairwise(channels[1:]))),
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))

    def forward(self, x):
        return self.classifier(self.features(x))


@torch.no_grad()
def load_start(net, initializer, seed) -> None:
    """Give a net a start of NumPy's, in the order of ``net.parameters()``: weights by one of
    `lib.networks.initializers`, the number of inputs of an output being all that it multiplies; biases of dense layers
    0. (Normalizations start from 1 and 0 as they are.)
    """
    rng = np.random.default_rng(seed)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            outputs, *inputs = layer.weight.shape
            weights = initializer(rng, int(np.prod(inputs)), outputs)
            layer.weight.copy_(torch.from_numpy(weights.T.reshape(layer.weight.shape)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
