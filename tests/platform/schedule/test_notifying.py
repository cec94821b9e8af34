"""Who is told when a firing does not go well: by mail, by webhook, by a command; and what a listing says of it."""

import json
import socketserver
import sys
import threading
from base64 import b64decode
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from hven.schedule import add_schedule, firings, run_now, tick

HERE = {"cluster": "synchronous"}
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Return what writes the settings of this user."""
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("HVEN_CONFIG", str(path))

    def write(**notify):
        path.write_text(yaml.safe_dump({"notify": notify}))
        return path

    return write


@contextmanager
def mail_server():
    """Give the address of a mail server on loopback, and the mails that it has got."""
    mails = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper().strip()
                if verb == b"EHLO":
                    self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
                    continue
                if verb == b"AUTH":
                    mails.append(b64decode(line.split()[-1]).decode())
                    self.wfile.write(b"235 well\r\n")
                    continue
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = []
                    while (line := self.rfile.readline()).strip() != b".":
                        text.append(line.decode())
                    mails.append(message_from_string("".join(text)))
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 well\r\n")

    with served(socketserver.TCPServer(("127.0.0.1", 0), Handler)) as address:
        yield address, mails


@contextmanager
def web_server():
    """Give the address of a web server on loopback, and what was posted to it."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with served(HTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address, posts


@contextmanager
def served(server):
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield "{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            thread.join()


def test_a_firing_that_fails_is_told_in_every_way_that_the_settings_name(lake, rule, start, settings, tmp_path):
    keeps = f"{sys.executable} -c \"import pathlib, sys; pathlib.Path('{tmp_path}/told').write_text(sys.stdin.read())\""
    add_schedule(lake, "nightly", rule("0 3 * * *", parameters={"least": 10**9}))
    with mail_server() as (mail, mails), web_server() as (web, posts):
        settings(
            mail_to="a@example.org", mail_from="b@example.org", smtp=mail, webhook=f"http://{web}/hook", command=keeps
        )
        (firing,) = tick(lake, start + DAY, **HERE)
    assert (firing.outcome, firing.error["code"], firing.note) == ("failed", "too-few-objects", "")
    (mailed,), (posted,) = mails, posts
    assert (mailed["To"], mailed["Subject"]) == ("a@example.org", "hven: schedule nightly: failed (firing 1)")
    assert "because [too-few-objects] too few stars" in mailed.get_payload()
    assert (posted["firing"]["outcome"], posted["lake"]) == ("failed", lake.url)
    assert "hven schedule show nightly" in posted["text"]
    assert json.loads((tmp_path / "told").read_text()) == posted


def test_what_goes_well_and_what_is_run_by_hand_is_told_nobody(lake, rule, start, settings):
    add_schedule(lake, "well", rule("0 3 * * *"))
    add_schedule(lake, "ill", rule("0 3 * * *", parameters={"least": 10**9}, output="ill"))
    with web_server() as (web, posts):
        settings(webhook=f"http://{web}")
        assert run_now(lake, "ill", start + DAY, **HERE).outcome == "failed"
        assert [firing.outcome for firing in tick(lake, start + DAY, **HERE)] == ["succeeded"]
    assert posts == []


def test_a_mail_server_gets_the_user_and_the_password_of_the_environment(lake, rule, start, settings, monkeypatch):
    monkeypatch.setenv("HVEN_SMTP_PASSWORD", "sesame")
    add_schedule(lake, "nightly", rule("0 3 * * *", parameters={"least": 10**9}))
    with mail_server() as (mail, mails):
        settings(mail_to="a@example.org", mail_from="b@example.org", smtp=mail, smtp_user="hven")
        (firing,) = tick(lake, start + DAY, **HERE)
    assert (firing.note, len(mails)) == ("", 2)
    assert mails[0] == "\0hven\0sesame"


def test_a_way_that_fails_is_noted_and_stops_nothing(lake, rule, start, settings):
    add_schedule(lake, "nightly", rule("0 3 * * *", parameters={"least": 10**9}))
    settings(webhook="http://127.0.0.1:9", command=f"{sys.executable} -c 'raise SystemExit(3)'")
    (firing,) = tick(lake, start + DAY, **HERE)
    assert "nobody was notified by webhook: URLError" in firing.note
    assert "nobody was notified by command: CalledProcessError" in firing.note
    assert firings(lake, "nightly")[-1] == firing


def test_a_listing_says_why_the_last_firing_did_not_go_well(lake, rule, start, command, settings):
    settings()
    add_schedule(lake, "nightly", rule("0 3 * * *", parameters={"least": 10**9}))
    tick(lake, start + DAY, **HERE)
    said = command(f"schedule ls --lake '{lake.url}'").out
    assert "[too-few-objects] too few stars" in said
