"""The nets of `lib.networks.convolution` in PyTorch.

net = ConvolutionalNet(pooled=False)
load(net, params)
logits = net(torch.tensor(images).permute(0, 3, 1, 2))        channels first

Its own start is PyTorch's, not that of `convolutional_layers`; load parameters for the same one.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn


class ConvolutionalNet(nn.Module):
    """Images (batch, channels, size, size) -> logits (batch, classes); arguments as of `convolutional_layers`."""

    def __init__(self, pooled=False, size=32, channels=(3, 16, 32, 64), hidden=128, classes=120):
        super().__init__()
        blocks = []
        for inputs, outputs in pairwise(channels):
            # A normalization takes the mean away, and with it any bias before it.
            blocks.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=not pooled))
            if pooled:
                blocks.append(nn.BatchNorm2d(outputs))
            blocks += [nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks)
        if pooled:
            self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))
        else:
            side = size // 2 ** (len(channels) - 1)
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Linear(channels[-1] * side * side, hidden), nn.ReLU(), nn.Linear(hidden, classes)
            )

    def forward(self, x):
        return self.classifier(self.features(x))


def weights(params) -> list:
    """Parameters of `convolutional_layers`, or their gradients, in the order of ``net.parameters()`` and with its axes:
    outputs first.
    """
    ordered, channels = [], None
    for x in params.values():
        if x.ndim == 4:
            x, channels = x.transpose(3, 2, 0, 1), x.shape[3]  # (height, width, inputs, outputs), the other way round
        elif x.ndim == 2:
            if channels != len(x):  # it comes after `flatten`: from pixel by pixel to channel by channel
                x = x.reshape(-1, channels, x.shape[1]).swapaxes(0, 1).reshape(x.shape)
            x, channels = x.T, x.shape[1]
        ordered.append(np.ascontiguousarray(x))
    return ordered


@torch.no_grad()
def load(net, params, averages=None) -> None:
    """Give a net the parameters of `convolutional_layers`, and, for when it is used, the averages of
    `lib.networks.convolution.batch_moments`.
    """
    for parameter, x in zip(net.parameters(), weights(params), strict=True):
        parameter.copy_(torch.from_numpy(x))
    if averages:
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for layer, norm in enumerate(norms, start=1):
            norm.running_mean.copy_(torch.from_numpy(averages[f"mean{layer}"]))
            norm.running_var.copy_(torch.from_numpy(averages[f"variance{layer}"]))
