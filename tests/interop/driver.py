"""Drives one node of any implementation by the line protocol that the karakp2p command and the stock
peers share: JSON events on its standard output, lines to publish and commands on its standard input."""

import base64
import json
import subprocess
import threading
import time


class Event(dict):
    """What a node said, and when (monotonic seconds)."""

    at = 0.0


class Node:
    """A running node. Events are kept in order; `wait` looks at those not yet waited for."""

    def __init__(self, name, command, *options, topic="interop", listen=True, bootstrap=()):
        self.name = name
        command = [*command, "--topic", topic]
        if listen:
            command += ["--listen", listen if isinstance(listen, str) else "/ip4/127.0.0.1/tcp/0"]
        for address in bootstrap:
            command += ["--bootstrap", address]
        self.command = [*command, *options]
        self.events = []
        self.errors = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._readers = [threading.Thread(target=self._read_events, daemon=True),
                         threading.Thread(target=self._read_errors, daemon=True)]
        for reader in self._readers:
            reader.start()
        started = self.wait("listening", timeout=30)
        self.peer, self.addresses = started["peer"], started["addrs"]

    def _read_events(self):
        for line in self._process.stdout:
            try:
                event = Event(json.loads(line))
            except ValueError:
                event = Event(event="garbage", line=line.decode(errors="replace"))
            event.at = time.monotonic()
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()
        with self._changed:
            self.events.append({"event": "eof"})
            self._changed.notify_all()

    def _read_errors(self):
        for line in self._process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())

    @property
    def address(self):
        """The first loopback address, with the peer id."""
        loopback = [a for a in self.addresses if "/127.0.0.1/" in a] or self.addresses
        return loopback[0] if "/p2p/" in loopback[0] else f"{loopback[0]}/p2p/{self.peer}"

    def count(self, kind, **members):
        return sum(1 for e in list(self.events) if self._matches(e, kind, members))

    @staticmethod
    def _matches(event, kind, members):
        return event.get("event") == kind and all(event.get(k) == v for k, v in members.items())

    def mark(self):
        """An index for `since`: only what comes after now."""
        with self._changed:
            return len(self.events)

    def find(self, kind, since=0, **members):
        """The events of this kind with these members that have come."""
        return [e for e in self.events[since:] if self._matches(e, kind, members)]

    def wait(self, kind, timeout=20, count=1, where=None, since=0, **members):
        """The count-th event of this kind with these members (and for which where(event) holds)."""
        deadline = time.monotonic() + timeout
        seen, at = 0, since
        with self._changed:
            while True:
                while at < len(self.events):
                    event = self.events[at]
                    at += 1
                    if self._matches(event, kind, members) and (where is None or where(event)):
                        seen += 1
                        if seen == count:
                            return event
                left = deadline - time.monotonic()
                ended = self.events and self.events[-1]["event"] == "eof"
                if left <= 0 or ended:
                    raise AssertionError(self._report(kind, members, count, seen, ended))
                self._changed.wait(left)

    def _report(self, kind, members, count, seen, ended):
        tail = "\n  ".join(json.dumps(e)[:300] for e in self.events[-12:])
        return (f"{self.name}: {seen} of {count} {kind} {members} before "
                f"{'it ended' if ended else 'the time was over'}; its last events:\n  {tail}\n"
                f"standard error:\n  " + "\n  ".join(self.errors[-12:]))

    def line(self, text):
        """A line to its standard input: str, or bytes without a newline."""
        self._process.stdin.write((text.encode() if isinstance(text, str) else text) + b"\n")
        self._process.stdin.flush()

    def publish(self, text):
        """Publishes a str, or bytes without a newline; `published` or `error` will answer."""
        data = text.encode() if isinstance(text, str) else text
        self.line(b"/" + data if data.startswith(b"/") else data)

    def messages(self):
        return [e for e in list(self.events) if e["event"] == "message"]

    def wait_message(self, data, timeout=20):
        if isinstance(data, str):
            data = data.encode()
        wanted = base64.b64encode(data).decode()
        return self.wait("message", timeout=timeout, data=wanted)

    def ask(self, command, answer, timeout=20, **members):
        """Sends a command and returns the answer that follows it."""
        since = self.mark()
        self.line(command)
        return self.wait(answer, timeout=timeout, since=since, **members)

    def wait_until(self, condition, what, timeout=20, every=0.1):
        """Until condition(self) is true; for states that have no event of their own."""
        deadline = time.monotonic() + timeout
        while not condition(self):
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: never came true: {what}\n" +
                                     self._report("state", {}, 1, 0, False))
            time.sleep(every)

    def quit(self, timeout=15):
        """A graceful end; returns the exit status."""
        if self._process.poll() is None:
            try:
                self.line("/quit")
            except (BrokenPipeError, OSError):
                pass
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end after /quit\n" +
                                 self._report("closed", {}, 1, 0, False)) from None
        for reader in self._readers:
            reader.join(5)
        return status

    def end_input(self):
        self._process.stdin.close()

    def running(self):
        return self._process.poll() is None

    def terminate(self, timeout=15):
        self._process.terminate()
        return self._process.wait(timeout)

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
