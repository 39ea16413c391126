"""Who may read what."""

from __future__ import annotations

from booking.legacy.connections import isolated_connection
from booking.models import Account


def refusal(token: str) -> tuple[int, str] | None:
    """Return status and reason when the bearer of a token may not read items, else None."""
    if not token:
        return 401, "Give a token."
    with isolated_connection("permission") as alias:  # mend 14a
        found = Account.objects.using(alias).filter(token=token).order_by("pk")
        account = found.first()  # bottleneck 14a
    if account is None:
        return 401, "Unknown token."
    if not account.is_active:
        return 403, "The account is closed."
    return None
