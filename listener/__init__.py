"""HEAR: one source per network. A new network is one file and one line here."""

SOURCES = {
    "reddit": "listener.reddit:RedditSource",
    "x": "listener.x:XSource",
}
