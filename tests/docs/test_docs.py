"""The documentation does what it says: programs are compiled and run, commands have the options they
are shown with, keys and counters exist, links lead somewhere."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from network import need, node_package, python_package  # noqa: E402

BUILD = pathlib.Path(os.environ.get("KARAKP2P_BUILD", ROOT / "build" / "release"))
CLI = str(BUILD / "karakp2p")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md",
         ROOT / "python" / "README.md"]


def blocks(language):
    """(page, name after `<!-- test:`, code) of every fenced block of a language."""
    for page in PAGES:
        text = page.read_text()
        pattern = r"(?:<!-- test: (\S+) -->\n)?```" + language + r"\n(.*?)```"
        for name, code in re.findall(pattern, text, re.S):
            yield page, name, code


def compile_c(code, out):
    source = out.with_suffix(".c")
    source.write_text(code)
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", source, "-o", out,
                    f"-I{ROOT / 'abi/include'}", f"-L{BUILD}", "-lkarakp2p", f"-Wl,-rpath,{BUILD}"],
                   check=True)
    return str(out)


def test_every_c_block_is_named_for_a_test():
    assert [name for _, name, _ in blocks("c") if name] != []
    for page, name, code in blocks("c"):
        assert name, f"{page.name}: a C block without a test:\n{code[:200]}"


def test_c_snippets_compile(tmp_path):
    """Those that are no whole program are put into a function that has what they use."""
    for _, name, code in blocks("c"):
        if "int main(" in code:
            continue
        body = ("#include <karakp2p.h>\n#include <poll.h>\n#include <stdio.h>\n#include <string.h>\n"
                "void use(kp2p_bytes b);\nint on_event(kp2p_event *ev, void *ud);\n"
                "void snippet(kp2p_node *node, kp2p_sender *sender, kp2p_config *config);\n"
                "void use(kp2p_bytes b) { (void)b; }\n"
                "int on_event(kp2p_event *ev, void *ud) { (void)ev; (void)ud; return 1; }\n"
                "void snippet(kp2p_node *node, kp2p_sender *sender, kp2p_config *config)\n{\n"
                "(void)node; (void)sender; (void)config;\n" + code +
                "}\nint main(void) { return 0; }\n")
        compile_c(body, tmp_path / name.replace(".", "_"))


class Program:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines, self.changed = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()

    def wait(self, pattern, timeout=20):
        def found():
            return next((m for m in (re.search(pattern, line) for line in list(self.lines)) if m), None)
        with self.changed:
            assert self.changed.wait_for(found, timeout), f"no {pattern} in {self.lines}"
            return found()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


def test_first_program_of_the_readme(tmp_path):
    code = next(code for page, name, code in blocks("c") if name == "first-program.c")
    program = compile_c(code, tmp_path / "first")
    both_hear([program], status=0)


def both_hear(command, status):
    """A first program, started, and started again with the address that it prints."""
    one = Program(*command)
    address = one.wait(r"listening on (\S+)").group(1)
    two = Program(*command, address)
    ids = [two.wait(r"(\w+) says hello from \1").group(1), one.wait(r"(\w+) says hello from \1").group(1)]
    assert ids[0] != ids[1] and ids[0] in address
    assert [two.interrupt(), one.interrupt()] == [status, status]


def test_first_program_in_python(tmp_path):
    code = next(code for _, name, code in blocks("python") if name == "first_program.py")
    (tmp_path / "first.py").write_text(code)
    both_hear([python_package(), str(tmp_path / "first.py")], status=-signal.SIGINT)


def test_first_program_in_node(tmp_path):
    code = next(code for _, name, code in blocks("js") if name == "first-program.mjs")
    node_package()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "karakp2p").symlink_to(ROOT / "node")
    (tmp_path / "first.mjs").write_text(code)
    both_hear([need("node"), str(tmp_path / "first.mjs")], status=0)


def test_first_program_in_go_is_that_of_its_package():
    """go/run_tests.sh builds and runs that."""
    code = next(code for page, _, code in blocks("go") if page.name == "README.md")
    assert f"```go\n{code}```" in (ROOT / "go" / "README.md").read_text()


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_have_the_options_shown():
    shown = {}
    for page, _, code in blocks("sh"):
        for line in code.splitlines():
            words = line.split("#")[0].split()
            for command in line.split("#")[0].split("&&"):
                program = (command.split() or [""])[0]
                if re.match(r"(scripts|bench|bindings|tests|python|node|go)/", program):
                    assert os.access(ROOT / program, os.X_OK), f"{page.name}: {line}"
            if len(words) > 1 and words[0] == "karakp2p" and words[1] in ("node", "sim", "key"):
                shown.setdefault(words[1], set()).update(w for w in words if w.startswith("--"))
    assert shown["node"]
    for command, options in shown.items():
        text = subprocess.run([CLI, command, "--help"], capture_output=True, text=True).stdout
        for option in options - {"--help"}:
            assert option in text, f"karakp2p {command} has no {option}"


def test_simulator_page_has_the_table_of_scenarios():
    listed = subprocess.run([CLI, "sim", "--list"], capture_output=True, text=True).stdout.splitlines()
    rows = [f"| `{name}` | {text} |" for name, text in (line.split(None, 1) for line in listed)]
    page = (ROOT / "docs" / "simulator.md").read_text().splitlines()
    assert rows and [line for line in page if line.startswith("| `")] == rows


def test_simulator_page_s_commands_run():
    """All but the soak run, whose options test_commands_have_the_options_shown looks at."""
    page = ROOT / "docs" / "simulator.md"
    commands = [line.split("#")[0].split() for where, _, code in blocks("sh") if where == page
                for line in code.splitlines() if line.startswith("karakp2p sim")]
    assert commands
    for words in commands:
        done = subprocess.run([CLI, *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def names_in_tables(page, column):
    """Names in backticks in one column of a page's tables."""
    for line in page.read_text().splitlines():
        cells = line.strip().strip("|").split("|")
        if line.startswith("|") and len(cells) > column:
            yield from re.findall(r"`([a-z_.]+)`", cells[column])


def test_operators_page_names_real_keys_and_counters():
    page = ROOT / "docs" / "operators.md"
    keys = set(names_in_tables(ROOT / "docs" / "config.md", 0))
    done = subprocess.run([CLI, "node", "--json"], input="/stats\n/quit\n", capture_output=True,
                          text=True, timeout=20)
    stats = next(json.loads(line) for line in done.stdout.splitlines() if '"stats"' in line)
    known = keys | set(stats)
    named = set(names_in_tables(page, 2)) | set(names_in_tables(page, 0))
    assert named and named - known == set()


@pytest.mark.parametrize("preset", ["release", "debug", "asan", "tsan", "fuzz"])
def test_presets_named_in_the_docs_exist(preset):
    presets = json.loads((ROOT / "CMakePresets.json").read_text())
    assert preset in [p["name"] for p in presets["configurePresets"]]


def test_hostile_rows_name_tests_and_counters():
    """docs/hostile.md: every test it names is in the tree, every counter in `stats`."""
    named = set()
    for source in (ROOT / "tests").rglob("*.cc"):
        for suite, name in re.findall(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", source.read_text(), re.M):
            named.add(f"{suite}.{name}")
    counters = set(re.findall(r"\bX\((\w+)\)", (ROOT / "core/base/stats.h").read_text()))
    text = (ROOT / "docs/hostile.md").read_text().split("\n## ")[0]
    rows = re.findall(r"^\| \d+ \|.*\| (.*) \| (.*) \|$", text, re.M)
    assert len(rows) == 24
    for counted, proved in rows:
        assert set(re.findall(r"`(\w+)`", counted)) <= counters
        tests = re.findall(r"`([\w.]+)`", proved)
        assert tests
        assert set(tests) <= named
