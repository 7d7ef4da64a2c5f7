"""Amazon Bedrock's wire protocol, as a server speaks it: requests in, replies, event streams and errors out."""
