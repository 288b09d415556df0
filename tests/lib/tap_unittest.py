# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's unittest, its results in TAP as those of all other tests."""
import os
import sys
import unittest

sys.path.insert(0, f"{os.environ['VNIC_TOP']}/bench")


class TapResult(unittest.TestResult):
    def say(self, word, test, more=""):
        name = (test.shortDescription() or test.id().rsplit(".", 1)[-1]).replace("_", " ")
        print(f"{word} {self.testsRun} - {name.removeprefix('test ')}{more}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, f" # skip {reason}")

    def complain(self, test, err):
        self.say("not ok", test)
        print("".join(f"# {line}\n" for line in self._exc_info_to_string(err, test).splitlines()), end="")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.complain(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.complain(test, err)


def main(module):
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    print(f"1..{suite.countTestCases()}")
    result = TapResult()
    suite.run(result)
    sys.exit(not result.wasSuccessful())
