"""WEIGH: how far an author's voice carries. It orders, it never excludes.

signals         reach and resonance, from what the network tells
weigh           mentions -> "influence" scores, and the factors in words
report          the influence table: one row per author, as CSV and text
share_of_voice  our mentions beside competitors'
"""
