"""How long rivers ran higher than a threshold: a kind of a third party for Headrace."""
