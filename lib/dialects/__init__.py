"""Where a framework's optimizer is not the paper's: only the rules that differ, one file a framework."""
