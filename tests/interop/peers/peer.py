"""Starts a program that speaks the peers' line protocol (README.md) and waits for its events. Standard library only."""

import base64
import json
import pathlib
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent


def build(*names):
    """Builds the named peers; returns {name: path}."""
    out = subprocess.run([HERE / "build.sh", *names], check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


class Peer:
    def __init__(self, name, command, *args, listen=("/ip4/127.0.0.1/tcp/0",), bootstrap=(), topic="t", timeout=30):
        self.name = name
        self.events = []
        self._new = threading.Condition()
        argv = [str(c) for c in ([command] if isinstance(command, (str, pathlib.Path)) else command)]
        for a in listen:
            argv += ["--listen", a]
        for a in bootstrap:
            argv += ["--bootstrap", a]
        argv += ["--topic", topic, *args]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        hello = self.wait("listening", timeout=timeout)
        self.id, self.addrs = hello["peer"], hello["addrs"]

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            event["at"] = time.monotonic()
            with self._new:
                self.events.append(event)
                self._new.notify_all()
        with self._new:
            self.events.append({"event": "exited", "at": time.monotonic()})
            self._new.notify_all()

    def find(self, event, since=0, **match):
        """All events of that kind from index `since` on whose members equal `match`."""
        with self._new:
            seen = self.events[since:]
        return [e for e in seen if e["event"] == event and all(e.get(k) == v for k, v in match.items())]

    def wait(self, event, timeout=10, count=1, since=0, **match):
        """Waits for `count` such events; returns the last of them."""
        end = time.monotonic() + timeout
        at, found = since, []
        with self._new:
            while True:
                for e in self.events[at:]:
                    if e["event"] == event and all(e.get(k) == v for k, v in match.items()):
                        found.append(e)
                        if len(found) == count:
                            return e
                at = len(self.events)
                gone = at > 0 and self.events[-1]["event"] == "exited"
                left = end - time.monotonic()
                if gone or left <= 0:
                    break
                self._new.wait(left)
        what = "exited" if gone else "timed out"
        other = [e for e in self.events if e["event"] != "message"][-8:]
        raise AssertionError(f"{self.name} {what}: {len(found)} of {count} {event} {match}; last events: {other}")

    def mark(self):
        """An index for `since`: only what comes after now."""
        with self._new:
            return len(self.events)

    def send(self, line):
        data = line.encode() if isinstance(line, str) else line
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def publish(self, data, timeout=10):
        """Publishes bytes without a newline; returns the message id."""
        since = self.mark()
        self.send(b"/" + data if data.startswith(b"/") else data)
        return self.wait("published", timeout=timeout, since=since)["id"]

    def ask(self, line, event, timeout=60):
        since = self.mark()
        self.send(line)
        return self.wait(event, timeout=timeout, since=since)

    def payloads(self, **match):
        return [base64.b64decode(e["data"]) for e in self.find("message", **match)]

    def quit(self, timeout=10):
        if self.process.poll() is None:
            self.send("/quit")
            self.wait("closed", timeout=timeout)
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        assert code == 0, f"{self.name} ended with {code}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
