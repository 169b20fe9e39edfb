"""HAND OVER: which super-user gets which case, what she may do, and whether it helped.

roster       who they are: languages, topics, limits, quiet hours, record; who is free now
match        cases x roster -> how likely each would help, and what it would cost her
assign       the fair assignment: an auction in which free hands bid for cases
offers       make_offers: match and assign, with the reason in words and an expiry
trust        levels 0..4: what each may do, how they are earned and lost
recognition  points and badges
verdict      does the author say that it worked, or ask again?
"""
