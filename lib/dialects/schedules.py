"""How PyTorch, Keras and optax write the book's schedules.

`COUNTERPARTS` lists, for each schedule, what one writes in each framework, as text: pages show it, the referee runs it.
Where a framework computes something else, a schedule of this file says what. The frameworks count whole steps: for
fractions of one, which the book's schedules take, nothing is promised.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from math import pi

from lib.arrays import cos
from lib.schedules import schedule


@dataclass(frozen=True)
class Counterpart:
    """What a framework has for one of the book's schedules.

    It is code in the names of the framework's schedules, of the book's arguments, and of torch's ``optimizer``. Where
    another schedule follows, ``then`` is its counterpart, ``first`` its first rate, and ``inner`` has its arguments and
    the counterpart's ``until``; ``base`` is the rate with which torch's optimizer is made for it, None if the framework
    does not have it.

    Attributes:
        code: what makes it.
        when: the condition on the arguments under which it does.
        only: the same in words, where it is about more than a shape.
        lr: the rate that torch's optimizer is made with.
        until: the last step at which its rate is the book's.
        ahead: by how many steps its rates come earlier.
        computes: the schedule that it is instead: a function of the same arguments.
        differs: what ``until``, ``ahead`` and ``computes`` mean, in words.
        blind: what one writes who carries over names and defaults; it gives other rates.
    """

    code: str
    _: KW_ONLY
    when: str = "True"
    only: str = ""
    lr: str = "lr"
    until: str = "inf"
    ahead: int = 0
    computes: Callable | None = None
    differs: str = ""
    blind: str | None = None


@schedule
def cosine_wave(t, *, lr, steps, end=0.0):
    """A cosine that goes on: after ``steps`` the rate rises, and falls again.

    torch ``CosineAnnealingLR``.
    """
    return end + (lr - end) * (1 + cos(pi * t / steps)) / 2


# In torch a schedule can follow another if it can be set to a step, which those made of others cannot, and leaves the
# optimizer's first rate alone, which OneCycleLR does not. One can hold another down if both multiply the last rate.
_TORCH_JOINS = (
    "shape is linear and not runs_on and base and inner.schedule not in (warm_up, warmup_stable_decay, one_cycle)"
)
_TORCH_CHAINS = (
    "shape is linear and runs_on and base and (inner.schedule in (step, multi_step, exponential, linear, polynomial) "
    "or inner.schedule is cosine and inner.end == 0)"
)

COUNTERPARTS: dict[str, dict[str, list[Counterpart]]] = {
    "constant": {
        "torch": [Counterpart("LambdaLR(optimizer, lambda t: 1.0)", blind="ConstantLR(optimizer)")],
        "keras": [Counterpart("lr")],
        "optax": [Counterpart("constant_schedule(lr)")],
    },
    "step": {
        "torch": [Counterpart("StepLR(optimizer, step_size=every, gamma=gamma)")],
        "keras": [
            Counterpart(
                "ExponentialDecay(lr, decay_steps=every, decay_rate=gamma, staircase=True)",
                blind="ExponentialDecay(lr, decay_steps=every, decay_rate=gamma)",
            )
        ],
        "optax": [
            Counterpart(
                "exponential_decay(lr, transition_steps=every, decay_rate=gamma, staircase=True)",
                blind="exponential_decay(lr, transition_steps=every, decay_rate=gamma)",
            )
        ],
    },
    "multi_step": {
        "torch": [Counterpart("MultiStepLR(optimizer, milestones=milestones, gamma=gamma)")],
        "keras": [
            Counterpart(
                "PiecewiseConstantDecay([m - 1 for m in milestones], "
                "[lr * gamma**i for i in range(len(milestones) + 1)])",
                blind="PiecewiseConstantDecay(milestones, [lr * gamma**i for i in range(len(milestones) + 1)])",
            )
        ],
        "optax": [Counterpart("piecewise_constant_schedule(lr, {m: gamma for m in milestones})")],
    },
    "exponential": {
        "torch": [
            Counterpart(
                "ExponentialLR(optimizer, gamma=gamma ** (1 / every))", blind="ExponentialLR(optimizer, gamma=gamma)"
            )
        ],
        "keras": [Counterpart("ExponentialDecay(lr, decay_steps=every, decay_rate=gamma)")],
        "optax": [Counterpart("exponential_decay(lr, transition_steps=every, decay_rate=gamma)")],
    },
    "inverse_time": {
        "torch": [Counterpart("LambdaLR(optimizer, lambda t: 1 / (1 + decay_rate * t / every))")],
        "keras": [Counterpart("InverseTimeDecay(lr, decay_steps=every, decay_rate=decay_rate)")],
    },
    "linear": {
        "torch": [
            Counterpart(
                "LinearLR(optimizer, start_factor=1.0, end_factor=end / lr, total_iters=steps)",
                when="end <= lr",
                only="Where the rate falls: end <= lr.",
                blind="LinearLR(optimizer, total_iters=steps)",
            ),
            Counterpart(
                "LinearLR(optimizer, start_factor=lr / end, total_iters=steps)",
                when="0 < lr < end",
                only="Where the rate rises: 0 < lr < end.",
                lr="end",
            ),
        ],
        "keras": [
            Counterpart(
                "PolynomialDecay(lr, decay_steps=steps, end_learning_rate=end)",
                blind="PolynomialDecay(lr, decay_steps=steps)",
            )
        ],
        "optax": [Counterpart("linear_schedule(lr, end, transition_steps=steps)")],
    },
    "polynomial": {
        "torch": [
            Counterpart("PolynomialLR(optimizer, total_iters=steps, power=power)", when="end == 0", only="For end = 0.")
        ],
        "keras": [
            Counterpart(
                "PolynomialDecay(lr, decay_steps=steps, end_learning_rate=end, power=power)",
                blind="PolynomialDecay(lr, decay_steps=steps, power=power)",
            )
        ],
        "optax": [Counterpart("polynomial_schedule(lr, end, power, transition_steps=steps)")],
    },
    "cosine": {
        "torch": [
            Counterpart(
                "CosineAnnealingLR(optimizer, T_max=steps, eta_min=end)",
                until="steps",
                computes=cosine_wave,
                differs="The rate rises again after the end.",
            )
        ],
        "keras": [
            Counterpart(
                "CosineDecay(lr, decay_steps=steps, alpha=end / lr)",
                when="lr > 0",
                blind="CosineDecay(lr, decay_steps=steps, alpha=end)",
            )
        ],
        "optax": [
            Counterpart(
                "cosine_decay_schedule(lr, decay_steps=steps, alpha=end / lr)",
                when="lr > 0",
                blind="cosine_decay_schedule(lr, decay_steps=steps, alpha=end)",
            )
        ],
    },
    "cosine_restarts": {
        "torch": [
            Counterpart(
                "CosineAnnealingWarmRestarts(optimizer, T_0=steps, T_mult=t_mult, eta_min=end)",
                when="gamma == 1 and t_mult == int(t_mult)",
                only="For gamma = 1 and a whole t_mult.",
                blind="CosineAnnealingWarmRestarts(optimizer, T_0=steps, eta_min=end)",
            )
        ],
        "keras": [
            Counterpart(
                "CosineDecayRestarts(lr, first_decay_steps=steps, t_mul=t_mult, m_mul=gamma, alpha=end / lr)",
                when="lr > 0 and t_mult == int(t_mult)",
                only="For a whole t_mult.",
                until="inf if t_mult == 1 else steps - 1",
                differs="A run may begin a step late, where the logarithm that counts runs is rounded down.",
                blind="CosineDecayRestarts(lr, first_decay_steps=steps, alpha=end / lr)",
            )
        ],
        "optax": [
            Counterpart(
                "sgdr_schedule([dict(init_value=0.0, peak_value=end + (lr - end) * gamma**i, warmup_steps=0, "
                "decay_steps=steps * t_mult**i, end_value=end) for i in range(9)])",
                until="sum(steps * t_mult**i for i in range(9)) - 1",
                differs="The last run that one lists is the last.",
            )
        ],
    },
    "triangular": {
        "torch": [
            Counterpart(
                "CyclicLR(optimizer, base_lr=start, max_lr=lr, step_size_up=steps_up, step_size_down=steps_down, "
                "cycle_momentum=False)",
                lr="start",
            )
        ]
    },
    "triangular2": {
        "torch": [
            Counterpart(
                "CyclicLR(optimizer, base_lr=start, max_lr=lr, step_size_up=steps_up, step_size_down=steps_down, "
                "mode='triangular2', cycle_momentum=False)",
                lr="start",
            )
        ]
    },
    "exp_range": {
        "torch": [
            Counterpart(
                "CyclicLR(optimizer, base_lr=start, max_lr=lr, step_size_up=steps_up, step_size_down=steps_down, "
                "mode='exp_range', gamma=gamma, cycle_momentum=False)",
                lr="start",
                blind="CyclicLR(optimizer, base_lr=start, max_lr=lr, step_size_up=steps_up, "
                "step_size_down=steps_down, mode='exp_range', cycle_momentum=False)",
            )
        ]
    },
    "warm_up": {
        "torch": [
            Counterpart(
                "SequentialLR(optimizer, [LinearLR(optimizer, start_factor=start / base, "
                "end_factor=min(first / base, 1), total_iters=steps), then], milestones=[steps])",
                when=f"{_TORCH_JOINS} and 0 < start <= base",
                only="For 0 < start <= base, if what follows is not made of others, nor one_cycle.",
                lr="base",
                until="steps + inner.until",
                differs="What follows goes its own way, too: a cosine rises again.",
            ),
            Counterpart(
                "SequentialLR(optimizer, [LambdaLR(optimizer, lambda t: (start + (first - start) * t / steps) / base), "
                "then], milestones=[steps])",
                when=f"{_TORCH_JOINS} and not 0 < start <= base",
                only="If what follows is not made of others, nor one_cycle.",
                lr="base",
                until="steps + inner.until",
                differs="What follows goes its own way, too: a cosine rises again.",
                blind="SequentialLR(optimizer, [LinearLR(optimizer, total_iters=steps), then], milestones=[steps])",
            ),
            Counterpart(
                "ChainedScheduler([LinearLR(optimizer, start_factor=start / first, total_iters=steps), then])",
                when=f"{_TORCH_CHAINS} and 0 < start <= first",
                only="For 0 < start <= first, if what it holds down multiplies its last rate.",
                lr="base",
                until="inner.until",
                differs="What it holds down goes its own way, too: a cosine rises again.",
            ),
        ],
        "keras": [
            Counterpart(
                "CosineDecay(start, decay_steps=inner.steps, alpha=inner.end / inner.lr, warmup_target=inner.lr, "
                "warmup_steps=steps)",
                when="shape is linear and inner.schedule is cosine and inner.lr > 0 and not runs_on",
                only="If a cosine follows.",
            )
        ],
        "optax": [
            Counterpart(
                "join_schedules([linear_schedule(start, first, transition_steps=steps), then], boundaries=[steps])",
                when="shape is linear and not runs_on and base is not None",
                only="If optax has what follows.",
                until="steps + inner.until",
                differs="What follows ends, too.",
            ),
            Counterpart(
                "warmup_cosine_decay_schedule(start, inner.lr, warmup_steps=steps, decay_steps=steps + inner.steps, "
                "end_value=inner.end)",
                when="shape is linear and inner.schedule is cosine and inner.lr > 0 and not runs_on",
                only="If a cosine follows.",
                blind="warmup_cosine_decay_schedule(start, inner.lr, warmup_steps=steps, decay_steps=inner.steps, "
                "end_value=inner.end)",
            ),
            Counterpart(
                "warmup_exponential_decay_schedule(start, inner.lr, warmup_steps=steps, "
                "transition_steps=inner.every, decay_rate=inner.gamma)",
                when="shape is linear and inner.schedule is exponential and not runs_on",
                only="If an exponential follows.",
            ),
        ],
    },
    "noam": {
        "torch": [
            Counterpart(
                "LambdaLR(optimizer, lambda t: min((t + 1) ** -0.5, (t + 1) * warmup_steps**-1.5))", lr="d_model**-0.5"
            )
        ]
    },
    "inverse_sqrt": {
        "torch": [
            Counterpart("LambdaLR(optimizer, lambda t: min((t + 1) / warmup_steps, (warmup_steps / (t + 1)) ** 0.5))")
        ]
    },
    "warmup_stable_decay": {
        "torch": [
            Counterpart(
                "SequentialLR(optimizer, [LambdaLR(optimizer, lambda t: t / warmup_steps), "
                "LambdaLR(optimizer, lambda t: 1.0), "
                "LinearLR(optimizer, start_factor=1.0, end_factor=end / lr, total_iters=decay_steps)], "
                "milestones=[warmup_steps, steps - decay_steps])",
                when="shape is linear and end <= lr",
                only="For end <= lr.",
            )
        ],
        "optax": [
            Counterpart(
                "join_schedules([linear_schedule(0.0, lr, warmup_steps), constant_schedule(lr), "
                "linear_schedule(lr, end, decay_steps)], boundaries=[warmup_steps, steps - decay_steps])",
                when="shape is linear",
            ),
            Counterpart(
                "join_schedules([linear_schedule(0.0, lr, warmup_steps), constant_schedule(lr), "
                "cosine_decay_schedule(lr, decay_steps, alpha=end / lr)], "
                "boundaries=[warmup_steps, steps - decay_steps])",
                when="shape is cosine",
            ),
        ],
    },
    "one_cycle": {
        "torch": [
            Counterpart(
                "OneCycleLR(optimizer, max_lr=lr, total_steps=steps + 1, "
                "pct_start=(pct_start * steps + 1) / (steps + 1), three_phase=three_phase, "
                f"anneal_strategy='{name}', cycle_momentum=False, div_factor=div_factor, "
                "final_div_factor=final_div_factor)",
                when=f"shape is {shape}",
                blind="OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=pct_start, "
                f"three_phase=three_phase, anneal_strategy='{name}', cycle_momentum=False, div_factor=div_factor, "
                "final_div_factor=final_div_factor)",
                until="steps",
                differs="After the end there is one rate more, off the line of the last phase, then an error.",
            )
            for shape, name in (("cosine", "cos"), ("linear", "linear"))
        ],
        "optax": [
            Counterpart(
                "cosine_onecycle_schedule(transition_steps=steps, peak_value=lr, pct_start=pct_start, "
                "div_factor=div_factor, final_div_factor=final_div_factor)",
                when="shape is cosine and not three_phase and isclose(pct_start * steps, int(pct_start * steps))",
                only="If int(pct_start * steps) == pct_start * steps.",
            ),
            Counterpart(
                "linear_onecycle_schedule(transition_steps=steps, peak_value=lr, pct_start=pct_start, "
                "pct_final=2 * pct_start, div_factor=div_factor, final_div_factor=final_div_factor)",
                when="shape is linear and three_phase and isclose(pct_start * steps, int(pct_start * steps))",
                only="If int(pct_start * steps) == pct_start * steps.",
                blind="linear_onecycle_schedule(transition_steps=steps, peak_value=lr, pct_start=pct_start, "
                "div_factor=div_factor, final_div_factor=final_div_factor)",
            ),
        ],
    },
    "reduce_on_plateau": {
        "torch": [
            Counterpart(
                "ReduceLROnPlateau(optimizer, factor=gamma, patience=patience - 1, threshold=rtol, cooldown=cooldown, "
                "min_lr=end, eps=0)",
                when="atol == 0 and gamma < 1",
                only="For atol = 0 and gamma < 1.",
                blind="ReduceLROnPlateau(optimizer, factor=gamma, patience=patience, threshold=rtol, "
                "cooldown=cooldown, min_lr=end)",
            ),
            Counterpart(
                "ReduceLROnPlateau(optimizer, factor=gamma, patience=patience - 1, threshold=atol, "
                "threshold_mode='abs', cooldown=cooldown, min_lr=end, eps=0)",
                when="rtol == 0 < atol and gamma < 1",
                only="For rtol = 0 and gamma < 1.",
                blind="ReduceLROnPlateau(optimizer, factor=gamma, patience=patience, threshold=atol, "
                "threshold_mode='abs', cooldown=cooldown, min_lr=end)",
            ),
        ],
        "keras": [
            Counterpart(
                "ReduceLROnPlateau(factor=gamma, patience=patience, min_delta=atol, cooldown=cooldown + 1, min_lr=end)",
                when="rtol == 0 and gamma < 1",
                only="For rtol = 0 and gamma < 1.",
                blind="ReduceLROnPlateau(factor=gamma, patience=patience, min_delta=atol, cooldown=cooldown, "
                "min_lr=end)",
            )
        ],
        "optax": [
            Counterpart(
                "reduce_on_plateau(factor=gamma, patience=patience, rtol=rtol, atol=atol, cooldown=cooldown, "
                "min_scale=end / lr)",
                when="end <= lr and rtol + atol > 0 and gamma < 1",
                only="For end <= lr, gamma < 1, and not both tolerances 0.",
                ahead=1,
                differs="The loss of a step already counts for that step.",
            )
        ],
    },
}
