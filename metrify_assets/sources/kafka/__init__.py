"""Streams: records of Kafka topics, landed as drops by explicit ranges of offsets.

Belongs here: which offsets come next (``drops/offsets.py``), how far behind every partition is (``lag.py``) and making
a drop of a range (``landing.py``). Does not belong here: talking to the broker (``sources/kafka/cluster.py``), what a
record means (``feeds/formats/stream_source.py``) and when to land (``orchestration/automation/streams.py``).
"""
