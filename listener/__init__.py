"""HEAR: one source per network. A new network is one file and one line here."""

SOURCES = {
    "appstore": "listener.appstore:AppStoreSource",
    "bluesky": "listener.bluesky:BlueskySource",
    "discourse": "listener.discourse:DiscourseSource",
    "feed": "listener.feed:FeedSource",
    "hackernews": "listener.hackernews:HackerNewsSource",
    "lemmy": "listener.lemmy:LemmySource",
    "mastodon": "listener.mastodon:MastodonSource",
    "reddit": "listener.reddit:RedditSource",
    "stackexchange": "listener.stackexchange:StackExchangeSource",
    "x": "listener.x:XSource",
    "youtube": "listener.youtube:YouTubeSource",
}
