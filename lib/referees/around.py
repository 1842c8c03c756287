"""What stands around an update rule, ours and the frameworks', driven over a recording: weight decay, clipping, the
average of the weights, the accumulation of gradients."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch.optim.swa_utils import AveragedModel

from lib.optimizers import Optimizer, accumulate
from lib.referees.keras import keras, tensorflow
from lib.referees.recording import Moment, Recording, flat


def run(
    rule: Callable,
    recording: Recording,
    clip: Callable | None = None,
    every: int = 1,
    average: Callable | None = None,
    overwrite: int | None = None,
    **hyperparameters,
) -> Iterator[Moment]:
    """Where ours is after each gradient of a recording.

    Args:
        rule: an update rule.
        recording: start and gradients.
        clip: of all gradients together, before the step.
        every: step once in that many gradients, along their mean.
        average: the new average of (average, params, t); without it there is none. It starts with the parameters after
            the first step.
        overwrite: put the average in the parameters' place once in that many steps.
        hyperparameters: of the rule.

    Yields:
        The parameters, and the average as the state "average".
    """
    optimizer, params, waiting, mean = Optimizer(rule, **hyperparameters), recording.start, [], None
    for gradients in recording.gradients:
        waiting.append(gradients)
        if len(waiting) == every:
            grads, waiting = accumulate(waiting), []
            params = optimizer.step(params, clip(grads) if clip else grads)
            if average:
                mean = params if mean is None else average(mean, params, optimizer.t)
            if overwrite and optimizer.t % overwrite == 0:
                params = mean
        yield Moment(flat(params), {} if mean is None else {"average": flat(mean)}, optimizer.t)


def run_torch(
    make: Callable,
    recording: Recording,
    clip: Callable | None = None,
    every: int = 1,
    average: Callable | None = None,
) -> Iterator[Moment]:
    """Where torch is. As `run`, but:

    Args:
        make: an optimizer of a list of parameters.
        clip: changes the gradients of a list of parameters in place.
        average: the ``multi_avg_fn`` of an ``AveragedModel``.
    """
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(a)) for a in recording.start])
    optimizer, averaged = make(list(model)), AveragedModel(model, multi_avg_fn=average)
    for i, gradients in enumerate(recording.gradients, 1):
        loss = sum((p * torch.tensor(g)).sum() for p, g in zip(model, gradients, strict=True))
        (loss / every).backward()
        if i % every == 0:
            if clip:
                clip(list(model))
            optimizer.step()
            optimizer.zero_grad()
            averaged.update_parameters(model)
        yield Moment(flat(model), {"average": flat(averaged.module)}, i // every)


def run_keras(name: str, recording: Recording, **arguments) -> Iterator[Moment]:
    """Where the optimizer ``keras.optimizers.<name>`` is that these arguments make. As `run`.

    On TensorFlow its step is compiled to a graph, as ``fit`` does.
    """
    optimizer = getattr(keras().optimizers, name)(**arguments)
    params = [keras().Variable(a, dtype=a.dtype) for a in recording.start]
    optimizer.build(params)
    step = lambda gradients: optimizer.apply(gradients, params)
    step = tensorflow().function(step) if keras().backend.backend() == "tensorflow" else step
    numpy = keras().ops.convert_to_numpy
    for gradients in recording.gradients:
        step([keras().ops.convert_to_tensor(g) for g in gradients])
        averages = optimizer._model_variables_moving_average if arguments.get("use_ema") else []
        state = {"average": flat(map(numpy, averages))} if averages else {}
        yield Moment(flat(map(numpy, params)), state, int(optimizer.iterations))


def run_optax(transformation, recording: Recording) -> Iterator[Moment]:
    """Where optax is, with a gradient transformation, or `optax.MultiSteps`. As `run`."""

    @jax.jit
    def step(params, state, gradients):
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    with jax.enable_x64(True):
        params = [jnp.asarray(a) for a in recording.start]
        state = transformation.init(params)
    for gradients in recording.gradients:
        with jax.enable_x64(True):
            params, state = step(params, state, [jnp.asarray(g) for g in gradients])
            yield Moment(flat(params), {}, None)


def path(moments, key: str | None = None) -> np.ndarray:
    """The parameters, or the state ``key``, at all moments: array (steps, coordinates)."""
    return np.stack([moment.state[key] if key else moment.params for moment in moments])
