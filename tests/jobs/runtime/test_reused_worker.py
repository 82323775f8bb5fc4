"""Python's collector passes by what was there when a first task ended, and nothing that comes later."""

import subprocess
import sys

from jobs.runtime.session import ROOT

CODE = """
import gc, weakref
from jobs.runtime.reused_worker import keep_libraries

class Ring:
    def __init__(self):
        self.own = self

before = weakref.ref(Ring())
there = len(gc.get_objects())
keep_libraries()
assert before() is None, "garbage of the first task is kept for ever"
kept = gc.get_freeze_count()
assert kept > 1000, kept
later = weakref.ref(Ring())
keep_libraries()
assert gc.get_freeze_count() == kept, "the garbage of later tasks is kept"
gc.collect()
assert later() is None
print(there, len(gc.get_objects()))
"""


def test_only_what_is_there_after_the_first_task_is_passed_by() -> None:
    """In a process of its own, since the tests' would be changed."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there, left = map(int, done.stdout.split())
    assert left < 1000 < there
