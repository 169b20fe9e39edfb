"""The invented brand: its people, their posts, and the small networks they post on."""
