"""What is known already: articles and past answers, found again for the next one who asks.

suggest     the articles and past cases that fit a text, each with its reason
"""
