"""Test surfaces of two variables, each with its gradient, its minima and the window it is drawn in.

The file uses plain arithmetic only, so the playgrounds in the book's pages run it as it stands.
"""


class Landscape:
    """A function of (x, y) to walk down.

    Args:
        name: what captions call it.
        value: function (x, y) -> height, for floats or arrays.
        gradient: function (x, y) -> (df/dx, df/dy), for floats or arrays.
        minima: the points (x, y) of its global minimum; empty where there is none.
        window: ((x_min, x_max), (y_min, y_max)), the part that is drawn.
        start: where a walk begins unless told otherwise.
    """

    def __init__(self, name, value, gradient, minima, window, start):
        self.name = name
        self.value = value
        self.gradient = gradient
        self.minima = minima
        self.window = window
        self.start = start

    def __repr__(self):
        return "Landscape(" + self.name + ")"


def quadratic(condition_number, name="quadratic"):
    """The bowl ``(x**2 + k * y**2) / 2`` with curvatures 1 and ``k``, the condition number (a finite number >= 1)."""
    k = condition_number
    if not 1 <= k < float("inf"):
        raise ValueError(f"quadratic: condition_number must be a finite number >= 1, got {k!r}.")
    return Landscape(
        name,
        value=lambda x, y: (x**2 + k * y**2) / 2,
        gradient=lambda x, y: (x, k * y),
        minima=[(0.0, 0.0)],
        window=((-2.4, 2.4), (-1.6, 1.6)),
        start=(-2.0, 1.0),
    )


bowl = quadratic(2, "bowl")
ravine = quadratic(50, "ravine")

# A curved valley, easy to find and hard to follow.
# Source: Rosenbrock 1960, "An Automatic Method for Finding the Greatest or Least Value of a Function".
rosenbrock = Landscape(
    "Rosenbrock's valley",
    value=lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    gradient=lambda x, y: (-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)),
    minima=[(1.0, 1.0)],
    window=((-2.0, 2.0), (-1.0, 3.0)),
    start=(-1.2, 1.0),
)

# Flat far out, steep walls, one minimum.
# Source: Beale 1958, "On an Iterative Method for Finding a Local Minimum of a Function of More than One Variable".
beale = Landscape(
    "Beale's function",
    value=lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    gradient=lambda x, y: (
        2 * (1.5 - x + x * y) * (y - 1)
        + 2 * (2.25 - x + x * y**2) * (y**2 - 1)
        + 2 * (2.625 - x + x * y**3) * (y**3 - 1),
        2 * (1.5 - x + x * y) * x + 4 * (2.25 - x + x * y**2) * x * y + 6 * (2.625 - x + x * y**3) * x * y**2,
    ),
    minima=[(3.0, 0.5)],
    window=((-1.0, 4.5), (-2.0, 2.0)),
    start=(1.0, 1.5),
)

# Four equal minima; the start decides which one.
# Source: Himmelblau 1972, "Applied Nonlinear Programming".
himmelblau = Landscape(
    "Himmelblau's function",
    value=lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    gradient=lambda x, y: (
        4 * x * (x**2 + y - 11) + 2 * (x + y**2 - 7),
        2 * (x**2 + y - 11) + 4 * y * (x + y**2 - 7),
    ),
    minima=[(3.0, 2.0), (-2.8051180869527448, 3.1313125182505730), (-3.7793102533777469, -3.2831859912861694),
            (3.5844283403304918, -1.8481265269644036)],
    window=((-5.0, 5.0), (-5.0, 5.0)),
    start=(0.0, -1.0),
)  # fmt: skip

# A saddle between two minima: the gradient vanishes at (0, 0), where nothing is lowest.
saddle = Landscape(
    "saddle",
    value=lambda x, y: x**2 / 2 - y**2 / 2 + y**4 / 4,
    gradient=lambda x, y: (x, -y + y**3),
    minima=[(0.0, 1.0), (0.0, -1.0)],
    window=((-2.0, 2.0), (-1.6, 1.6)),
    start=(-1.6, 0.001),
)

LANDSCAPES = {
    "bowl": bowl,
    "ravine": ravine,
    "rosenbrock": rosenbrock,
    "beale": beale,
    "himmelblau": himmelblau,
    "saddle": saddle,
}
