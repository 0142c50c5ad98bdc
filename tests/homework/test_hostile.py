"""Submissions that mean harm, or are broken: a score, a flag, and no damage."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import nbformat
import pytest

from rnn_companion.homework.files import Course
from rnn_companion.homework.grade import CUT, KERNEL, TAMPERED, Graded
from rnn_companion.homework.report import _feedback, sheet
from rnn_companion.homework.sandbox import Sandbox

from .conftest import filled, points
from .wrong_answers import ROOT

CHAPTER = "1-recurrence"
RIGHT = "return torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)"
FULL, WITHOUT_STEP = 9, 7  # points of all tests, and of all but rnn_step's


@dataclass(frozen=True)
class Attack:
    """What stands in the answer, outside of the function and inside it."""

    before: str = ""
    body: str = RIGHT
    points: float = FULL
    flags: tuple[str, ...] = ()
    says: str = ""
    never: str = "SECRET FOUND"
    cell: float = 4  # seconds

    @property
    def source(self) -> str:
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        function = f"def rnn_step(X_t, H, W_xh, W_hh, b_h):\n{body}\n"
        return f"{textwrap.dedent(self.before).strip()}\n{function}".strip()


LOOK_AROUND = f"""
import os
for place in ("/root", "/home", "/work", "{ROOT}/book", "{ROOT}/.git", "/etc/passwd"):
    if os.path.isfile(place) or os.path.isdir(place) and [
        n for n in os.listdir(place) if n not in ("main", ".venv", ".pyenv")
        and not os.path.exists(os.path.join(place, n, "rnn_companion"))
    ]:
        print("SECRET", "FOUND", place)
"""

ATTACKS = {
    "an infinite loop": Attack(
        body="while True:\n    pass", points=WITHOUT_STEP, flags=(KERNEL,)
    ),
    "a loop that swallows every interruption": Attack(
        body="""
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """,
        points=WITHOUT_STEP,
        flags=(KERNEL,),
    ),
    "a loop within C": Attack(
        body="return sum(iter(int, 1))", points=WITHOUT_STEP, flags=(KERNEL,)
    ),
    "raises": Attack(before="raise RuntimeError('no')", points=WITHOUT_STEP),
    "exits politely": Attack(before="import sys; sys.exit(3)", points=WITHOUT_STEP),
    "exits at once": Attack(
        body="import os; os._exit(0)", points=WITHOUT_STEP, flags=(KERNEL,)
    ),
    "crashes": Attack(
        body="import ctypes; ctypes.string_at(0)", points=WITHOUT_STEP, flags=(KERNEL,)
    ),
    "a fork bomb": Attack(
        before="import os\nwhile True: os.fork()",
        points=WITHOUT_STEP,
        says="PermissionError",
    ),
    "a fork bomb that insists": Attack(
        body="""
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
        points=WITHOUT_STEP,
        flags=(KERNEL,),
    ),
    "a program": Attack(
        before="import subprocess\nsubprocess.run(['/bin/sh', '-c', 'id'])",
        points=WITHOUT_STEP,
        says="PermissionError",
    ),
    "a thread bomb": Attack(
        before="""
        import threading, time
        for _ in range(100_000):
            threading.Thread(target=time.sleep, args=(1000,)).start()
        """,
        points=WITHOUT_STEP,
        flags=(KERNEL,),
        says="threads",
    ),
    "8 GB of memory": Attack(
        before="hoard = bytearray(8 * 2**30)",
        points=WITHOUT_STEP,
        says="MemoryError",
    ),
    "a gigabyte of output": Attack(
        before="for _ in range(1000): print('x' * 10**6)", flags=(CUT,), cell=30
    ),
    "a full disk": Attack(
        before="""
        for name in range(1000):
            with open(str(name), "wb") as file:
                file.write(bytes(10**7))
        """,
        points=WITHOUT_STEP,
        says="No space left",
    ),
    "looks around the disk": Attack(before=LOOK_AROUND),
    "looks at other processes": Attack(
        before="""
        import os
        if os.listdir("/proc") or os.getppid():
            print("SECRET", "FOUND")
        """
    ),
    "kills all it can reach": Attack(
        before="import os, signal\nos.kill(-1, signal.SIGKILL)",
        points=WITHOUT_STEP,
        says="ProcessLookupError",
    ),
    "writes where it may not": Attack(
        before="""
        for place in ("/", "/usr", "/dev", "/etc", "/usr/lib"):
            try:
                open(place + "/mark", "w").write("x")
                print("SECRET", "FOUND", place)
            except OSError:
                pass
        """
    ),
    "writes into the package": Attack(
        before="""
        import rnn_companion.check as c
        open(c.__file__, "a").write("#")
        """,
        points=WITHOUT_STEP,
        says="Read-only",
    ),
    "calls home": Attack(
        before="""
        import urllib.request
        urllib.request.urlopen("http://192.0.2.1/", timeout=3)
        """,
        points=WITHOUT_STEP,
        says="not permitted",
    ),
    "makes namespaces of its own": Attack(
        before="""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        mounted = libc.mount(b"a", b"/tmp", b"tmpfs", 0, 0)
        if libc.unshare(0x10000000) == 0 or mounted == 0:
            print("SECRET", "FOUND")
        """
    ),
    "patches torch": Attack(
        before="""
        import torch
        torch.allclose = torch.equal = lambda *a, **k: True
        torch.testing.assert_close = lambda *a, **k: None
        """,
        flags=(TAMPERED,),
    ),
    "patches the package's checks": Attack(
        before="from rnn_companion.check import examine\n"
        "examine.difference = lambda *a: None\n"
        "examine._try = lambda *a: None",
        body="return 2 * torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)",
        points=WITHOUT_STEP,  # the hidden test is not fooled
        flags=(TAMPERED,),
    ),
    "patches the arithmetic": Attack(
        before="import torch\ntorch.Tensor.__float__ = lambda self: 0.0",
        body="return H",
        points=WITHOUT_STEP,
        flags=(TAMPERED,),
    ),
    "takes the name of the checks": Attack(
        before="""
        class check:
            rnn_step = staticmethod(lambda function: None)
        """,
        body="return H",
        points=WITHOUT_STEP,
        says="rnn_step:",
    ),
    "strips asserts": Attack(
        before="""
        import ast
        class Strip(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()
        get_ipython().ast_transformers.append(Strip())
        """,
        body="return 2 * H",
        points=WITHOUT_STEP,
    ),
    "patches the builtins": Attack(
        before="import builtins\nbuiltins.abs = lambda *a: 0",
        body="return 2 * H",
        points=WITHOUT_STEP,
        flags=(TAMPERED,),
    ),
    "answers in the kernel's stead": Attack(
        before="""
        import json, os
        fake = json.dumps({"error": None, "text": "", "cut": False}).encode() + b"\\n"
        for descriptor in range(3, 40):
            try:
                os.write(descriptor, fake * 20)
            except OSError:
                pass
        """,
        body="return H",
        points=0,  # no reply can be told from a forged one, so none counts
        flags=(KERNEL,),
    ),
    "prints the tests": Attack(
        body="""
        import sys
        frame = sys._getframe()
        while frame:
            print([v for v in frame.f_locals.values() if isinstance(v, str)])
            frame = frame.f_back
        return torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
        """,
        never="leaves the range of",
    ),
    "carries the hidden tests out in an error": Attack(
        body="""
        if X_t.shape == (2, 1):
            import inspect
            raise AssertionError("SECRET " + "FOUND" + inspect.stack()[1].filename)
        return torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
        """,
        points=WITHOUT_STEP,
        says="A check that is not shown failed.",
    ),
    "a script": Attack(
        before='print("</pre><script>alert(1)</script><img src=x onerror=alert(1)>")',
        never="<script>",
    ),
    "an error that cannot be told": Attack(
        before="""
        class Sly(Exception):
            def __str__(self):
                raise KeyboardInterrupt
        raise Sly
        """,
        points=WITHOUT_STEP,
        says="cannot be shown",
    ),
    "an object equal to everything": Attack(
        before="""
        class Same:
            shape = (5, 4)
            def __eq__(self, other): return True
            def __sub__(self, other): return self
            def abs(self): return self
            def max(self): return self
            def __float__(self): return 0.0
            def __le__(self, other): return True
        """,
        body="return Same()",
        points=WITHOUT_STEP,
    ),
    "right, but warns": Attack(
        before="import warnings, sys\nwarnings.warn('old')\nprint('!', file=sys.stderr)"
    ),
    "right, with magics": Attack(before="%matplotlib inline\nx = 1"),
    "right, with a prompt for input": Attack(
        before="""
        try:
            input()
        except Exception:
            pass
        """
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_submission(
    name: str, course: Course, sandbox: Sandbox, graded: Callable[..., Graded]
) -> None:
    """The score and the flags are those expected, and the page tells no secret."""
    attack = ATTACKS[name]
    notebook = filled(course, CHAPTER, {"rnn-step": attack.source})
    result = graded(CHAPTER, notebook, cell=attack.cell)
    assert points(result) == attack.points, result.outcomes
    assert tuple(result.flags) == attack.flags
    page = _feedback(sheet(course.read_source(CHAPTER)), result, {})
    assert attack.says in page
    assert attack.never not in page
    assert sandbox._process.poll() is None


def test_one_submission_leaves_nothing_for_the_next(
    course: Course, graded: Callable[..., Graded]
) -> None:
    """Neither files nor variables nor patches outlive a submission."""
    leave = Attack(
        before="""
        import builtins, torch, pathlib
        pathlib.Path("left").write_text("x")
        pathlib.Path("/dev/shm/left").write_text("x")
        builtins.left = torch.left = True
        """
    )
    look = Attack(
        before="""
        import os, builtins, torch
        if os.listdir() or os.listdir("/dev/shm"):
            print("SECRET", "FOUND")
        if hasattr(builtins, "left") or hasattr(torch, "left"):
            print("SECRET", "FOUND")
        """
    )
    for attack in (leave, look):
        notebook = filled(course, CHAPTER, {"rnn-step": attack.source})
        result = graded(CHAPTER, notebook)
        assert points(result) == FULL
        assert "SECRET FOUND" not in "".join(o.text for o in result.outcomes)


def test_a_submission_that_is_slow_everywhere_is_stopped(
    course: Course, graded: Callable[..., Graded]
) -> None:
    """The time for the whole holds, too."""
    slow = Attack(before="import time; time.sleep(2)")
    notebook = filled(course, CHAPTER, {"rnn-step": slow.source})
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "skill":
            cell.source = "import time; time.sleep(60)"
    result = graded(CHAPTER, notebook, cell=60, whole=5)
    assert points(result) <= WITHOUT_STEP
    assert any("time" in (o.error or {}).get("message", "") for o in result.outcomes)


def test_tests_that_were_overwritten_or_deleted_are_the_teachers_again(
    course: Course, graded: Callable[..., Graded]
) -> None:
    notebook = filled(course, CHAPTER, {"rnn-step": Attack(body="return H").source})
    for cell in list(notebook.cells):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name == "rnn-step-check":
            cell.source = "pass"
        if name == "skill-check":
            notebook.cells.remove(cell)
    result = graded(CHAPTER, notebook)
    assert points(result) == WITHOUT_STEP
    assert result.flags == ["tests changed", "tests removed"]


def test_helpers_in_cells_of_their_own_are_run(
    course: Course, graded: Callable[..., Graded]
) -> None:
    notebook = filled(
        course,
        CHAPTER,
        {"rnn-step": Attack(body="return helper(X_t, H, W_xh, W_hh, b_h)").source},
    )
    at = next(
        k
        for k, c in enumerate(notebook.cells)
        if c.metadata.get("nbgrader", {}).get("grade_id") == "rnn-step"
    )
    helper = f"def helper(X_t, H, W_xh, W_hh, b_h):\n    {RIGHT}"
    notebook.cells.insert(at, nbformat.v4.new_code_cell(helper))
    assert points(graded(CHAPTER, notebook)) == FULL


def test_the_sandbox_holds_for_a_user_without_rights(sandbox: Sandbox) -> None:
    """As someone who is not root, and may do nothing that root may."""
    program = """if True:
        import os
        from rnn_companion.homework.sandbox import Sandbox
        assert os.getuid() == 1000
        with Sandbox() as started:
            session = started.session()
            reply = session.ask(20, run="import os; os.fork()")
            assert reply["error"]["name"] == "PermissionError", reply
            reply = session.ask(20, run="import os; print(os.listdir(), os.getppid())")
            assert reply["text"].split() == ["[]", "0"], reply
            session.close()
    """
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    done = subprocess.run([*user, sys.executable, "-c", program], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
