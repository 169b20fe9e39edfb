"""The first page: what matters now, by role."""

from __future__ import annotations

from fastapi.responses import RedirectResponse, Response

from earshot.case import Tier
from earshot.storage.accounts import Role
from earshot.storage.cases import WAITING
from earshot.web.visit import Visit, Visiting


def start(visit: Visiting) -> Response:
    return _PAGES[visit.me.role](visit)


def _manager(visit: Visit) -> Response:
    today = visit.store.reports.today(visit.now)
    return visit.page("start_manager.html", today=today, waiting=WAITING, top=visit.store.cases.queue(limit=5))


def _staff(visit: Visit) -> Response:
    tier = visit.me.tier or Tier.TIER_1
    return visit.page(
        "start_staff.html",
        tier=tier,
        mine=visit.store.cases.queue(assignee=visit.me.id, limit=20),
        queue=visit.store.cases.queue(tiers=(tier,), limit=10),
    )


def _marketer(visit: Visit) -> Response:
    days = visit.store.reports.days(until=visit.now)
    gaps = [gap for gap in visit.store.sources.gaps() if gap.closed_at is None and gap.until >= days[0].day and gap.since <= visit.now]
    return visit.page(
        "start_marketer.html",
        days=days,
        gaps=gaps,
        rows=visit.store.reports.influence(limit=8),
        first=0,
    )


def _admin(visit: Visit) -> Response:
    return visit.page(
        "start_admin.html",
        sources=visit.store.sources.statuses(),
        stages=visit.store.mentions.counts(),
        people=visit.store.accounts.everyone(),
    )


def _super_user(visit: Visit) -> Response:  # noqa: ARG001
    return RedirectResponse("/desk", status_code=303)


_PAGES = {
    Role.MANAGER: _manager,
    Role.STAFF: _staff,
    Role.MARKETER: _marketer,
    Role.ADMIN: _admin,
    Role.SUPER_USER: _super_user,
}
