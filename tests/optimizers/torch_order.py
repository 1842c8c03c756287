"""The rules once more, in the order in which torch.optim rounds: how many digits of a deviation are due to order alone.

A rule stands here if its readable form rounds otherwise. Each line is one statement of the function
``torch.optim.<name>._single_tensor_<name>``; every product, sum and quotient is rounded by itself.

    python -m tests.optimizers.torch_order

prints, as JSON, how far each rule that torch has ends up from torch, in parameters and in state. With torch's
vectorized kernels switched off (``ATEN_CPU_CAPABILITY=default``), which fuse multiplication and addition, that is zero.
"""

import json
import sys

import numpy as np
import torch

from lib.arrays import maximum, sqrt
from lib.dialects.torch import DIALECTS
from lib.optimizers.rule import named_for
from lib.referees import recording as ours
from lib.referees import task
from lib.referees import torch as referee


def rmsprop(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g * g  # square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    return x - lr * g / (sqrt(v) + eps), v


def adadelta(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g * g
    step = sqrt(u + eps) / sqrt(v + eps) * g
    u = rho * u + (1 - rho) * step * step
    return x - lr * step, v, u


def adam(x, g, m, v, t, *, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)  # exp_avg.lerp_(grad, 1 - beta1)
    v = beta2 * v + (1 - beta2) * g * g
    denominator = sqrt(v) / (1 - beta2**t) ** 0.5 + eps
    return x - lr / (1 - beta1**t) * m / denominator, m, v


def centered_rmsprop(x, g, v, m, u, *, lr, rho, momentum, eps):
    v = rho * v + (1 - rho) * g * g
    m = m + (1 - rho) * (g - m)  # grad_avg.lerp_(grad, 1 - alpha)
    denominator = sqrt(v - m * m) + eps
    u = momentum * u + g / denominator
    return x - lr * u, v, m, u


def nadam(x, g, m, v, mu_product, t, *, lr, beta1, beta2, eps, momentum_decay=0.004):
    mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay)) for step in (t, t + 1))
    mu_product = mu_product * mu
    product = mu_product.flatten()[0].item()  # in double from here on, as torch's number
    m = m + (1 - beta1) * (g - m)
    v = beta2 * v + (1 - beta2) * g * g
    denominator = sqrt(v / (1 - beta2**t)) + eps
    x = x + -lr * (1 - mu) / (1 - product) * g / denominator  # param.addcdiv_, twice
    return x + -lr * mu_next / (1 - product * mu_next) * m / denominator, m, v, mu_product


def radam(x, g, m, v, t, *, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    if rho <= 5:
        return x - m_hat * lr, m, v
    r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
    return x - m_hat * lr * ((1 - beta2**t) ** 0.5 / (sqrt(v) + eps)) * r, m, v


def adamw(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    return adam(x * (1 - lr * weight_decay), g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def amsgrad(x, g, m, v, v_max, t, *, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = beta2 * v + (1 - beta2) * g * g
    v_max = maximum(v_max, v)
    denominator = sqrt(v_max) / (1 - beta2**t) ** 0.5 + eps
    return x - lr / (1 - beta1**t) * m / denominator, m, v, v_max


def adamax(x, g, m, u, t, *, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    u = maximum(beta2 * u, abs(g) + eps)
    return x - lr / (1 - beta1**t) * m / u, m, u


# The rest sum up numbers in an order that only the same call of torch's repeats.


def adafactor(x, g, R, C, t, *, lr, eps1, eps2, d, weight_decay=0.0):
    alpha = max(eps2, x.norm(2).item() / x.numel() ** 0.5) * min(lr, 1 / t**0.5)
    x = x * (1 - lr * weight_decay)
    if x.ndim > 1:
        R = R.lerp(torch.norm(g, dim=-1, keepdim=True) ** 2 / g.size(-1), t**-0.8)
        C = C.lerp(torch.norm(g, dim=-2, keepdim=True) ** 2 / g.size(-2), t**-0.8)
        V = R @ C / R.mean(dim=-2, keepdim=True).clamp(min=eps1)
    else:
        V = R = R.lerp(g * g, t**-0.8)
    u = V.clamp(min=eps1 * eps1).rsqrt() * g
    return x - alpha / max(1.0, u.norm(2).item() / (u.numel() ** 0.5 * d)) * u, R, C


def muon(x, g, v, *, lr, momentum, eps, weight_decay):
    rows, columns = x.shape
    v = v.lerp(g, 1 - momentum)
    o = g.lerp(v, momentum)
    o = o if o.dtype == torch.float64 else o.bfloat16()
    o = o.T if rows > columns else o
    o = o / o.norm().clamp(min=eps)
    for _ in range(5):
        A = o @ o.T
        o = torch.addmm(o, torch.addmm(A, A, A, beta=-4.7750, alpha=2.0315), o, beta=3.4445)
    o = o.T if rows > columns else o
    x = x * (1 - lr * weight_decay)
    return x.add(o, alpha=-lr * max(1, rows / columns) ** 0.5), v


REORDERED = {
    f.__name__: f
    for f in (rmsprop, centered_rmsprop, adadelta, adam, adamw, amsgrad, adamax, nadam, radam, adafactor, muon)
}


def in_torchs_order(name):
    """The rule ``name`` of torch's dialect, reordered where that is needed."""
    right, rule = DIALECTS[name].rule, REORDERED.get(name, DIALECTS[name].rule)
    vars(rule).update(vars(right))  # it stands in for that rule
    return rule


def deviations(name, dtype):
    """The largest difference from torch in 1,000 steps of each recording, of parameters and of every state."""
    array, apart = lambda a: torch.tensor(a, dtype=dtype), {}
    for recording in "every_size", "patterns":
        recording, hyperparameters = task(name, recording)
        rule = in_torchs_order(name)
        if "eps1" in hyperparameters:
            hyperparameters["eps1"] = torch.finfo(dtype).eps  # as torch has it: the square of the paper's vanishes
        # Tensors on our side as well: torch's square root is not always the nearest number, as NumPy's is.
        mine = ours.run(rule, recording, array=array, **named_for(rule, hyperparameters))
        for a, b in zip(mine, referee.run(name, recording, array=array, **hyperparameters), strict=True):
            pairs = {"x": (a.params, b.params)} | {key: (a.state[key], value) for key, value in b.state.items()}
            for key, (p, q) in pairs.items():
                assert np.isfinite(q).all()
                apart[key] = max(apart.get(key, 0.0), float(np.abs(p - q).max()))
    return apart


if __name__ == "__main__":
    print(json.dumps({str(dtype): {name: deviations(name, dtype) for name in sys.argv[1:] or DIALECTS}
                      for dtype in (torch.float64, torch.float32)}))  # fmt: skip
