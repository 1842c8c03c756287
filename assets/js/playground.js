// <optimizer-playground>: a start point to drag on a landscape, and the path that a rule of the book takes from there.
