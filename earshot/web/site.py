"""Every address of the site, the page behind it, and who may enter. What is not in this table does not exist.

Adding a page is one file in `pages/` and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from earshot.storage.accounts import Role

ANYBODY: frozenset[Role] | None = None  #: no sign-in needed
EVERYONE = frozenset(Role)
WORKERS = frozenset({Role.ADMIN, Role.MANAGER, Role.STAFF})  #: who see whole cases
MANAGERS = frozenset({Role.ADMIN, Role.MANAGER})
READERS = WORKERS | {Role.MARKETER}
PLANNERS = MANAGERS | {Role.MARKETER}  #: who say what is looked for
SUPER_USERS = frozenset({Role.SUPER_USER})
TRUSTED = True  #: super-users who may approve what others write


@dataclass(frozen=True, slots=True)
class Address:
    """One row: `page` is "module:function" below `earshot.web.pages`."""

    method: str
    path: str
    page: str
    who: frozenset[Role] | None
    what: str
    is_for_trusted: bool = False  #: of super-users only those who may approve what others write; the others are refused (403)

    is_for_scrapers: bool = False  #: also opened by the `metrics_token` of the settings, without an account

    is_signed: bool = False  #: what comes carries a signature instead of a session, and is no form of ours

    @property
    def is_data(self) -> bool:
        """Read by programs: they get a status instead of the sign-in page."""
        return self.is_signed or self.path.startswith("/api/") or self.path in ("/live", "/metrics")


SITE: tuple[Address, ...] = (
    Address("GET", "/health", "health:health", ANYBODY, "Is the server up, and does the database answer?"),
    Address("GET", "/sign-in", "sign_in:form", ANYBODY, "The sign-in page."),
    Address("POST", "/sign-in", "sign_in:sign_in", ANYBODY, "Signs in with e-mail address and password."),
    Address("GET", "/enter/{token}", "sign_in:entry", ANYBODY, "A signed link: asks whether to sign in with it."),
    Address("POST", "/enter/{token}", "sign_in:enter", ANYBODY, "Signs in with a signed link."),
    Address("POST", "/sign-out", "sign_in:sign_out", ANYBODY, "Ends the session."),
    Address("POST", "/theme", "sign_in:theme", ANYBODY, "Remembers dark or light."),
    Address("POST", "/hooks/{name}", "hooks:receive", ANYBODY, "Takes mentions that another system brings, signed.", is_signed=True),
    Address("GET", "/", "start:start", EVERYONE, "What matters now, by role."),
    Address("GET", "/live", "live:live", EVERYONE, "Server-sent events: says when any case moved."),
    Address("GET", "/queue", "queue:queue", WORKERS, "The review queue."),
    Address("GET", "/cases/{case_id}", "case:show", WORKERS, "Everything known of one case."),
    Address("GET", "/cases/{case_id}/suggestions", "case:suggestions", WORKERS, "Similar past cases and two articles."),
    Address("GET", "/cases/{case_id}/thread", "case:thread", WORKERS, "The conversation as its network shows it now."),
    Address("GET", "/cases/{case_id}/stamp", "case:stamp", WORKERS, "A number that changes when the case moves."),
    Address("POST", "/cases/{case_id}/agree", "moves:agree", WORKERS, "Confirms the proposed tier, or approves the draft."),
    Address("POST", "/cases/{case_id}/tier", "moves:tier", WORKERS, "Sends the case to a tier."),
    Address("POST", "/cases/{case_id}/escalate", "moves:escalate", WORKERS, "Sends the case one tier up."),
    Address("POST", "/cases/{case_id}/take", "moves:take", WORKERS, "Takes the case."),
    Address("POST", "/cases/{case_id}/assign", "moves:assign", WORKERS, "Gives the case to a person."),
    Address("POST", "/cases/{case_id}/release", "moves:release", WORKERS, "Lets go of the case."),
    Address("POST", "/cases/{case_id}/answer", "moves:answer", WORKERS, "Answers on the network."),
    Address("POST", "/cases/{case_id}/approve", "moves:approve", WORKERS, "Approves the draft, as it is or edited."),
    Address("POST", "/cases/{case_id}/reject", "moves:reject", WORKERS, "Gives the draft back with a note."),
    Address("POST", "/cases/{case_id}/solve", "moves:solve", WORKERS, "Marks the case as solved."),
    Address("POST", "/cases/{case_id}/close", "moves:close", WORKERS, "Closes the case: nobody needs to answer."),
    Address("POST", "/cases/{case_id}/reopen", "moves:reopen", WORKERS, "Puts a finished case back into its queue."),
    Address("POST", "/cases/{case_id}/undo", "moves:undo", WORKERS, "Takes back the last step."),
    Address("POST", "/cases/{case_id}/label", "moves:label", WORKERS, "Corrects a score."),
    Address("POST", "/cases/{case_id}/label/{mention_id}/undo", "moves:unlabel", WORKERS, "Takes back one's correction of a score."),
    Address("GET", "/teach", "teach:teach", WORKERS, "The posts of the day from which the models would learn most."),
    Address("POST", "/teach/{mention_id}", "teach:label", WORKERS, "Says what the answer to one question is."),
    Address("POST", "/teach/{mention_id}/skip", "teach:skip", WORKERS, "Leaves a post aside."),
    Address("POST", "/teach/{mention_id}/undo", "teach:undo", WORKERS, "Takes back what one said of a post."),
    Address("GET", "/queries", "queries:queries", PLANNERS, "The saved queries, and what each brings."),
    Address("POST", "/queries", "queries:save", PLANNERS, "Saves a new query."),
    Address("GET", "/queries/new", "queries:new", PLANNERS, "A new query, tried on what came in."),
    Address("POST", "/queries/check", "queries:check", PLANNERS, "Tries what is written, without saving it."),
    Address("GET", "/queries/{query_id}", "queries:show", PLANNERS, "One saved query, tried on what came in."),
    Address("POST", "/queries/{query_id}", "queries:change", PLANNERS, "Saves a change of a query."),
    Address("POST", "/queries/{query_id}/delete", "queries:delete", PLANNERS, "Deletes a query."),
    Address("POST", "/queries/{query_id}/undo", "queries:undo", PLANNERS, "Brings a deleted query back."),
    Address("GET", "/blind-spots", "blind_spots:blind_spots", MANAGERS, "Words that no source looks for, with what they would bring."),
    Address("GET", "/desk", "desk:desk", SUPER_USERS, "A super-user's offers, cases, drafts to look over, and recent answers."),
    Address("GET", "/desk/cases/{case_id}", "desk:show", SUPER_USERS, "A case that was offered to her or is hers, masked."),
    Address("POST", "/desk/offers/{offer_id}/accept", "desk:accept", SUPER_USERS, "Takes an offer."),
    Address("POST", "/desk/cases/{case_id}/pass", "desk:pass_on", SUPER_USERS, "Passes a case on with a reason."),
    Address("POST", "/desk/cases/{case_id}/answer", "desk:answer", SUPER_USERS, "Answers a case of hers."),
    Address("POST", "/desk/cases/{case_id}/undo", "desk:undo", SUPER_USERS, "Takes back her last step."),
    Address("GET", "/desk/drafts/{case_id}", "drafts:show", SUPER_USERS, "A draft to look over, below its thread, masked.", TRUSTED),
    Address("POST", "/desk/drafts/{case_id}/approve", "drafts:approve", SUPER_USERS, "Approves that draft.", TRUSTED),
    Address("POST", "/desk/drafts/{case_id}/give-back", "drafts:give_back", SUPER_USERS, "Gives that draft back with a note.", TRUSTED),
    Address("POST", "/desk/drafts/{case_id}/undo", "drafts:undo", SUPER_USERS, "Takes back what she decided on it.", TRUSTED),
    Address("POST", "/desk/pause", "desk:pause", SUPER_USERS, "Steps back for a while, or comes back."),
    Address("GET", "/authors", "authors:authors", READERS, "Who matters: the influence table."),
    Address("GET", "/authors.csv", "authors:export", READERS, "The influence table as CSV."),
    Address("GET", "/authors/{author_id}", "authors:author", READERS, "One author."),
    Address("GET", "/sources", "sources:sources", READERS, "How each source does, what it brings and costs, and the gaps."),
    Address("POST", "/sources/{name}/pause", "sources:pause", MANAGERS, "Pauses a source."),
    Address("POST", "/sources/{name}/wake", "sources:wake", MANAGERS, "Resumes a source, or polls it at the next chance."),
    Address("GET", "/backfills", "backfills:backfills", READERS, "A piece of the page of the sources: what is read again, and how far."),
    Address("POST", "/sources/{name}/backfill", "backfills:ask", MANAGERS, "Has the past of a source read again."),
    Address("POST", "/gaps/{gap_id}/backfill", "backfills:ask_for_gap", MANAGERS, "Has a gap read again."),
    Address("POST", "/backfills/{backfill_id}/cancel", "backfills:cancel", MANAGERS, "Ends a back-fill; what it brought stays."),
    Address("POST", "/backfills/{backfill_id}/resume", "backfills:resume", MANAGERS, "Lets a back-fill go on that stopped."),
    Address("GET", "/models", "models:models", MANAGERS, "How sure the models are, and how often people agree, week by week."),
    Address("POST", "/models/learnt/{change_id}", "models:use", MANAGERS, "Puts a learnt version in use; 0 is the weights as they ship."),
    Address("GET", "/metrics", "metrics:metrics", MANAGERS, "Models, sources and cases for Prometheus.", is_for_scrapers=True),
    Address("GET", "/policy", "policy:policy", READERS, "The routing rules in words."),
    Address("GET", "/api/openapi.json", "api:openapi", WORKERS, "The description of the JSON addresses."),
    Address("GET", "/api/queue", "api:queue", WORKERS, "The queue as JSON."),
    Address("GET", "/api/cases/{case_id}", "api:case", WORKERS, "One case as JSON."),
    Address("GET", "/api/desk", "api:desk", SUPER_USERS, "A super-user's desk as JSON, masked."),
    Address("GET", "/api/desk/drafts", "api:drafts", SUPER_USERS, "Drafts to look over as JSON, masked.", TRUSTED),
)  # fmt: skip

#: what the bar at the top offers, to those who may enter
NAVIGATION = (
    ("/queue", "Queue"),
    ("/desk", "Desk"),
    ("/teach", "Teach"),
    ("/queries", "Queries"),
    ("/authors", "Authors"),
    ("/sources", "Sources"),
    ("/models", "Models"),
    ("/policy", "Policy"),
)

#: how the addresses begin that take what is signed
SIGNED = tuple(address.path.partition("{")[0] for address in SITE if address.is_signed)


def may_enter(role: Role, path: str) -> bool:
    """May this role open the page at `path` (as written in the table)?"""
    return any(a.path == path and a.method == "GET" and (a.who is None or role in a.who) for a in SITE)
