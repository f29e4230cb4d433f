"""The parts of `bmi-forcing`: its name, and the role of each input."""

from typing import Final

NAME: Final = "bmi-forcing"
FORCING: Final = "forcing"
PARAMETERS: Final = "parameters"
