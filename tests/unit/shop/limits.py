"""Constants."""

import re
from decimal import Decimal
from enum import Enum

SMALL = 10
LARGE = 1000  # from here on somebody looks
RATES = {"EUR": 1, "USD": Decimal("1.1")}
WORDS = frozenset({"gift", "rush", "fragile", "cold"})
CODE = re.compile("[A-Z]{3}")
UNUSED = "nothing reads this"


class Size(Enum):
    S = "small"
    L = "large"
