"""From messages to files: what publishes instead of writing files arrives in the inbox nevertheless.

Belongs here: receiving messages and batching them into inbox files, so that a message is acknowledged only once it is
durable. Does not belong here: reading what messages say (``feeds/``); the files are landed and read like any other.
"""
