"""HEAR: one source per network. A new network is one file and one line here, or a package of its own (docs/how-to/add-a-network.md)."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

#: ours; `networks()` knows those of installed packages, too
SOURCES = {
    "appstore": "listener.appstore:AppStoreSource",
    "bluesky": "listener.bluesky:BlueskySource",
    "discourse": "listener.discourse:DiscourseSource",
    "feed": "listener.feed:FeedSource",
    "hackernews": "listener.hackernews:HackerNewsSource",
    "lemmy": "listener.lemmy:LemmySource",
    "mailbox": "listener.mailbox:MailboxSource",
    "mastodon": "listener.mastodon:MastodonSource",
    "reddit": "listener.reddit:RedditSource",
    "stackexchange": "listener.stackexchange:StackExchangeSource",
    "webhook": "listener.webhook:WebhookSource",
    "x": "listener.x:XSource",
    "youtube": "listener.youtube:YouTubeSource",
}

#: of these, what others bring to us: nobody polls them
RECEIVED = frozenset({"webhook"})

#: those of ours whose sources show the conversation around a post (`Threads`)
SHOW_THREADS = frozenset({"lemmy", "mastodon", "reddit", "x"})


def shows_threads(network: str) -> bool:
    """Whether it is worth asking. Of a network that is not ours only its source knows."""
    return network in SHOW_THREADS or network not in SOURCES


@cache  # looking through all that is installed takes longer than opening a source
def networks() -> Mapping[str, str]:
    """Every network that can be read: ours, and those of packages (entry points `earshot.sources`), which take none of our names."""
    return {point.name: point.value for point in entry_points(group="earshot.sources")} | SOURCES
