"""The only SQL of the house. Ask the store in the product's words: `store.cases.queue(…)`, `store.moves.confirm(…)`.

mentions    kept with the cursor that brought them, claimed, written back with their cases; edited ones with their versions
cases       the queue, the case page, what helped before
moves       what people and the house do with a case, and taking it back
handover    offers to super-users
drafts      what super-users wrote and somebody must approve
outbox      replies on their way out, each at most once
sources     leases, cursors, health
backfills   spans of time that are read again, and how far
sweeping    which posts to look after, and what comes of it
accounts    sign-ins, roles, the roster
labels      what people teach the models
learnt      the changes that came of it, and which of them is in use
lessons     the posts of the day from which the models would learn most
drift       what the models answered week by week, and how often people agreed
articles    knowledge
policies    versions of the routing rules
queries     saved queries, and what they match
forgetting  an author who asks for it is erased, and all that is left looked through
reports     numbers for pages and notebooks
"""

from __future__ import annotations

from collections.abc import Callable

from earshot.storage.accounts import Accounts
from earshot.storage.articles import Articles
from earshot.storage.backfills import Backfills
from earshot.storage.cases import Cases
from earshot.storage.claims import release_claims
from earshot.storage.database import Database
from earshot.storage.drafts import Drafts
from earshot.storage.drift import Drift
from earshot.storage.forgetting import Forgetting
from earshot.storage.handover import Handover
from earshot.storage.labels import Labels
from earshot.storage.learnt import Learnt
from earshot.storage.lessons import Lessons
from earshot.storage.mentions import Mentions
from earshot.storage.moves import Moves
from earshot.storage.outbox import Outbox
from earshot.storage.policies import Policies
from earshot.storage.queries import Queries
from earshot.storage.reports import Reports
from earshot.storage.sources import Sources
from earshot.storage.sweeping import Sweeping


class Store:
    """One database, by URL. Opens nothing before the first call."""

    def __init__(self, url: str, *, busy_seconds: float = 30.0) -> None:
        self.database = Database(url, busy_seconds=busy_seconds)
        self.mentions = Mentions(self.database)
        self.cases = Cases(self.database)
        self.moves = Moves(self.database)
        self.handover = Handover(self.database)
        self.drafts = Drafts(self.database)
        self.outbox = Outbox(self.database)
        self.sources = Sources(self.database)
        self.backfills = Backfills(self.database)
        self.sweeping = Sweeping(self.database)
        self.accounts = Accounts(self.database)
        self.labels = Labels(self.database)
        self.learnt = Learnt(self.database)
        self.lessons = Lessons(self.database)
        self.drift = Drift(self.database)
        self.articles = Articles(self.database)
        self.policies = Policies(self.database)
        self.queries = Queries(self.database)
        self.forgetting = Forgetting(self.database)
        self.reports = Reports(self.database)

    def upgrade(self) -> None:
        """Bring the schema to the newest revision; safe to call from several processes at once."""
        from earshot.storage.migrations import upgrade

        upgrade(self.database)

    def release_claims(self, is_dead: Callable[[str], bool]) -> None:
        """Give back at once what dead workers had claimed, instead of waiting for their leases to end."""
        release_claims(self.database, is_dead)

    def close(self) -> None:
        self.database.close()
