"""optax as a referee: its gradient transformations, driven over a recording in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lib.referees.recording import Recording, flat

OPTIMIZERS = {
    "gradient_descent": lambda lr: optax.sgd(lr),
    "momentum": lambda lr, momentum: optax.sgd(lr, momentum=momentum),
    "nesterov": lambda lr, momentum: optax.sgd(lr, momentum=momentum, nesterov=True),
    "adagrad": lambda lr, eps: optax.adagrad(lr, eps=eps),
    "rmsprop": lambda lr, rho, eps: optax.rmsprop(lr, decay=rho, eps=eps),
    "adadelta": lambda lr, rho, eps: optax.adadelta(lr, rho=rho, eps=eps),
    "adam": lambda lr, beta1, beta2, eps: optax.adam(lr, b1=beta1, b2=beta2, eps=eps),
}


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that optax takes through a recording: array (steps, coordinates).

    Arguments as in `lib.referees.torch.replay`.
    """
    with jax.enable_x64(True):
        optimizer, path = OPTIMIZERS[name](**hyperparameters), []

        @jax.jit
        def step(params, state, gradients):
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        params = [jnp.asarray(a) for a in recording.start]
        state = optimizer.init(params)
        for gradients in recording.gradients:
            params, state = step(params, state, gradients)
            path.append(flat(params))
    return np.stack(path)
