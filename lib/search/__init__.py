"""The search for a good learning rate, one file a method."""
