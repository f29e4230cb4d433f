"""The soak: mixed jobs under kills of everything, and what has to hold all the while."""
