"""Feeds: what senders deliver, declared in YAML, and the readers that turn a drop into typed rows.

Belongs here: the feed model, the definitions, the catalogue and one source per file format. Does not belong here:
where files arrive and when they are read (``landing/``, ``orchestration/``), and any judgement of a value (``vee/``).
"""
