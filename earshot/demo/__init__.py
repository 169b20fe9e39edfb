"""The invented brand: its people, their posts, and the small networks they post on. `play` shows it all.

story        what is written, and what grows from it
stage        the networks, the house and the pages, set up in this process
audience     the people on the networks
insiders     the brand's own people, at the pages
performance  the playing: fast up to the present moment, then live
"""


def play(*, port: int | None = None, check: bool = False, days: int = 14, database_url: str | None = None, seed: int = 7) -> None:
    """See `earshot.demo.playing.play`; what it takes is loaded when it is asked for."""
    from earshot.demo.playing import play as play_it

    play_it(port=port, check=check, days=days, database_url=database_url, seed=seed)
