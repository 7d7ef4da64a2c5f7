"""Conversations and their messages, as values."""
