"""Pulled sources: what Metrify fetches itself, over HTTP, as files for the inbox.

Belongs here: one small client, and per source which file of a day to ask for and under which name it goes to a feed's
inbox; from there it is a drop like any other. Does not belong here: reading the files (``feeds/``) and when to pull
(``automation/``).
"""
