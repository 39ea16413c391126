"""Day passes: who holds one, and what is left of it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from booking.clock import today
from booking.legacy.connections import isolated_connection
from booking.models import DayPass

if TYPE_CHECKING:
    from booking.models import Account, Location


class DayPassDesk:
    """Answers for day passes on a connection of its own, for as long as the block lasts."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        purpose = isolated_connection("day_pass")  # mend 14b
        self._alias = self._stack.enter_context(purpose)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def status_for(self, account: Account, location: Location) -> dict[str, Any]:
        """Return whether the account has a usable pass here, until when and how many days."""
        held = DayPass.objects.using(self._alias).filter(
            account_id=account.pk, location_id=location.pk, valid_until__gte=today()
        )
        day_pass = held.order_by("-valid_until", "pk").first()  # bottleneck 14b
        if day_pass is None:
            return {"active": False, "valid_until": None, "remaining": None}
        return {
            "active": bool(day_pass.remaining or day_pass.remaining is None),
            "valid_until": day_pass.valid_until.isoformat(),
            "remaining": day_pass.remaining,
        }
