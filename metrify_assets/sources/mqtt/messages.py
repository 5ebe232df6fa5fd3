"""A message, and the line of JSON that it becomes.

Belongs here: keeping every byte of a payload, whatever it is, and the facts of its packet. Does not belong here: the
meaning of a payload.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from metrify_assets.clock import instant
from metrify_assets.feeds.topics import TopicPattern

TOPICS_REMEMBERED = 100_000
_TRUTH = ("false", "true")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the broker sent it.

    Attributes
    ----------
    topic : str
    payload : bytes
    packet : int
        Packet identifier of the connection; 0 at QoS 0, where there is nothing to acknowledge.
    qos : int
    retained, duplicate : bool
        Flags of the packet: stored by the broker before the subscription; sent before and not acknowledged.
    received_at : int
        UTC microseconds.
    connection : int
        Running number of the connection: a packet identifier means nothing on another one.
    """

    topic: str
    payload: bytes
    packet: int
    qos: int
    retained: bool
    duplicate: bool
    received_at: int
    connection: int


def line_of(message: Message, patterns: tuple[TopicPattern, ...]) -> bytes:
    """Return a message as one line of JSON, without a line end.

    A payload that is JSON is embedded as it came, so that its numbers keep their digits (line ends between its tokens
    become blanks); other text is the field ``text``; what is no UTF-8 is the field ``base64``.
    """
    moment = instant(message.received_at).isoformat()
    facts = (
        f'"received_at": "{moment}", {_topic_fields(message.topic, patterns)}, "qos": {message.qos}, '
        f'"packet": {message.packet}, "retained": {_TRUTH[message.retained]}, "duplicate": {_TRUTH[message.duplicate]}'
    )
    return f"{{{facts}, {_body(message.payload)}}}".encode()


@lru_cache(maxsize=TOPICS_REMEMBERED)
def _topic_fields(topic: str, patterns: tuple[TopicPattern, ...]) -> str:
    """Return what a line says of its topic: meters publish on the same one again and again."""
    levels = next((fields for pattern in patterns if (fields := pattern.match(topic)) is not None), {})
    return f'"topic": {_quoted(topic)}, "levels": {json.dumps(levels, ensure_ascii=False)}'


def _body(payload: bytes) -> str:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return f'"base64": "{base64.b64encode(payload).decode()}"'
    if _is_json(text):
        # A line end inside of a JSON text lies between tokens: within strings it is escaped.
        return f'"payload": {text.replace(chr(13), " ").replace(chr(10), " ")}'
    return f'"text": {_quoted(text)}'


def _is_json(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
