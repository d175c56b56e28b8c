"""Helpers of every kind."""

from functools import cache, partial, wraps

from shop import limits
from shop.limits import RATES, Size


def traced(function):
    @wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


def is_small(amount):
    """Whether few look."""
    return amount < limits.SMALL


def is_large(amount):
    return amount >= limits.LARGE


def in_euro(amount, currency):
    return amount / rate(currency)


def rate(currency):
    return RATES[currency] if currency in RATES else rate("EUR")


@traced
def rounded(amount):
    return round(amount)


@cache
def cents(amount):
    return amount * 100


def at_least(limit):
    def check(amount):
        return amount >= limit

    return check


is_huge = at_least(5000)
near = partial(is_large)
pick = {"a": lambda amount: amount + 1, "b": lambda amount: amount + 2}


class Table:
    size = Size.S

    def find(self, amount):
        return is_small(amount)


TABLE = Table()


def even(number):
    return number == 0 or odd(number - 1)


def odd(number):
    return number != 0 and even(number - 1)


def lazily(text):
    from shop import limits as bounds

    from .limits import CODE

    return bool(CODE.match(text)) and text in bounds.WORDS
