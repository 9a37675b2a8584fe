"""The comparison of two revisions: its verdicts, its processes, and that its benchmarks run."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.sample import write_sample

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
if not (FOLDER / "compare.py").exists():
    pytest.skip("the source distribution has no benchmarks", allow_module_level=True)

# Scripts, which import each other by name.
with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(FOLDER)
    compare_inputs = importlib.import_module("compare_inputs")
    worker = importlib.import_module("compare_worker")
    compare = importlib.import_module("compare")

LIMIT = 0.30
STEADY = [0.100, 0.101, 0.102, 0.100, 0.103, 0.101, 0.100, 0.102]
RESTLESS = [0.100, 0.160, 0.130, 0.190, 0.110, 0.150, 0.180, 0.120]


def pair(times, base=STEADY, head=STEADY):
    """Return rounds of base, and rounds of head that took some times as long."""
    return compare.Timings(list(base), "a"), compare.Timings([times * s for s in head], "a")


def failed(reason):
    return compare.Timings(error=reason)


@pytest.mark.parametrize(
    ("first", "again", "text", "fails"),
    [
        (pair(1.0), None, "same", False),
        (pair(1.02), None, "same", False),
        (pair(1.15, STEADY, RESTLESS), None, "same", False),
        (pair(1.4, RESTLESS, RESTLESS), pair(1.4), "SLOWER by more than 30%", True),
        (pair(1.4), pair(1.4), "SLOWER by more than 30%", True),
        (pair(1.4), pair(1.0), "same", False),
        (pair(1.4), pair(1.2), "slower", False),
        (pair(1.2), pair(1.4), "slower", False),
        (pair(1.4), pair(1.0, STEADY, RESTLESS), "same", False),
        (pair(1.4), pair(0.7), "same", False),
        (pair(0.7), pair(0.7), "faster", False),
    ],
)
def test_verdict(first, again, text, fails):
    said = compare.judge(first, again, LIMIT)
    assert (said.text, said.failed) == (text, fails)
    assert said.shown == compare.compare(again or first)


def test_only_what_is_beyond_the_noise_is_a_suspect():
    assert [compare.is_suspect(pair(by)) for by in (0.7, 1.0, 1.02, 1.4)] == [
        True,
        False,
        False,
        True,
    ]
    assert not compare.is_suspect(pair(1.0, STEADY, RESTLESS))
    assert not compare.is_suspect((failed("gone"), pair(1.0)[1]))


def test_comparison_by_hand():
    base, head = (
        compare.Timings([1.0] * 8),
        compare.Timings([8.0, 2.0, 5.0, 3.0, 4.0, 7.0, 6.0, 1.0]),
    )
    found = compare.compare((base, head))
    assert (found.base, found.head, found.ratio) == (1.0, 4.5, 4.5)
    assert found.noise == 3.5  # The least of eight bounds the median, 4.5 times below it.
    assert compare.compare(pair(1.5)).noise == compare.LEAST_NOISE


def test_drift_that_meets_both_is_no_noise():
    found = compare.compare(pair(1.1, RESTLESS, RESTLESS))
    assert found.ratio == pytest.approx(1.1)
    assert found.noise == compare.LEAST_NOISE


@pytest.mark.parametrize("rounds", range(1, 13))
def test_order_statistics_bound_the_median(rounds):
    """Fewer than k of n rounds are below the median as often as n coins show fewer heads."""
    heads = [sum(coins) for coins in itertools.product((0, 1), repeat=rounds)]
    k = compare.rank_below(rounds)
    outside = [sum(h < bound for h in heads) / len(heads) for bound in (k, k + 1)]
    assert outside[0] <= 0.025 < outside[1]
    assert (k >= 1) == (rounds >= compare.FEWEST_ROUNDS)


def test_failures():
    ran, broken = pair(1.0)[0], failed("AttributeError: x")
    for first, again, text, fails in (
        ((broken, ran), None, "not in base: AttributeError: x", False),
        ((broken, broken), None, "fails in both: AttributeError: x", False),
        ((ran, broken), None, "FAILS in head: AttributeError: x", True),
        (pair(1.4), (ran, broken), "FAILS in head: AttributeError: x", True),
    ):
        said = compare.judge(first, again, LIMIT)
        assert (said.text, said.shown, said.failed) == (text, None, fails)


def test_other_answers_are_told_and_do_not_fail():
    base, head = pair(1.0)
    head.answer = "b"
    said = compare.judge((base, head), None, LIMIT)
    assert (said.text, said.failed) == ("same, answers differ", False)


def test_table():
    verdicts = {
        "run": compare.Verdict("slower", compare.Comparison(0.1, 0.12, 1.2, 0.05)),
        "new": compare.Verdict("not in base: x"),
    }
    _, run, new = compare.table(verdicts)
    assert run.split() == ["run", "100.0", "120.0", "1.20", "5%", "slower"]
    assert new.split(maxsplit=1) == ["new", "not in base: x"]


class Fake:
    def __init__(self, name, asked, fails_at=None):
        self.name, self.asked, self.fails_at = name, asked, fails_at

    def end(self):
        self.asked.append("end")

    def ask(self, benchmark):
        self.asked.append(self.name + benchmark)
        if self.asked.count(self.asked[-1]) == self.fails_at:
            return {"error": "broken"}
        return {"seconds": 1.0, "answer": "a"}


def test_revisions_take_turns_in_three_processes_each():
    asked = []
    found = compare.measure([Fake("A", asked), Fake("B", asked)], ["1", "2"], 6)
    turns = ["A1", "B1", "A2", "B2", "B1", "A1", "B2", "A2"]
    assert asked == ["end", "end", *turns] * 3
    assert [len(timings.seconds) for timings in found["2"]] == [6, 6]


def test_a_failed_benchmark_is_asked_no_more():
    asked = []
    found = compare.measure([Fake("A", asked), Fake("B", asked, fails_at=2)], ["1"], 12)
    assert [name for name in asked if name != "end"] == ["A1", "B1", "B1", "A1"]
    assert [timings.error for timings in found["1"]] == ["", "broken"]


ENDS = """
import json, sys
for line in sys.stdin:
    if json.loads(line)["time"] == "end":
        sys.exit(3)
    print(json.dumps({"seconds": 0.5, "answer": "a"}), flush=True)
"""


def test_a_worker_that_ends_fails_one_benchmark():
    with compare.Worker([sys.executable, "-c", ENDS], {}) as process:
        replies = [process.ask(name) for name in ("go", "end", "go")]
        process.end()
        replies.append(process.ask("go"))
    fine = {"seconds": 0.5, "answer": "a"}
    assert replies == [fine, {"error": "its process ended with 3"}, fine, fine]


def test_timer_replies(monkeypatch):
    calls = []

    def broken():
        raise ValueError("no such thing")

    known = {"fine": lambda inputs: lambda: calls.append(inputs) or ["x"], "bad": lambda _: broken}
    monkeypatch.setattr(worker, "BENCHMARKS", known)
    timer = worker.Timer("inputs")
    first, second = timer.reply("fine"), timer.reply("fine")
    assert first["answer"] == second["answer"] == worker.digest(["x"])
    assert first["seconds"] >= 0.0
    assert calls == ["inputs"] * 3  # One call is not timed.
    assert timer.reply("bad") == {"error": "ValueError: no such thing"}


def test_worker_refuses_another_package(tmp_path):
    command = [sys.executable, compare.WORKER, tmp_path, tmp_path]
    done = subprocess.run(command, input="", capture_output=True, text=True)
    assert done.returncode == 1
    assert f"is not in {tmp_path}" in done.stderr


def test_the_build_comes_before_everything_else(tmp_path):
    package = tmp_path / "crossmargin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-S",
            "-c",
            "import crossmargin, numpy; print(crossmargin.__file__)",
        ],
        env=compare.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(package / "__init__.py")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, accounts=10)
    compare_inputs.write(folder, accounts=5)
    return worker.Inputs(folder)


@pytest.mark.parametrize("name", list(worker.BENCHMARKS))
def test_benchmarks_run_and_answer_alike(inputs, name):
    call = worker.BENCHMARKS[name](inputs)
    answer = call()
    assert len(answer) > 0
    assert worker.digest(answer) == worker.digest(call())


@pytest.fixture
def repository(tmp_path, monkeypatch):
    def commit(file, text):
        (tmp_path / file).write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", text], check=True)

    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    monkeypatch.setattr(compare, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare.py"])
    return commit


def test_nothing_to_compare(repository, capsys):
    repository("pyproject.toml", "first")
    assert compare.main() == 0
    assert "no commit before HEAD" in capsys.readouterr().out
    repository("README.md", "second")
    assert compare.main() == 0
    assert "nothing that runs has changed" in capsys.readouterr().out


def test_a_head_that_does_not_build_fails(repository, capsys, monkeypatch):
    repository("pyproject.toml", "first")
    repository("pyproject.toml", "this is no TOML")
    assert compare.main() == 1
    out = capsys.readouterr().out
    assert "head does not build" in out
    assert "TOML" in out
    monkeypatch.setattr(sys, "argv", ["compare.py", "nowhere"])
    with pytest.raises(SystemExit, match="2"):
        compare.main()
    assert "nowhere is not a commit" in capsys.readouterr().err


def test_a_head_that_runs_nothing_fails(repository, capsys, monkeypatch):
    repository("pyproject.toml", "first")
    repository("pyproject.toml", "second")
    broken = {"run": ((failed("x"), failed("y")), None)}
    monkeypatch.setattr(compare, "build", lambda commit, folder: folder)
    monkeypatch.setattr(compare, "measure_builds", lambda targets, sample, size: broken)
    assert compare.main() == 1
    out = capsys.readouterr().out
    assert "fails in both: x" in out
    assert "head runs no benchmark" in out


def test_a_request_is_a_line_of_json(tmp_path):
    seen = tmp_path / "seen"
    script = f"import sys; open({str(seen)!r}, 'w').write(sys.stdin.readline()); sys.exit(1)"
    with compare.Worker([sys.executable, "-c", script], {}) as process:
        process.ask("pass, all")
    assert json.loads(seen.read_text()) == {"time": "pass, all"}
