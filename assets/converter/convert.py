"""What a converter asks of ``lib/dialects/converter.py``, in the reader's browser, in MicroPython: as JSON."""

import json

from lib.dialects.converter import convert, distances


def ask(request):
    """The answer of `convert`, with that of `distances` as ``distances``; or, where a number is wrong, ``error``.

    Args:
        request: JSON of the arguments of both.
    """
    it = json.loads(request)
    arguments = (it["name"], it["source"], it["target"], it["hyperparameters"])
    try:
        answer = convert(*arguments)
        answer["distances"] = distances(*arguments, it["defaults"])
    except (TypeError, ValueError) as error:
        answer = {"error": str(error)}
    return json.dumps(answer)
