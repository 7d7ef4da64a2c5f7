"""What is kept: the Table port with its SQLite and DynamoDB adapters, and the stores built on it."""
