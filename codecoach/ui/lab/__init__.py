"""The Prompt Lab's page."""
