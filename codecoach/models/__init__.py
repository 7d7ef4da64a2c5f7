"""Language models on Amazon Bedrock: the port, the catalogue, the adapter over ChatBedrockConverse."""
