"""The coach: one turn of a conversation, replies that outlive the page, fixing and explaining programs."""
