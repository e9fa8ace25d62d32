#!/usr/bin/env python3
"""One network of a C node and a member in each language that is named: all publish, all must hear all,
and every process must end cleanly. Then the first programs of docs/swig.md, as they stand there. Run
by bindings/run_tests.sh."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from driver import Node  # noqa: E402

TOPIC = "bindings"
OUT = ROOT / "build" / "bindings"
FIRST = {  # language: name in the docs, commands in the folder of the program (the last one runs it)
    "java": ("First.java", [["java", "-cp", f"{OUT}/java/classes", "First.java"]]),
    "csharp": ("First.cs", [["mcs", "-nologo", f"-r:{OUT}/csharp/KarakP2P.dll", "First.cs"], ["mono", "First.exe"]]),
    "ruby": ("first.rb", [["ruby", "-I", f"{OUT}/ruby", "-I", f"{ROOT}/bindings/ruby/lib", "first.rb"]]),
    "lua": ("first.lua", [["lua5.4", "first.lua"]]),
    "perl": ("first.pl", [["perl", f"-Mblib={OUT}/perl", "first.pl"]]),
    "tcl": ("first.tcl", [["tclsh", "first.tcl"]]),
}


def snippets():
    """The programs in the docs by the name in the comment above each."""
    text = "".join((ROOT / "docs" / page).read_text() for page in ("swig.md", "add-a-language.md"))
    return dict(re.findall(r"<!-- test: (\S+) -->\n```\w+\n(.*?)```", text, re.S))


class First:
    """A first program that runs; its lines."""

    def __init__(self, language, folder, arguments, env):
        name, commands = FIRST[language]
        (folder / name).write_text(snippets()[name])
        for command in commands[:-1]:
            subprocess.run(command, cwd=folder, check=True)
        self.process = subprocess.Popen([*commands[-1], *arguments], cwd=folder, env=env, stdout=subprocess.PIPE,
                                        text=True)
        self.lines, self.changed = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()

    def wait(self, pattern, timeout=30):
        def found():
            return next((m for m in (re.search(pattern, line) for line in self.lines) if m), None)
        with self.changed:
            assert self.changed.wait_for(found, timeout), f"no {pattern} in {self.lines}"
            return found()


def first_programs(languages):
    """Each, as it stands in the docs, meets a C node: both must hear the other."""
    env = dict(os.environ, LUA_CPATH=f"{OUT}/lua/?.so", LUA_PATH=f"{ROOT}/bindings/lua/?.lua", MONO_PATH=f"{OUT}/csharp",
               TCLLIBPATH=f"{OUT}/tcl {ROOT}/bindings/tcl",
               LD_LIBRARY_PATH=f"{OUT}/csharp:{os.environ.get('LD_LIBRARY_PATH', '')}")
    boot = Node("C", [os.environ["KARAKP2P_COMMAND"], "node", "--json"], topic="news")
    with tempfile.TemporaryDirectory() as folder:
        programs = {language: First(language, pathlib.Path(folder), [boot.address], env) for language in languages}
        try:
            for language, program in programs.items():
                program.wait(r"listening on (\S+)")
                name = {"csharp": "C#"}.get(language, language.capitalize())
                boot.wait_message(f"hello from {name}")
            boot.publish("hello from C")
            for program in programs.values():
                program.wait(f"^{boot.peer} says hello from C$")
        finally:
            for program in programs.values():
                program.process.terminate()
                program.process.wait(10)
        if "tcl" in languages:
            (pathlib.Path(folder) / "raw.tcl").write_text(snippets()["raw.tcl"])
            done = subprocess.run(["tclsh", "raw.tcl"], cwd=folder, env=env, check=True, stdout=subprocess.PIPE)
            assert b"/ip4/127.0.0.1/tcp/" in done.stdout, done.stdout
    print(f"first programs in {', '.join(languages)}: heard by C, and heard it")
    return boot.quit()


def main(languages):
    boot = Node("C", [os.environ["KARAKP2P_COMMAND"], "node", "--json"], topic=TOPIC)
    nodes = [boot] + [Node(language, [str(ROOT / "bindings" / "member"), language], topic=TOPIC,
                           bootstrap=[boot.address]) for language in languages]
    boot.wait_until(lambda n: len(n.ask("/peers", "peers")["subscribers"]) == len(languages),
                    "every member subscribes")
    for node in nodes[1:]:
        node.wait_until(lambda n: boot.peer in n.ask("/peers", "peers")["subscribers"], "knows the bootnode")
    for node in nodes:
        node.publish(f"grüße from {node.name}")
    for node in nodes:
        for other in nodes:
            if other is not node:
                node.wait_message(f"grüße from {other.name}")
        assert node.ask("/stats", "stats"), node.name
    status = {node.name: node.quit() for node in reversed(nodes)}
    print(f"network of C, {', '.join(languages)}: all heard all; exits {status}")
    return 1 if any(status.values()) else first_programs(languages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
