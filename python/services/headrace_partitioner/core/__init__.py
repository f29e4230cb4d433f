"""How a drainage network is split, written, checked and explained. Pure."""
