"""The house around the five rooms. Read `earshot/mention.py`, then `earshot/pipeline.py`."""

__version__ = "0.1.0"
