"""The Prompt Lab's values: templates with variables, and sheets."""
