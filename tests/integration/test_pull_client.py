"""The client of the pulled sources against a real server that misbehaves; only the clock is not real."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from metrify_assets.errors import PullError
from metrify_assets.sources.http.client import Answer, HttpClient, Key, Validators
from metrify_assets.sources.http.clock import SystemClock
from tests.integration.web import Reply, web_server
from tests.unit.sources.http.test_token_bucket import FakeClock

SECRET = "geheim+key/0815"
KEY = Key("appid", SECRET, "METRIFY_OPENWEATHERMAP_KEY")
WHOLE = Reply(body=b'{"a": 1}' * 100)


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def clock():
    return FakeClock()


def client(clock, **options) -> HttpClient:
    return HttpClient(clock=clock, **options)


def get(web, clock, *, validators=None, key=None, **options) -> Answer:
    return client(clock, **options).get(f"{web.url}/data", types=("application/json",), validators=validators, key=key)


def refusal(web, clock, **options) -> str:
    with pytest.raises(PullError) as error:
        get(web, clock, **options)
    text = str(error.value)
    assert "\n" not in text
    return text.removeprefix(f"{web.url}/data ")


def test_a_whole_answer_comes_with_its_validators(web, clock):
    web.answer("/data", Reply(body=b"{}", headers={"ETag": '"1"', "Last-Modified": "Sat, 21 Nov 2026 06:00:00 GMT"}))
    assert get(web, clock) == Answer(b"{}", Validators('"1"', "Sat, 21 Nov 2026 06:00:00 GMT"))
    assert clock.waits == []


def test_a_chunked_answer_is_whole_too(web, clock):
    web.answer("/data", Reply(body=WHOLE.body, chunked=True))
    assert get(web, clock).content == WHOLE.body


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_server_that_recovers_is_asked_again_with_growing_waits(web, clock, status):
    web.answer("/data", *[Reply(status, type="text/html")] * 4, WHOLE)
    assert get(web, clock).content == WHOLE.body
    assert len(web.asked) == 5
    # 0, 2, 4 and 8 s, each but the first up to a second longer, so that clients do not come back all at once.
    assert clock.waits[-3:] == pytest.approx([2.5, 4.5, 8.5], abs=0.5)


def test_a_server_that_does_not_recover_is_given_up(web, clock):
    web.answer("/data", Reply(500, type="text/html"))
    assert refusal(web, clock) == "answers 500, 5 times: try again later"
    assert len(web.asked) == 5


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body=WHOLE.body, cut=100),
        Reply(body=WHOLE.body, cut=0),
        Reply(body=WHOLE.body, cut=100, chunked=True),
    ],
)
def test_an_answer_that_breaks_off_is_asked_for_again_and_never_taken_for_whole(web, clock, broken):
    web.answer("/data", broken, broken, WHOLE)
    assert get(web, clock).content == WHOLE.body
    web.answer("/data", broken)
    assert refusal(web, clock).startswith("breaks off in the middle of its answer, 5 times")


def test_an_answer_whose_end_cannot_be_told_is_refused(web, clock):
    web.answer("/data", Reply(body=WHOLE.body, endless=True))
    assert refusal(web, clock) == "does not state where its answer ends, so half of it could pass for all"


def test_an_empty_answer_is_none(web, clock):
    web.answer("/data", Reply(body=b""), WHOLE)
    assert get(web, clock).content == WHOLE.body


def test_a_silent_server_is_left_after_the_read_timeout(web, clock):
    web.answer("/data", Reply(silent=True), WHOLE)
    assert get(web, clock, read_seconds=0.2).content == WHOLE.body
    web.answer("/data", Reply(silent=True))
    assert refusal(web, clock, read_seconds=0.1, attempts=2) == "does not answer in time, 2 times: try again later"


def test_a_busy_server_says_how_long_to_wait(web, clock):
    web.answer("/data", Reply(429, headers={"Retry-After": "17"}, type="text/html"), WHOLE)
    assert get(web, clock).content == WHOLE.body
    assert clock.waits == [17]


def test_a_server_that_wants_to_be_asked_at_once_is_given_time_to_recover(web, clock):
    web.answer("/data", Reply(429, headers={"Retry-After": "0"}, type="text/html"))
    refusal(web, clock)
    assert clock.waits[-2:] == pytest.approx([4.5, 8.5], abs=0.5)


def test_silence_does_not_outlast_the_deadline(web):
    web.answer("/data", Reply(silent=True))
    # The server would close the connection after ten seconds.
    assert "does not answer in time" in refusal(web, SystemClock(), deadline_seconds=0.3, read_seconds=60)


def test_it_may_say_so_with_a_date(web, clock):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    web.answer("/data", Reply(503, headers={"Retry-After": later}, type="text/html"), WHOLE)
    assert get(web, clock).content == WHOLE.body
    assert 20 < clock.waits[0] <= 40


def test_what_it_says_illegibly_is_not_heeded(web, clock):
    web.answer("/data", Reply(429, headers={"Retry-After": "soon"}, type="text/html"), WHOLE)
    assert get(web, clock).content == WHOLE.body


def test_nobody_waits_beyond_the_deadline(web, clock):
    web.answer("/data", Reply(429, headers={"Retry-After": "3600"}, type="text/html"))
    assert refusal(web, clock) == "answers 429 and asks to wait 3600 s: try again later"
    assert (len(web.asked), clock.waits) == (1, [])


def test_all_attempts_together_keep_the_deadline(web, clock):
    web.answer("/data", Reply(500, type="text/html"))
    assert refusal(web, clock, attempts=50, deadline_seconds=100) == "answers 500: try again later"
    assert clock.time <= 100


@pytest.mark.parametrize("chunked", [False, True])
def test_a_server_that_trickles_does_not_outlast_the_deadline(web, chunked):
    web.answer("/data", Reply(body=b"x" * 2_000, pause=0.02, chunked=chunked))
    assert refusal(web, SystemClock(), deadline_seconds=0.3) == "takes longer than 0 s: try again later"


def test_what_is_unchanged_is_not_sent_again(web, clock):
    web.answer("/data", Reply(body=b"{}", headers={"ETag": '"7"'}))
    first = get(web, clock)
    again = get(web, clock, validators=first.validators)
    assert again == Answer(None, Validators('"7"', None))
    assert web.asked[1][1]["If-None-Match"] == '"7"'


def test_a_304_that_nobody_asked_for_is_an_error(web, clock):
    web.answer("/data", Reply(304))
    assert refusal(web, clock).startswith("answers 304")


@pytest.mark.parametrize("status", [401, 403])
def test_a_bad_key_is_named_by_its_variable_and_not_tried_again(web, clock, status):
    web.answer("/data", Reply(status, b'{"cod": 401}'))
    assert refusal(web, clock, key=KEY) == (f"refuses access ({status}): set METRIFY_OPENWEATHERMAP_KEY to a valid key")
    assert len(web.asked) == 1


def test_an_address_that_does_not_exist_is_not_tried_again(web, clock):
    assert refusal(web, clock) == "does not exist (404): check station, series and day"
    assert len(web.asked) == 1


def test_a_page_of_html_is_no_answer(web, clock):
    web.answer("/data", Reply(body=b"<html>down for maintenance</html>", type="text/html; charset=utf-8"))
    assert refusal(web, clock) == ("answers text/html instead of application/json: check the address of the source")


def test_a_redirect_is_followed_on_its_own_host_only(web, clock):
    web.answer("/data", Reply(302, headers={"Location": "/moved"}))
    web.answer("/moved", WHOLE)
    assert get(web, clock).content == WHOLE.body
    web.answer("/data", Reply(301, headers={"Location": "http://localhost:1/elsewhere"}))
    assert refusal(web, clock, key=KEY) == "redirects to another host (localhost): set the address of the source"
    web.answer("/data", Reply(307, headers={"Location": "/data"}))
    assert refusal(web, clock) == "redirects more than 5 times: set the address of the source"


def test_more_bytes_than_allowed_are_not_read(web, clock):
    web.answer("/data", Reply(body=b"x" * 300_000))
    assert refusal(web, clock, max_bytes=100_000).startswith("sends more than 100000 bytes")


def test_a_host_that_is_not_there_is_named(clock):
    with web_server() as gone:
        pass
    assert refusal(gone, clock, attempts=2) == "cannot be reached, 2 times: try again later"


def test_requests_to_a_host_keep_the_rate(web, clock):
    web.answer("/data", WHOLE)
    limited = client(clock, requests_per_second=2)
    for _ in range(9):
        limited.get(f"{web.url}/data", types=("application/json",))
    assert sum(clock.waits) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "replies",
    [
        [Reply(401)],
        [Reply(500)],
        [Reply(body=WHOLE.body, cut=3)],
        [Reply(302, headers={"Location": "http://localhost:1/?appid=geheim%2Bkey%2F0815"})],
        [Reply(type="text/html", body=b"x")],
    ],
)
def test_the_key_is_sent_and_appears_nowhere_else(web, clock, caplog, replies):
    caplog.set_level(logging.DEBUG)
    web.answer("/data", *replies)
    with pytest.raises(PullError) as error:
        get(web, clock, key=KEY)
    assert web.asked[0][0] == "/data?appid=geheim%2Bkey%2F0815"
    texts = "".join(traceback.format_exception(error.value)) + caplog.text + repr(KEY)
    assert error.value.__context__ is None
    for secret in (SECRET, "geheim%2Bkey%2F0815", "0815"):
        assert secret not in texts
    assert "***" in caplog.text


def test_the_key_does_not_show_where_the_host_is_down(caplog, clock):
    caplog.set_level(logging.DEBUG)
    with web_server() as gone:
        pass
    with pytest.raises(PullError) as error:
        get(gone, clock, key=KEY)
    assert "0815" not in "".join(traceback.format_exception(error.value)) + caplog.text
