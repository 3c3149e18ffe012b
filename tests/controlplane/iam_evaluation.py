"""Whether IAM policies allow a call, PURE: documents and the request's context in, a bool out."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from iam_conditions import Context, NotEvaluated, arn_like, expanded, like, lower_case, met

Document = Mapping[str, Any]


def evaluate(
    identity_policies: Sequence[Document],
    boundary: Document | None,
    action: str,
    resource: str,
    context: Context,
) -> bool:
    """AWS's logic: a Deny anywhere wins; else the policies and the boundary both have to allow."""
    known = lower_case(context)

    def concerns(statement: Document) -> bool:
        return _names_resource(statement, resource, known)

    effects = {
        effect
        for policy in identity_policies
        for effect in _effects(policy, action, known, concerns)
    }
    within = {"Allow"} if boundary is None else set(_effects(boundary, action, known, concerns))
    return "Deny" not in effects | within and "Allow" in effects and "Allow" in within


def trusts(trust: Document, principals: Collection[str], action: str, context: Context) -> bool:
    """Whether a role's trust policy lets in a caller who goes by any of these names."""

    def concerns(statement: Document) -> bool:
        if "NotPrincipal" in statement:
            raise NotEvaluated("NotPrincipal")
        named = aws_principals(statement.get("Principal"))
        return any(name == "*" or name in principals for name in named)

    effects = set(_effects(trust, action, lower_case(context), concerns))
    return "Allow" in effects and "Deny" not in effects


def statements(document: Document) -> list[dict[str, Any]]:
    return _listed(document.get("Statement", []))


def aws_principals(principal: Any) -> list[str]:
    """The names in `"*"` and `{"AWS": ..}`; those of services and providers are not among them."""
    if isinstance(principal, dict):
        return _listed(principal.get("AWS", []))
    return _listed(principal or [])


def _effects(
    document: Document,
    action: str,
    context: Mapping[str, list[str]],
    concerns: Callable[[Document], bool],
) -> Iterator[str]:
    for statement in statements(document):
        # First, so that what is not evaluated is noticed whatever the call is.
        holds = met(statement.get("Condition", {}), context)
        if holds and _names_action(statement, action) and concerns(statement):
            yield statement["Effect"]


def _names_action(statement: Document, action: str) -> bool:
    def named(element: str) -> bool:
        return any(like(one.lower(), action.lower()) for one in _listed(statement[element]))

    return not named("NotAction") if "NotAction" in statement else named("Action")


def _names_resource(statement: Document, resource: str, context: Mapping[str, list[str]]) -> bool:
    def named(element: str) -> bool:
        patterns = [expanded(one, context) for one in _listed(statement.get(element, []))]
        return any(one == "*" or (one is not None and arn_like(one, resource)) for one in patterns)

    return not named("NotResource") if "NotResource" in statement else named("Resource")


def _listed(element: Any) -> list[Any]:
    return element if isinstance(element, list) else [element]
