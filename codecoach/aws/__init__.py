"""AWS itself: the API models, checks against them, a simulated AWS."""
