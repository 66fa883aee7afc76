"""What is made of runs: medians, ratios, and when there is no verdict."""

from __future__ import annotations

import pytest

from benchmarks import goals
from benchmarks.figures import Spread, control, order, ratios, refusal
from benchmarks.goals import GOALS, judge, judge_all
from benchmarks.job import Measured, settled
from benchmarks.running import AGAIN, Ran, check
from benchmarks.serving import Told
from benchmarks.tables import table_of, text_of

from .made import ran_of, run_of

EVEN = [1000.0] * 5
SAFE, JOURNAL, REQUESTS = GOALS[0], GOALS[1], GOALS[2]


def test_a_spread_is_the_middle_and_the_ends() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert Spread.of([]) is None
    assert Spread(0.912, 0.88, 0.94, 5).text() == "0.91 [0.88-0.94]"


def test_ratios_are_to_the_mean_of_the_two_references_around() -> None:
    assert ratios([90.0, 50.0], [100.0, 40.0], [80.0, 60.0]) == [1.0, 1.0]


def test_a_round_in_which_one_failed_gives_no_ratio() -> None:
    assert ratios([1.0, None, 3.0, 4.0], [1.0, 1.0, None, 2.0], [1.0, 1.0, 1.0, 2.0]) == [1.0, 2.0]


def test_a_drift_within_a_round_does_not_touch_what_stands_in_the_middle() -> None:
    # The machine gets slower by a tenth from run to run; the contender is as fast as R.
    assert ratios([90.0], [100.0], [80.0]) == [1.0]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (0.90, "noise: control 0.90"),
        (0.949, "noise: control 0.95"),
        (0.95, ""),
        (1.0, ""),
        (1.05, ""),
        (1.06, "noise: control 1.06"),
    ],
)
def test_no_verdict_where_the_control_is_off(second: float, words: str) -> None:
    assert refusal(control([1.0] * 5, [second] * 5), 5) == words


def test_no_verdict_from_too_few_rounds_or_without_the_reference() -> None:
    assert refusal(control([1.0] * 4, [1.0] * 4), 4) == "4 of 5 rounds"
    assert refusal(control([None] * 5, [1.0] * 5), 5) == "the reference failed"
    assert refusal(control([1.0], [1.0]), 1, enough=1) == ""


def test_the_order_turns_round_by_round() -> None:
    assert [order("RabX", number) for number in range(3)] == [
        list("RabX"),
        list("XbaR"),
        list("RabX"),
    ]


@pytest.mark.parametrize(
    ("speed", "verdict"), [(2005.0, "pass"), (2000.0, "pass"), (1999.0, "FAIL"), (900.0, "FAIL")]
)
def test_a_goal_is_reached_or_not(speed: float, verdict: str) -> None:
    table = table_of(ran_of("push", {"plain": [speed] * 5}, EVEN, EVEN))
    assert judge(SAFE, table).verdict == verdict
    assert judge(SAFE, table).found == pytest.approx(speed / 1000)


def test_noise_forbids_a_verdict_and_says_what_the_processor_says() -> None:
    table = table_of(ran_of("push", {"plain": [950.0] * 5}, EVEN, [910.0] * 5))
    judged = judge(SAFE, table)
    assert judged.verdict == "no verdict"
    assert judged.why.startswith("noise: control 0.91; by processor ")
    assert "no verdict: noise: control 0.91" in text_of(table)


def test_noise_forbids_no_verdict_on_what_is_no_matter_of_speed() -> None:
    ran = ran_of("lossless", {"codec": EVEN}, EVEN, [2000.0] * 5)
    goal = next(goal for goal in GOALS if goal.case == "lossless")
    for lossless, verdict in ((1, "pass"), (0, "FAIL")):
        for run in ran.runs:
            assert run.measured is not None
            run.measured.values["lossless"] = lossless
        assert judge(goal, table_of(ran)).verdict == verdict


def test_a_small_run_forbids_a_verdict() -> None:
    ran = ran_of("push", {"plain": [990.0] * 5}, EVEN, EVEN, full_size=False)
    assert judge(SAFE, table_of(ran)).why.startswith("not its full size")


def test_less_is_better_where_time_is_measured() -> None:
    goal = next(goal for goal in GOALS if goal.case == "import")
    slow = table_of(ran_of("import", {"kapture": [1500.0] * 5}, EVEN, EVEN))
    fast = table_of(ran_of("import", {"kapture": [2500.0] * 5}, EVEN, EVEN))
    assert (judge(goal, slow).verdict, judge(goal, fast).verdict) == ("FAIL", "pass")


def test_who_did_not_take_part_is_not_judged() -> None:
    table = table_of(ran_of("push", {"plain": EVEN}, EVEN, EVEN))
    assert judge(JOURNAL, table).verdict == "not run"
    assert [one.goal.case for one in judge_all({"push": table})] == ["push"] * 5
    assert judge_all({}) == []


def test_a_failed_run_is_counted_and_shown_and_in_no_median() -> None:
    table = table_of(ran_of("push", {"plain": [900.0, 0.0, 900.0, 900.0, 900.0]}, EVEN, EVEN))
    line = table.line("plain")
    assert line is not None
    assert line.failures == 1
    assert line.ratio == Spread(0.9, 0.9, 0.9, 4)
    assert "plain, round 2: died" in text_of(table)


def test_contenders_of_different_blocks_are_compared_through_their_own_references() -> None:
    """The machine halves its speed between the blocks; the peers' ratio stays what it is."""
    ran = Ran(
        table_of(ran_of("push", {}, EVEN, EVEN)).ran.case, 1, True, 1000, [["plain"], ["requests"]]
    )
    for block, speed in enumerate((1000.0, 500.0)):
        ran.runs += [run_of(name, 0, speed, block=block) for name in ("R", "R" + AGAIN)]
    ran.runs += [run_of("plain", 0, 900.0), run_of("requests", 0, 75.0, block=1)]
    assert REQUESTS.found(table_of(ran)) == pytest.approx(6.0)


def test_the_speed_after_the_start_leaves_the_start_out() -> None:
    slow = [number / 10 for number in range(31)]  # 10 a second for three seconds
    fast = [3 + number / 100 for number in range(1, 701)]  # 100 a second for seven
    assert settled(slow + fast) == pytest.approx(100, rel=0.01)
    with pytest.raises(ValueError, match="too few"):
        settled([1.0, 2.0])


def test_a_run_that_the_server_did_not_get_whole_is_no_good() -> None:
    whole = Measured(done=10, sent=11, values={"bytes": 100})
    assert check(whole, 10, Told(11, 100, 0.0)) == ""
    assert check(whole, 10, None) == ""
    assert check(whole, 10, Told(10, 100, 0.0)) == "said 11 requests, the server counted 10"
    assert check(whole, 10, Told(11, 99, 0.0)) == "the server got 99 bytes of 100"
    assert check(whole, 12, Told(11, 100, 0.0)) == "10 of 12 were done"
    failed = Measured(done=8, failed=2, sent=11, values={"error": "refused"})
    assert check(failed, 10, Told(11, 0, 0.0)) == "2 of 10 failed refused"


def test_the_goals_of_what_was_run_stand_in_the_list() -> None:
    table = table_of(ran_of("push", {"plain": [2050.0] * 5, "journal": [700.0] * 5}, EVEN, EVEN))
    text = goals.text_of(judge_all({"push": table}))
    assert [line.split("  ")[-1].strip() for line in text.splitlines()[1:3]] == ["pass", "FAIL"]
    assert text.count("not run") == 3


def test_what_was_run_before_an_interruption_counts() -> None:
    ran = ran_of("push", {"plain": [950.0] * 5}, EVEN, EVEN)
    ran.runs = [run for run in ran.runs if run.number < 2 or (run.number, run.name) == (2, "R")]
    table = table_of(ran)
    assert table.refusal == "2 of 5 rounds"
    assert text_of(table).startswith("Push on loopback, plain HTTP (2 rounds)")
    ran.runs = []
    assert "(0 rounds)" in text_of(table_of(ran))
