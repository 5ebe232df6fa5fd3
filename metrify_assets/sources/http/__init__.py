"""Pulled sources: what Metrify fetches itself, over HTTP, as drops.

Belongs here: one small client, and per source which file of a day to ask for and under which name it is landed for a
feed; from there it is a drop like any other. Does not belong here: reading the files (``feeds/``) and when to pull
(``automation/``).
"""
