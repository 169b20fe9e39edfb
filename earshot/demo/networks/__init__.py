"""Small servers that speak the wire formats of X and Reddit over one invented `World`, for the demo and for tests."""
