"""Runs one network of our own nodes in every language and of every stock libp2p peer that is or can be
built here. All share one table (examples/README.md): each sets a value, everyone must hear of it. Prints
who received what; exits 0 only when everyone received everything and every process ended cleanly.

KP2P_DEMO_STOCK: the stock peers to take, of "rust056 go js" (all)."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from driver import Node  # noqa: E402

CACHE = pathlib.Path(os.environ.get("KP2P_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "karakp2p")
TOPIC = "example/table"
LISTEN = "/ip4/127.0.0.1/tcp/0"
STOCK = [("rust-libp2p as the original KarakP2P", "rust056", []),
         ("rust-libp2p with identify", "rust056", ["--identify"]),
         ("go-libp2p", "go", []), ("js-libp2p", "js", [])]
SWIG = [("Java", "javac"), ("C#", "mono"), ("Ruby", "ruby"), ("Lua", "lua5.4"), ("Perl", "perl"), ("Tcl", "tclsh")]
MEMBER = str(ROOT / "bindings" / "member")
WANTED = os.environ.get("KP2P_DEMO_STOCK", "rust056 go js").split()


class LeftOut(Exception):
    """Why a member can not be had on this machine."""


# --- members ---------------------------------------------------------------------------------------


class ProtocolMember(Node):
    """Whoever speaks the line protocol of the karakp2p command: its messages are the table's JSON."""

    def say(self, name, value):
        self.publish(json.dumps({"set": name, "to": value, "at": time.time()}))

    def heard(self, name, value, timeout):
        def is_it(event):
            try:
                change = json.loads(base64.b64decode(event["data"]))
            except ValueError:
                return False
            return isinstance(change, dict) and (change.get("set"), change.get("to")) == (name, value)

        self.wait("message", timeout=timeout, topic=TOPIC, where=is_it)


class Service:
    """An instance of the example service: text in, text out."""

    def __init__(self, name, command, bootstrap):
        self.name, self.lines, self.errors = name, [], []
        self._changed = threading.Condition()
        self._process = subprocess.Popen([*command, "--listen", LISTEN, "--bootstrap", bootstrap],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._readers = [threading.Thread(target=self._read, args=args, daemon=True) for args in
                         ((self._process.stdout, self.lines), (self._process.stderr, self.errors))]
        for reader in self._readers:
            reader.start()
        self.wait("listening on ", 60)

    def _read(self, stream, into):
        for line in stream:
            with self._changed:
                into.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            into.append(None)  # the end
            self._changed.notify_all()

    def wait(self, start, timeout):
        """Until a line begins so."""
        def came():
            return any(line is None or line.startswith(start) for line in self.lines)

        with self._changed:
            self._changed.wait_for(came, timeout)
            if not any(line and line.startswith(start) for line in self.lines):
                raise AssertionError(f"{self.name}: no line \"{start}…\"; its last ones:\n  " + "\n  ".join(
                    str(line) for line in (self.lines + self.errors)[-12:]))

    def say(self, name, value):
        self._process.stdin.write(f"{name}={value}\n")
        self._process.stdin.flush()

    def heard(self, name, value, timeout):
        self.wait(f"{name} = {value}", timeout)

    def quit(self):
        """The end of its input; the exit status."""
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            status = self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.name} did not end with its input") from None
        for reader in self._readers:
            reader.join(5)
        return status


# --- what there is ---------------------------------------------------------------------------------


def run(*command, cwd=None, **env):
    """Runs a command of the preparation; LeftOut with its last line when it fails."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        last = [line for line in done.stdout.splitlines() if line.strip()][-1:] or ["no output"]
        raise LeftOut(f"{pathlib.Path(command[0]).name}: {last[0]}")
    return done.stdout


def need(program, paths=""):
    found = shutil.which(program, path=os.environ["PATH"] + os.pathsep + paths)
    if found is None:
        raise LeftOut(f"no {program} on this machine")
    return found


def python_package():
    """Installs the package into an environment of its own; its interpreter."""
    venv = CACHE / "demo" / "python-{}.{}".format(*sys.version_info)
    python = venv / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", "--clear", str(venv))
    run(str(python), "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps",
        f"--config-settings=build-dir={venv / 'build'}", str(ROOT / "python"))
    return python


def python_service():
    return [str(python_package()), str(ROOT / "examples" / "python" / "service.py")]


def node_package():
    """Installs the package into a folder of its own, so that the checkout stays as it is; the folder."""
    folder = CACHE / "demo" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"name": "demo", "private": true, "type": "module"}\n')
    run(need("npm"), "install", "--no-audit", "--no-fund", str(ROOT / "node"), cwd=folder)
    return folder


def node_service():
    folder = node_package()
    shutil.copytree(ROOT / "examples" / "node", folder, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("node_modules", "package*.json"))
    return [need("node"), str(folder / "service.mjs")]


def go_service():
    go = need("go", "/usr/local/go/bin:/usr/lib/go/bin")
    program = CACHE / "demo" / "go" / "service"
    program.parent.mkdir(parents=True, exist_ok=True)
    run(go, "build", "-o", str(program), ".", cwd=ROOT / "examples" / "go")
    return [str(program)]


SERVICES = [("service in Python", "python/service.py", python_service),
            ("service in Node.js", "node/service.mjs", node_service),
            ("service in Go", "go/go.mod", go_service)]


def swig_member(language, runtime):
    """A member by the SWIG binding of a language whose runtime is here."""
    need(runtime)
    name = {"C#": "csharp"}.get(language, language.lower())
    out = run(str(ROOT / "bindings" / "run_tests.sh"), "--build", name)
    if "left out none" not in out:
        raise LeftOut(out.strip().splitlines()[-1])
    return [MEMBER, name]


def stock_command(program):
    """A stock peer, built before or now, with the toolchains of this machine."""
    out = run(str(ROOT / "tests" / "interop" / "peers" / "build.sh"), program)
    for line in out.splitlines():
        if line.startswith(program + " "):
            return [line.split(" ", 1)[1]]
    raise LeftOut("build.sh named no program")


def prepare(what, make):
    """The command of a member, or None."""
    print(f"preparing {what}", flush=True)
    try:
        return make()
    except LeftOut as why:
        print(f"  left out: {why}", flush=True)
        return None


# --- the network -----------------------------------------------------------------------------------


def members(nodes):
    """Starts everyone, the bootnode first, and appends them to nodes."""
    services = [(name, prepare(name, make)) for name, file, make in SERVICES
                if (ROOT / "examples" / file).exists()]
    swig = [(f"member in {language}", prepare(f"member in {language}", lambda lr=(language, runtime): swig_member(*lr)))
            for language, runtime in SWIG]
    programs = {p: prepare(f"stock peer {p} (built once, then kept)", lambda p=p: stock_command(p))
                for p in dict.fromkeys(program for _, program, _ in STOCK) if p in WANTED}
    ours = [str(ROOT / "build" / "release" / "karakp2p"), "node", "--json"]
    boot = ProtocolMember("bootnode in C", ours, topic=TOPIC)
    nodes.append(boot)
    print(f"bootnode in C listens on {boot.address}", flush=True)
    nodes.append(ProtocolMember("second node in C", ours, topic=TOPIC, bootstrap=[boot.address]))
    for name, command in services:
        if command is not None:
            nodes.append(Service(name, command, boot.address))
    for name, command in swig:
        if command is not None:
            nodes.append(ProtocolMember(name, command, topic=TOPIC, bootstrap=[boot.address]))
    for name, program, options in STOCK:
        if programs.get(program) is not None:
            nodes.append(ProtocolMember(name, programs[program], *options, topic=TOPIC,
                                        bootstrap=[boot.address]))
    boot.wait_until(lambda n: len(n.ask("/peers", "peers")["subscribers"]) == len(nodes) - 1,
                    "every member subscribes", timeout=60)
    for node in nodes[1:]:
        if isinstance(node, ProtocolMember) and node.command[0] in (ours[0], MEMBER):
            node.wait_until(lambda n: n.ask("/peers", "peers")["mesh"], "joins the mesh")
        elif isinstance(node, ProtocolMember):
            node.wait("subscribed", peer=boot.peer, topic=TOPIC)


def exchange(nodes):
    """Everyone sets a value; everyone must hear of everyone else's."""
    ok = True
    for node in nodes:
        node.say(f"from the {node.name}", "hello")
    for node in nodes:
        heard = 0
        for other in nodes:
            if other is node:
                continue
            try:
                node.heard(f"from the {other.name}", "hello", 30)
                heard += 1
            except AssertionError:
                print(f"  {node.name} did not hear the {other.name}")
                ok = False
        print(f"{node.name:40} received {heard} of {len(nodes) - 1} messages", flush=True)
    return ok


def end(nodes):
    """The bootnode goes last, so that every goodbye has somebody to hear it."""
    ok = True
    for node in reversed(nodes):
        try:
            status = node.quit()
        except AssertionError as error:
            print(error)
            status = "killed"
        if status != 0:
            print(f"{node.name} ended with {status}\n  " + "\n  ".join(str(e) for e in node.errors[-5:]))
            ok = False
    print("every process ended cleanly" if ok else "not every process ended cleanly")
    return ok


def main():
    nodes = []
    try:
        members(nodes)
        ok = exchange(nodes)
    except AssertionError as error:
        print(error)
        ok = False
    return 0 if end(nodes) and ok else 1


if __name__ == "__main__":
    sys.exit(main())
