"""What the platform makes of a small utility, entry by entry.

Belongs here: the utility, the entries that describe its ids, digests, files and marts, and their values as recorded.
Does not belong here: whether these values are right; the tests of each room say that.
"""
