"""torch.optim as a referee: its optimizers, driven over a recording."""

import numpy as np
import torch

from lib.referees.recording import Recording, flat

OPTIMIZERS = {
    "gradient_descent": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr, momentum: torch.optim.SGD(p, lr=lr, momentum=momentum),
    "nesterov": lambda p, lr, momentum: torch.optim.SGD(p, lr=lr, momentum=momentum, nesterov=True),
    "adagrad": lambda p, lr, eps: torch.optim.Adagrad(p, lr=lr, eps=eps),
    "rmsprop": lambda p, lr, rho, eps: torch.optim.RMSprop(p, lr=lr, alpha=rho, eps=eps),
    "adadelta": lambda p, lr, rho, eps: torch.optim.Adadelta(p, lr=lr, rho=rho, eps=eps),
    "adam": lambda p, lr, beta1, beta2, eps: torch.optim.Adam(p, lr=lr, betas=(beta1, beta2), eps=eps),
}


def replay(name: str, recording: Recording, device: str = "cpu", **hyperparameters) -> np.ndarray:
    """The path that torch.optim takes through a recording: array (steps, coordinates).

    Args:
        name: of the rule in `OPTIMIZERS`.
        recording: start and gradients; parameters take their dtype.
        device: where torch computes, for example "cuda".
        hyperparameters: all of the rule's, under the book's names.
    """
    params = [torch.tensor(a, device=device, requires_grad=True) for a in recording.start]
    optimizer, path = OPTIMIZERS[name](params, **hyperparameters), []
    for gradients in recording.gradients:
        for p, g in zip(params, gradients, strict=True):
            p.grad = torch.tensor(g, device=device)
        optimizer.step()
        path.append(flat([p.detach().cpu() for p in params]))
    return np.stack(path)
