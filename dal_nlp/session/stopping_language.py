"""Stopping rules in words: "stable or budget=500", "plateau(window=3) and labels=200".

    rules = all {"or" all}          all = rule {"and" rule}          ("and" binds tighter)
    rule  = NAME | NAME=LIMIT | NAME(OPTION=VALUE, ...) | (rules)          NAME may be module:Class of the user's own

``NAME=LIMIT`` sets the first option of a rule; the others keep their defaults.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, ClassVar

from dal_nlp.core.errors import ConfigError, unknown
from dal_nlp.core.plugins import construct, import_class
from dal_nlp.session.stopping_rules import RULES, AtLeast, History, Rule

#: What a rule of the user's own is derived from.
RULE = "dal_nlp.session.stopping_rules:Rule"

#: Words, signs and numbers of the longest sentence; brackets within brackets.
MOST_TOKENS, DEEPEST = 1000, 50

_TOKEN = re.compile(r"[(),=]|[^\s(),=]+")


@dataclass(frozen=True)
class AnyOf(AtLeast):
    """Stop as soon as one of the rules fires."""

    name: ClassVar[str] = "or"
    rules: tuple[Rule, ...]

    def value(self, history: History) -> float | None:
        """Return how many of the rules fire."""
        return sum(rule.fires(history) for rule in self.rules)

    @property
    def limit(self) -> float:
        """One of them is enough."""
        return 1

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


@dataclass(frozen=True)
class AllOf(AtLeast):
    """Stop when all of the rules fire after the same round."""

    name: ClassVar[str] = "and"
    rules: tuple[Rule, ...]

    def value(self, history: History) -> float | None:
        """Return how many of the rules fire."""
        return sum(rule.fires(history) for rule in self.rules)

    @property
    def limit(self) -> float:
        """All of them are needed."""
        return len(self.rules)

    def __str__(self) -> str:
        return " and ".join(f"({rule})" if isinstance(rule, AnyOf) else str(rule) for rule in self.rules)


def parse(text: str) -> Rule:
    """Read a rule from words; ``str`` of what it returns reads back as the same.

    Raises:
        UserError: A rule or option that there is not (with the nearest one), a value of the wrong kind, or a sentence
            that does not hold together.
    """
    reader = _Reader(text)
    rule = reader.any_of()
    if reader.next is not None:
        raise reader.expected("'and', 'or' or the end")
    return rule


def leaves(rule: Rule) -> Iterator[Rule]:
    """Yield the single rules that a combination is made of, from left to right."""
    if isinstance(rule, AnyOf | AllOf):
        for part in rule.rules:
            yield from leaves(part)
    else:
        yield rule


def _rule_class(name: str) -> type[Any]:
    """Return the class of a rule by its name or as ``module:Class``; raises ``UserError``."""
    if name in RULES:
        return RULES[name]
    if ":" not in name:
        raise unknown("stopping rule", name, RULES)
    kind = import_class("stopping rule", name, {}, RULE)
    if not (is_dataclass(kind) and fields(kind)):
        raise ConfigError(f"{name} is no stopping rule: make it a frozen dataclass whose first field is its limit.")
    return kind


class _Reader:
    """Reads rules off a list of tokens, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.depth = 0
        if len(self.tokens) > MOST_TOKENS:
            raise ConfigError(
                f"The stopping rule {text[:60]!r}... has {len(self.tokens):,} words and signs; {MOST_TOKENS:,} may be."
            )

    @property
    def next(self) -> str | None:
        return self.tokens[0] if self.tokens else None

    def take(self, *wanted: str) -> bool:
        """Take the next token if it is one of those."""
        if self.next not in wanted:
            return False
        self.tokens.pop(0)
        return True

    def word(self, what: str) -> str:
        """Take the next token, which has to be a word or a number."""
        if self.next is None or self.next in ("(", ")", ",", "=", "and", "or"):
            raise self.expected(what)
        return str(self.tokens.pop(0))

    def expected(self, what: str) -> ConfigError:
        actual = "it ends" if self.next is None else f"there is {self.next!r}"
        text = self.text if len(self.text) <= 200 else f"{self.text[:200]}..."
        return ConfigError(
            f"The stopping rule {text!r} cannot be read: {actual} where {what} should be; it is written like "
            "'stable or budget=500'."
        )

    def any_of(self) -> Rule:
        rules = [self.all_of()]
        while self.take("or"):
            rules.append(self.all_of())
        return AnyOf(tuple(rules)) if len(rules) > 1 else rules[0]

    def all_of(self) -> Rule:
        rules = [self.rule()]
        while self.take("and"):
            rules.append(self.rule())
        return AllOf(tuple(rules)) if len(rules) > 1 else rules[0]

    def rule(self) -> Rule:
        if self.take("("):
            self.depth += 1
            if self.depth > DEEPEST:
                raise ConfigError(
                    f"The stopping rule {self.text[:60]!r}... has brackets within brackets, {DEEPEST} deep."
                )
            inner = self.any_of()
            self.depth -= 1
            if not self.take(")"):
                raise self.expected("')'")
            return inner
        name = self.word("a rule")
        kind = _rule_class(name)
        limit, *_ = fields(kind)
        options = self.options(limit.name)
        if limit.default is MISSING and limit.name not in options:
            raise ConfigError(f"The stopping rule {name!r} has no limit: write {name}=NUMBER.")
        rule: Rule = construct("stopping rule", kind, options)
        return rule

    def options(self, limit: str) -> dict[str, str]:
        """Read what comes after a name."""
        if self.take("="):
            return {limit: self.word("a value")}
        options: dict[str, str] = {}
        if self.take("("):
            while not self.take(")"):
                key = self.word("an option")
                if not self.take("="):
                    raise self.expected("'='")
                options[key] = self.word("a value")
                if not self.take(",") and self.next != ")":
                    raise self.expected("',' or ')'")
        return options
