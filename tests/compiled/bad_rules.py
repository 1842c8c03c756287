"""Rules that look at the value of an array or a number: neither compiler can make a kernel of them."""

import math


def looks(x, g, t, *, lr=0.1):
    return x - lr * g if t > 1 else x


def takes_the_root(x, g, t, *, lr=0.1):
    return x - lr * math.sqrt(t) * g


def takes_the_larger(x, g, *, lr=0.1):
    return x - max(lr, 0.5) * g


def looks_at_g(x, g, *, lr=0.1):
    return x - lr * g if (g > 0).all() else x
