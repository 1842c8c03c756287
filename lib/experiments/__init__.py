"""Data sets, models and loops of the experiment chapters, one file a chapter."""
