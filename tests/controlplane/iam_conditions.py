"""The Condition element of IAM policies, PURE: what a request's context has to say.

A context maps condition keys to a value or, for keys that have several, to a list of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Context = Mapping[str, str | Sequence[str]]

# What stands for a * or ? that came out of a policy variable, and is no wildcard.
LITERAL_STAR, LITERAL_MARK = "\ue000", "\ue001"
VARIABLE = re.compile(r"\$\{([^}]*)\}")
QUANTIFIERS = ("ForAllValues", "ForAnyValue")
IF_EXISTS = "IfExists"


class NotEvaluated(Exception):
    """A policy says what is not evaluated here, so nobody may rely on it."""


def lower_case(context: Context) -> dict[str, list[str]]:
    """Condition keys are compared without regard to case; each has a list of values."""
    return {
        key.lower(): [value] if isinstance(value, str) else list(value)
        for key, value in context.items()
    }


def expanded(pattern: str, context: Mapping[str, list[str]]) -> str | None:
    """Puts in the values of policy variables; None if there is one without a value."""
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name = found[1].strip()
        if "," in name:
            raise NotEvaluated(f"the default of the policy variable ${{{name}}}")
        if name in ("*", "?", "$"):
            text = name
        elif len(values := context.get(name.lower(), [])) == 1:
            text = values[0]
        else:
            missing = True
            return ""
        return text.replace("*", LITERAL_STAR).replace("?", LITERAL_MARK)

    text = VARIABLE.sub(value, pattern)
    return None if missing else text


def like(pattern: str, value: str) -> bool:
    """With * and ?, case-sensitive."""
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": ".", LITERAL_STAR: r"\*", LITERAL_MARK: r"\?"}
    return re.compile("".join(wildcards.get(c) or re.escape(c) for c in pattern), re.DOTALL)


def arn_like(pattern: str, arn: str) -> bool:
    """Part by part: a wildcard does not reach over the first five colons."""
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(like, patterns, parts))


def _equal(pattern: str, value: str) -> bool:
    return pattern.replace(LITERAL_STAR, "*").replace(LITERAL_MARK, "?") == value


def _equal_bool(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


# How one value is compared, and whether the operator wants that it does not match.
OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (arn_like, False),
    "ArnNotEquals": (arn_like, True),
    "ArnLike": (arn_like, False),
    "ArnNotLike": (arn_like, True),
    "Bool": (_equal_bool, False),
}


def met(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, list[str]]) -> bool:
    """Whether all operators hold for all their keys; `context` is as of `lower_case`."""
    # All of them, not only up to the first that fails: an unknown one has to be noticed.
    results = [
        _holds(operator, key, wanted, context)
        for operator, tests in conditions.items()
        for key, wanted in tests.items()
    ]
    return all(results)


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, list[str]]) -> bool:
    values = context.get(key.lower(), [])
    texts = [_text(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
    if operator == "Null":
        return any((text.lower() == "true") == (not values) for text in texts)
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith(IF_EXISTS)
    name = name.removesuffix(IF_EXISTS)
    if name not in OPERATORS or (quantifier and quantifier not in QUANTIFIERS):
        raise NotEvaluated(f"the condition operator {operator}")
    matches, negated = OPERATORS[name]
    patterns = [text for one in texts if (text := expanded(one, context)) is not None]

    def holds(value: str) -> bool:
        return any(matches(pattern, value) for pattern in patterns) != negated

    if not values:
        if if_exists or quantifier == "ForAllValues":
            return True
        return negated and not quantifier
    if quantifier == "ForAllValues" or (negated and not quantifier):
        return all(map(holds, values))
    return any(map(holds, values))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
