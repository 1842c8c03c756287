"""The training of `lib.experiments.ranks` by the frameworks' own means: nets, optimizers and sums over workers.

    paths = run_ranks(trained_by_ddp, 2, 200)              each rank's parameters after each step, (200, d)
    (path,) = run_ranks(trained_by_keras, 1, 200, 2)       two replicas in one process, which is new for each call

Both begin with the parameters, and take the batches, of `lib.experiments.ranks.beginning`.
"""

import itertools
import os

import numpy as np
import torch
import torch.distributed as dist

from lib.experiments.digits import HIDDEN
from lib.experiments.many_machines import shards
from lib.experiments.ranks import LR, MOMENTUM, beginning
from lib.experiments.second_order import flat
from lib.referees.keras import silence


def trained_by_ddp(steps: int) -> np.ndarray:
    """By ``DistributedDataParallel`` and ``SGD`` of PyTorch, in each rank of a group.

    It takes the mean over the ranks, whatever the sizes of their shards. So the mean loss of a shard is multiplied by
    how many times it is larger than the mean shard.
    """
    x, y, params, draws = beginning()
    layers = torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10)
    net = torch.nn.Sequential(*layers).double()
    arrays = [params["W1"].T, params["b1"], params["W2"].T, params["b2"]]
    with torch.no_grad():
        for its, a in zip(net.parameters(), arrays, strict=True):
            its.copy_(torch.from_numpy(a))
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)
    x, y, rank, size = torch.from_numpy(x), torch.from_numpy(y), dist.get_rank(), dist.get_world_size()
    parallel, path = torch.nn.parallel.DistributedDataParallel(net), []
    for batch in itertools.islice(draws, steps):
        part = shards(batch, size)[rank]
        optimizer.zero_grad()
        mean = torch.nn.functional.cross_entropy(parallel(x[part]), y[part])
        (mean * (len(part) * size / len(batch))).backward()
        optimizer.step()
        W1, b1, W2, b2 = (its.detach().numpy() for its in net.parameters())
        path.append(flat({"W1": W1.T, "b1": b1, "W2": W2.T, "b2": b2}))
    return np.array(path)


def trained_by_keras(steps: int, size: int) -> np.ndarray:
    """By ``MirroredStrategy`` of TensorFlow and ``SGD`` of Keras, in ``size`` replicas on as many devices, into which
    one processor is divided: that must come before TensorFlow looks at it, so in a process of its own.

    Keras adds up the gradients of the replicas. So a replica's loss is its sum, over the size of the whole batch.
    """
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    with silence():
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * size)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(size)])
    keras = tf.keras
    x, y, params, draws = beginning()
    with strategy.scope():
        layer = lambda units, activation: keras.layers.Dense(units, activation=activation, dtype="float64")
        start = keras.Input((x.shape[1],), dtype="float64")
        net = keras.Sequential([start, layer(HIDDEN, "relu"), layer(10, None)])
        net.set_weights(list(params.values()))
        optimizer = keras.optimizers.SGD(learning_rate=LR, momentum=MOMENTUM)
        optimizer.build(net.trainable_variables)

    def step(x, y, n):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(y, net(x), from_logits=True)
            loss = tf.reduce_sum(losses) / n
        optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)

    run, path = tf.function(lambda *given: strategy.run(step, given), autograph=False), []
    for batch in itertools.islice(draws, steps):
        parts = shards(batch, size)

        def dealt(arrays):
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(arrays[context.replica_id_in_sync_group])
            )

        run(
            dealt([x[part] for part in parts]),
            dealt([y[part] for part in parts]),
            tf.constant(float(len(batch)), x.dtype),
        )
        path.append(np.concatenate([its.numpy().ravel() for its in net.trainable_variables]))
    return np.array(path)
