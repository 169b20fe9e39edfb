"""community_routing"""
