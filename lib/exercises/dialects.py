"""The exercises of the chapter on the dialects of the frameworks.

A call is handed in as a dict of its arguments. Those that a port carries over without a thought, or changes the wrong
way, are told which.
"""

from math import sqrt
from numbers import Real

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, several

check = Exercises()


def call_of(answer, right: dict, faults=(), advice: str = "") -> None:
    """Raise `Wrong` unless ``answer`` is the call with the arguments ``right``.

    Args:
        answer: dict of argument to value.
        right: the same.
        faults: pairs (dict of arguments that make the fault, its hint); the first that ``answer`` holds is named.
        advice: what to say of a value that is wrong in no known way.
    """
    if not isinstance(answer, dict):
        raise Wrong(f"A dict of arguments is asked for, like {dict.fromkeys(right, '...')}.")
    if strangers := answer.keys() - right.keys():
        raise Wrong(f"{', '.join(sorted(strangers))}: not asked for. The arguments are {', '.join(right)}.")
    for fault, hint in faults:
        if fault.keys() <= answer.keys() and all(_same(answer[key], value) for key, value in fault.items()):
            raise Wrong(hint)
    if missing := [key for key in right if key not in answer]:
        raise Wrong(f"{', '.join(missing)}: left to its default, which is another number. Write it down.")
    for key, value in right.items():
        if not _same(answer[key], value):
            raise Wrong(f"{key}={answer[key]!r} is not it. {advice}".strip())


def _same(a, b) -> bool:
    if isinstance(b, bool) or not isinstance(b, Real):
        return type(a) is type(b) and a == b
    return isinstance(a, Real) and not isinstance(a, bool) and abs(a - b) <= 1e-9 * max(abs(b), 1e-30)


@check.exercise(1)
def first_step(answer):
    """How many times as long PyTorch's first step of Adam is as Keras', at a gradient of 1e-7 and an eps of 1e-7."""
    root = 0.001**0.5
    mistaken(answer, 1.0, "At the first step Keras adds eps to the root of 0.001 g**2, PyTorch to the root of g**2.")
    mistaken(answer, 2 * root / (1 + root), "Upside down: PyTorch's is the longer step.")
    mistaken(answer, 1 / root, "That is the limit for gradients far below eps; here the gradient is as large as eps.")
    near(answer, (1 + 1 / root) / 2, 1e-3, "PyTorch: 1 / (1 + 1). Keras: sqrt(0.001) / (sqrt(0.001) + 1).")
    return "Half a rate against a thirtieth of one, from the same numbers."


@check.exercise(2)
def adagrad_call(answer):
    """PyTorch's Adagrad that takes the steps of keras.optimizers.Adagrad(0.01, 0.1, epsilon=0.001)."""
    call_of(
        answer,
        {"lr": 0.01, "initial_accumulator_value": 0.101, "eps": 0.0},
        [
            (
                {"eps": 0.001},
                "PyTorch adds eps to the root, Keras inside it. In PyTorch it must be 0: where does it go?",
            ),
            (
                {"initial_accumulator_value": 0.1},
                "Keras adds its epsilon to the sum, at every step: start the sum higher.",
            ),
            ({"initial_accumulator_value": 0.099}, "The other way round: Keras' root holds more than its sum."),
            (
                {"initial_accumulator_value": 0.1 + sqrt(0.001)},
                "epsilon stands inside the root: it needs none of its own.",
            ),
        ],
        "Keras divides by sqrt(0.1 + squares + 0.001).",
    )
    return "A start and an epsilon inside the root are one number."


@check.exercise(3)
def momentum_at_a_drop(answer):
    """Keras' momentum at the step at which PyTorch's rate falls from 0.2 to 0.05, with a momentum of 0.8."""
    mistaken(answer, 0.8, "At the same momentum Keras' velocity still holds the rate of before: 0.2.", 1e-9)
    mistaken(answer, 3.2, "Upside down: a velocity that was made at 0.2 must shrink to the new rate.", 1e-9)
    mistaken(answer, 0.25, "That is the ratio of the rates; the momentum is multiplied by it.", 1e-9)
    near(answer, 0.2, 1e-9, "momentum times new rate / old rate, at this one step.")
    return "At this step only; before and after it, 0.8."


@check.exercise(4)
def decay_without_gradient(answer):
    """(share left by AdamW, share left by Adam with L2), after 1,000 steps without a gradient at a rate of 0.001."""
    decoupled, l2 = several(answer, "(decoupled, L2)")
    mistaken(decoupled, 0.0, "decoupled: a share of the weight is lost in each step, never all of it.", 1e-6)
    mistaken(decoupled, 0.99**1000, "decoupled: the share lost in a step is rate times weight_decay, not weight_decay.")
    near(decoupled, (1 - 1e-5) ** 1000, 0.003, "decoupled: in each step a share of rate times weight_decay is lost.")
    mistaken(l2, decoupled, "L2: here the decay is a gradient, and Adam divides a gradient by its size.", 1e-3)
    mistaken(l2, 1.0, "L2: the gradient of the loss is zero, that of the decay is not.", 1e-3)
    mistaken(l2, 0.0, "L2: steps of a whole rate would take it all; the decay fades, and v remembers. Run it.", 0.02)
    near(l2, 0.2577, 0.006, "L2: step Optimizer(l2(adam), lr=0.001, weight_decay=0.01) a thousand times.")
    return "Through Adam the decay loses its size: with 0.0001 for 0.01 as much would be left."


@check.exercise(5)
def boundaries(answer):
    """Keras' boundaries for PyTorch's MultiStepLR(milestones=[30, 60])."""
    given = list(np.ravel(np.asarray(answer, dtype=object)))
    if given == [30, 60]:
        raise Wrong("Keras keeps the old rate *at* its boundary; PyTorch has the new one at its milestone.")
    if given == [31, 61]:
        raise Wrong("The other way round: the old rate must end one step earlier.")
    if len(given) != 2:
        raise Wrong("Two steps are asked for: [first, second].")
    near(answer, [29, 59], 1e-9, "The last step with the old rate.")
    return "In Keras a boundary is the last step of the old rate, in PyTorch a milestone the first of the new."


@check.exercise(6)
def warm_up_and_cosine(answer):
    """optax.warmup_cosine_decay_schedule for Keras' CosineDecay(0.0, 80, warmup_target=0.1, warmup_steps=20)."""
    call_of(
        answer,
        {"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 20, "decay_steps": 100},
        [
            ({"decay_steps": 80}, "optax counts the warm-up in; Keras' decay_steps leaves it out."),
            ({"decay_steps": 60}, "The other way round: optax's number is the larger one."),
            ({"peak_value": 0.0}, "Keras' first rate is where the warm-up begins; its target is the peak."),
            ({"init_value": 0.1}, "Keras' first rate is where the warm-up begins."),
        ],
        "The warm-up takes 20 steps, the cosine 80.",
    )
    return "One name, decay_steps, for the cosine alone and for both together."


# Exercise 7: three ports of torch.optim.AdamW(lr=0.01, weight_decay=0.1), known by what they do.
def adamw(x, g, m, v, t, *, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return x - lr * (step + weight_decay * x), m, v


def through_the_gradient(x, g, m, v, t):
    return adamw(x, g + 0.1 * x, m, v, t, weight_decay=0.0)


def without_the_rate(x, g, m, v, t):
    new, m, v = adamw(x, g, m, v, t, weight_decay=0.0)
    return new - 0.1 * x, m, v


def default_decay(x, g, m, v, t):
    return adamw(x, g, m, v, t, weight_decay=0.004)


def path_of(port, gradients, x=1.0) -> np.ndarray:
    """Where a parameter that starts at ``x`` is after each step of a port: array (steps,)."""
    m = v = 0.0
    path = []
    for t, g in enumerate(gradients, 1):
        x, m, v = port(x, g, m, v, t)
        path.append(x)
    return np.array(path)


suspects = {"A": without_the_rate, "B": through_the_gradient, "C": default_decay}
# fault: (who has it, what brings it to light)
FAULTS = {
    "decay through the gradient": ("B", "gradients of zero"),
    "decay without the rate": ("A", "a gradient of zero, once"),
    "the default decay of Keras": ("C", "gradients of zero for a thousand steps"),
    "no decay at all": (None, "gradients of zero"),
    "the eps of Keras": (None, "gradients of 1e-8 from a parameter at 0"),
    "betas swapped": (None, "one gradient after a hundred zeros"),
}


@check.exercise(7)
def which_fault(answer):
    convict(answer, suspects, FAULTS, "give it {} and compare with adamw")
    return "B and C lower a loss like the right one. Without a gradient none of them can hide."


@check.exercise(8)
def rmsprop_call(answer):
    """optax.rmsprop that takes the steps of torch.optim.RMSprop(lr=0.01)."""
    call_of(
        answer,
        {"learning_rate": 0.01, "decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False},
        [
            ({"eps_in_sqrt": True}, "PyTorch adds eps outside the root."),
            ({"decay": 0.9}, "That is optax's default; PyTorch's alpha is 0.99."),
            ({"eps": 1e-16}, "No eps inside the root does what one outside does: take it out with eps_in_sqrt."),
            ({"eps": 1e-7}, "That is Keras' epsilon; PyTorch's is 1e-8."),
        ],
        "Ask torch.optim.RMSprop for its defaults.",
    )
    return "optax alone speaks both dialects of RMSProp."
