# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench makes of its samples: medians, demands, tables, plots and the page."""
import contextlib
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, f"{os.environ['VNIC_TOP']}/tests/lib")
import tap_unittest  # noqa: E402 - it adds bench/ to the path

from harness import plot, report, runner, sides, stats, table, traffic, world  # noqa: E402
from harness.subject import Demand, Failed, Figures, Metric, Subject, against_best, between_cases  # noqa: E402


def figures_of(**rows):
    """throughput of sides, for the case `out`."""
    return Figures({"throughput": {"out": rows}})


SUBJECT = Subject(name="demo", title="A demo", about="nothing.", metrics=[Metric("throughput", "Gbit/s")],
                  cases={"out": "out", "in": "in"}, sides={}, measure=None,
                  demands=[Demand("vnic / peers", against_best("throughput", "out", ["a", "b"]), at_least=2)])


class Statistics(unittest.TestCase):
    def test_a_percentile_is_a_value_that_was_measured(self):
        values = list(range(1, 101))
        self.assertEqual(stats.percentile(values, 50), 50)
        self.assertEqual(stats.percentile(values, 99), 99)
        self.assertEqual(stats.percentile(values, 100), 100)
        self.assertEqual(stats.percentile([7], 1), 7)

    def test_a_summary_has_median_and_extremes(self):
        self.assertEqual(stats.summary([3, 1, 2]), {"median": 2, "min": 1, "max": 3, "runs": 3})

    def test_nothing_is_divided_by_nothing(self):
        self.assertIsNone(stats.ratio(1, 0))
        self.assertIsNone(stats.ratio(1, None))
        self.assertIsNone(stats.ratio(None, 1))
        self.assertEqual(stats.ratio(0, 2), 0)

    def test_a_figure_is_written_with_the_digits_that_count(self):
        written = [stats.written(value) for value in (None, 0, 0.0123, 0.5, 3.14159, 31.4159, 31415.9)]
        self.assertEqual(written, ["–", "0", "0.0123", "0.50", "3.14", "31.4", "31,416"])


    def test_many_samples_of_one_run_are_all_kept(self):
        figures = Figures()
        figures.add("time", "out", "vnic", [1, 2, 3])
        figures.add("time", "out", "vnic", 4)
        figures.add_percentiles([Metric("time", "ms"), Metric("p75", "ms", percent_of=("time", 75))])
        self.assertEqual((figures.values("time", "out", "vnic"), figures.values("p75", "out", "vnic")),
                         ([1, 2, 3, 4], [3]))


class Demands(unittest.TestCase):
    def test_the_better_peer_is_the_one_to_beat(self):
        figures = figures_of(vnic=[6, 8, 7], a=[1, 1, 1], b=[2, 3, 4])
        self.assertAlmostEqual(against_best("throughput", "out", ["a", "b"])(figures), 7 / 3)

    def test_less_is_better_for_times(self):
        figures = figures_of(vnic=[2], a=[1], b=[4])
        self.assertEqual(against_best("throughput", "out", ["a", "b"], more_is_better=False)(figures), 2)

    def test_a_peer_that_failed_is_left_out(self):
        self.assertEqual(against_best("throughput", "out", ["a", "b"])(figures_of(vnic=[4], b=[2])), 2)

    def test_what_was_not_measured_is_not_met(self):
        rows = table.of_demands(figures_of(vnic=[4]), SUBJECT.demands)[1]
        self.assertEqual(rows, [["vnic / peers", "at least 2", "not measured", "**no**"]])

    def test_a_demand_says_if_it_is_met(self):
        met = table.of_demands(figures_of(vnic=[4], a=[1]), SUBJECT.demands)[1][0]
        missed = table.of_demands(figures_of(vnic=[1], a=[1]), SUBJECT.demands)[1][0]
        self.assertEqual((met[2:], missed[2:]), (["4.00", "yes"], ["1.00", "**no**"]))

    def test_a_limit_above_is_kept_from_below(self):
        demand = Demand("", lambda figures: 1.0, at_most=1.0)
        self.assertTrue(demand.is_met(1.0))
        self.assertFalse(demand.is_met(1.01))

    def test_cases_of_one_side_are_compared(self):
        figures = Figures({"throughput": {"4": {"vnic": [9]}, "1": {"vnic": [10]}}})
        self.assertEqual(between_cases("throughput", "4", "1")(figures), 0.9)


class Tables(unittest.TestCase):
    def test_a_cell_has_the_median_and_the_spread(self):
        self.assertEqual(table.cell([1.0, 2.0, 4.0]), "2.00 (1.00–4.00)")
        self.assertEqual(table.cell([2.0]), "2.00")
        self.assertEqual(table.cell([]), "–")

    def test_a_side_that_failed_in_some_rounds_says_how_many_its_figure_is_of(self):
        rows = table.of_metric(figures_of(vnic=[1, 2, 3], a=[4]), "throughput", SUBJECT.cases)[1]
        self.assertEqual(rows, [["vnic", "2.00 (1.00–3.00)"], ["a", "4.00, 1 of 3"]])

    def test_a_side_without_a_case_has_a_dash(self):
        figures = Figures({"throughput": {"out": {"vnic": [1], "a": [2]}, "in": {"vnic": [3]}}})
        head, rows = table.of_metric(figures, "throughput", SUBJECT.cases)
        self.assertEqual((head, rows), (["", "out", "in"], [["vnic", "1.00", "3.00"], ["a", "2.00", "–"]]))

    def test_markdown_has_a_rule_below_its_head(self):
        self.assertEqual(table.markdown(["a", "b"], [["1", "2"]]), "| a | b |\n|---|---|\n| 1 | 2 |\n")

    def test_columns_stand_below_each_other(self):
        self.assertEqual(table.columns(["", "x"], [["long", "1"], ["s", "22"]]), "       x\nlong   1\ns     22\n")


class Plots(unittest.TestCase):
    def drawing(self, **rows):
        return xml.fromstring(plot.of_metric("A <title>", "Gbit/s", figures_of(**rows), "throughput", SUBJECT.cases))

    def bars(self, **rows):
        every = [float(bar.get("width")) for bar in self.drawing(**rows).iter("{http://www.w3.org/2000/svg}rect")
                 if bar.get("x")]
        return every

    def test_a_drawing_is_xml_whatever_the_title(self):
        self.assertIn("A <title>", "".join(self.drawing(vnic=[1]).itertext()))

    def test_bars_are_as_long_as_their_values(self):
        long, short = self.bars(vnic=[10], a=[5])
        self.assertAlmostEqual(long / short, 2, places=2)

    def test_a_logarithm_keeps_the_small_visible(self):
        big, small = self.bars(vnic=[1000], a=[1])
        self.assertGreater(small, big / 50)

    def test_no_bar_leaves_the_drawing(self):
        for rows in ({"vnic": [3]}, {"vnic": [1, 1000], "a": [0.001]}, {"vnic": [0], "a": [5]}):
            self.assertLessEqual(max(self.bars(**rows)), plot.WIDTH - plot.LEFT - plot.RIGHT + 0.1)

    def test_nothing_measured_makes_no_drawing(self):
        self.assertIsNone(plot.of_metric("t", "u", Figures(), "throughput", SUBJECT.cases))

    def test_every_side_has_a_colour_of_its_own(self):
        self.assertEqual(len(set(plot.colours(["vnic", "pasta", "x", "y", "z"]).values())), 5)


class Rounds(unittest.TestCase):
    def test_every_round_begins_with_another_side(self):
        self.assertEqual([runner.turn(["a", "b", "c"], by)[0] for by in range(4)], ["a", "b", "c", "a"])
        self.assertEqual(runner.turn([], 3), [])

    def test_a_side_that_fails_leaves_a_word_and_no_figure(self):
        def measure(lane, case):
            raise Failed("broken")

        figures = Figures()
        subject = Subject(name="", title="", about="", metrics=[], cases={"out": "out"}, sides={}, measure=measure)
        runner.measure_one(subject, figures, None, "out", "vnic")
        self.assertEqual((figures.samples, figures.failures), ({}, {"vnic, out": ["broken"]}))

    def test_what_a_side_cannot_do_is_no_failure(self):
        figures = Figures()
        subject = Subject(name="", title="", about="", metrics=[], cases={"out": "out"}, sides={},
                          measure=lambda lane, case: None)
        runner.measure_one(subject, figures, None, "out", "vnic")
        self.assertEqual((figures.samples, figures.failures), ({}, {}))


class FakeLane:
    """Whose iperf3 and load are shell scripts that print a text."""

    load = "load"
    namespace = "there"

    def __init__(self, client, status=0):
        self.world, self.client, self.status = self, client, status

    def other(self, at):
        return at, "10.0.0.1"

    def cpu(self):
        return 0

    def process(self, argv, namespace, ready=None):
        says, status = ("listening ready", 0) if ready else (self.client, self.status)
        return world.Process(["sh", "-c", 'echo "$0"; cat >/dev/null; exit "$1"', says, str(status)], ready)

    def start(self, argv, ready=None):
        return self.process(argv, self.namespace, ready)


class Traffic(unittest.TestCase):
    SUMS = {"sum_received": {"bytes": 8, "bits_per_second": 5e9},
            "sum_received_bidir_reverse": {"bytes": 8, "bits_per_second": 1e9}, "sender_tcp_congestion": "cubic"}

    def iperf(self, direction="out", status=0, without=None, **more):
        end = {key: value for key, value in (self.SUMS | more).items() if key != without}
        return traffic.iperf(FakeLane(json.dumps({"end": end}), status), direction)["gbits"]

    def test_one_direction_and_both_have_their_sums(self):
        self.assertEqual((self.iperf(), self.iperf("both")), (5, 6))

    def test_a_direction_that_carried_nothing_is_a_failure(self):
        for direction, without in (("out", "sum_received"), ("both", "sum_received_bidir_reverse")):
            with self.assertRaisesRegex(Failed, without):
                self.iperf(direction, without=without)

    def test_a_client_that_failed_is_a_failure_whatever_it_printed(self):
        with self.assertRaisesRegex(Failed, "status 1"):
            self.iperf(status=1)

    def test_another_congestion_control_is_a_failure(self):
        with self.assertRaisesRegex(Failed, "bbr"):
            self.iperf(receiver_tcp_congestion="bbr")

    def test_questions_of_which_none_was_answered_are_a_failure(self):
        with self.assertRaisesRegex(Failed, "all 7 failed"):
            traffic.load(FakeLane('{"count": 0, "failed": 7, "seconds": 1}'), ["ask", "tcp"], 7)

    def test_a_side_whose_process_has_ended_takes_nothing_and_that_is_no_figure(self):
        with world.Process(["sh", "-c", "echo ready; read _"], "ready") as process:
            lane = sides.Lane(None, "there", roots=[(process.pid, [])])
            self.assertEqual(lane.pids(), [process.pid])
            process.popen.stdin.close()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            with self.assertRaises(Failed):
                lane.cpu()


class Builds(unittest.TestCase):
    def test_another_build_stands_beside_what_vnic_makes_and_nothing_else(self):
        sides = runner.with_builds({"vnic": None, "pasta": None, "relay tap": None}, {"old": "/somewhere/vnic"})
        self.assertEqual(list(sides), ["vnic", "vnic old", "pasta", "relay tap", "relay tap old"])

    def test_a_side_of_another_build_gets_that_program_and_the_rest_their_own(self):
        class World:
            vnic = "own"

            def copy(self, program):
                return f"copy of {program}"

        @contextlib.contextmanager
        def side(world):
            yield world.vnic

        world = World()
        with runner.of_program(side, "old")(world) as lane:
            self.assertEqual((lane, world.vnic), ("copy of old", "own"))

    def test_a_side_that_is_begun_anew_each_time_is_made_by_its_own_build(self):
        begun = []

        class World:
            vnic = "own"

            def copy(self, program):
                return f"copy of {program}"

        @contextlib.contextmanager
        def side(world):
            begun.append(world.vnic)
            yield len(begun)

        world = World()
        with runner.of_program(sides.fresh(side), "old")(world) as make, sides.fresh(side)(world) as make_own:
            self.assertEqual(begun, [])
            for made in (make, make_own, make):
                with made() as lane:
                    self.assertEqual((lane, world.vnic), (len(begun), "own"))
        self.assertEqual(begun, ["copy of old", "own", "copy of old"])


class Weather(unittest.TestCase):
    def test_the_worst_of_several_cases_is_not_known_while_one_is_not(self):
        from subjects import asked
        worst = asked.farthest("share", ["a"], ["b"])
        self.assertEqual(worst(Figures({"share": {"a": {"relay tap": [1]}, "b": {"relay tap": [-2]}}})), 2)
        self.assertIsNone(worst(Figures({"share": {"a": {"relay tap": [1]}}})))


class Pages(unittest.TestCase):
    RESULT = {"machine": {"model": "a CPU", "cpus": 2, "kernel": "6.18"}, "versions": {"vnic": "1.0", "pasta": "2.0"},
              "begun": "2026-01-02T00:00:00", "rounds": 3, "seconds": 9.0, "load": [0.1, 0.2],
              "samples": {"throughput": {"out": {"vnic": [1], "a": [1]}}}, "failures": {"b, out": ["why", "why"]}}

    def page(self, note=None, result=RESULT):
        with tempfile.TemporaryDirectory() as notes:
            if note:
                with open(f"{notes}/demo.md", "w", encoding="utf-8") as file:
                    file.write(note)
            return report.page({"demo": SUBJECT}, {"demo": result}, notes)

    def test_a_demand_that_is_missed_stands_on_top(self):
        self.assertIn("| [A demo](#a-demo) | vnic / peers | at least 2 | 1.00 |", self.page())

    def test_a_demand_that_could_not_be_measured_stands_on_top_too(self):
        failed = dict(self.RESULT, samples={"throughput": {"out": {"a": [1]}}}, failures={"vnic, out": ["why"]})
        self.assertIn("| [A demo](#a-demo) | vnic / peers | at least 2 | not measured |", self.page(result=failed))

    def test_what_vnic_failed_at_stands_on_top_though_other_rounds_met_the_demand(self):
        failed = dict(self.RESULT, samples={"throughput": {"out": {"vnic": [9], "a": [1]}}}, failures={"vnic, out": ["why"]})
        self.assertIn("| [A demo](#a-demo) | vnic, out | no failure | why (1 times) |", self.page(result=failed))

    def test_a_failure_is_told_with_its_reason(self):
        self.assertIn("Failed: b, out: why (2 times)", self.page())

    def test_a_note_written_by_hand_is_kept(self):
        self.assertIn("because of the moon", self.page("because of the moon\n"))

    def test_a_busy_machine_is_told_on_top(self):
        busy = dict(self.RESULT, load=[9.0, 8.0])
        self.assertIn("The machine was busy", report.busy_line({"demo": busy}))
        self.assertEqual(report.busy_line({"demo": self.RESULT}), "")

    def test_the_load_is_told(self):
        self.assertIn("load average 0.1 before, 0.2 after", self.page())


if __name__ == "__main__":
    tap_unittest.main("__main__")
