"""The embedded stack: a local model behind the Bedrock wire protocol, and what starts everything."""
