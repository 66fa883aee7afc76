"""Every belief of a journaled push, what proves it, and the tests that show it.

A belief without a proof has to be a doubt, so each of these has two sides: a test in which the
proof is there, and one in which it is not and nothing is believed. This table is complete: a new
state of a row, a new result of ``verify`` and a new kind of finding must be added to it.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from attrs import frozen

from kapture_async._core.journal.records import Contradicts, State
from kapture_async._core.reconcile.results import RowResult

TESTS = Path(__file__).parent.parent


@frozen
class Belief:
    """What is believed, by what proof, and where that is shown.

    Attributes:
        belief: what is taken for true.
        proof: what alone proves it.
        shown: tests in which the proof is there.
        refused: tests in which it is not, and nothing is believed.
        states: states of rows, results of a verification or kinds of findings that say so.
    """

    belief: str
    proof: str
    shown: Sequence[str]
    refused: Sequence[str]
    states: Sequence[str] = ()


TABLE = (
    Belief(
        "accepted",
        "a whole answer that says success, and whose echo is this row's",
        ["push/test_answers.py::test_titles_that_a_tenant_rewrites_are_said_once"],
        [
            "push/test_answers.py::test_one_answer_of_another_row_is_a_doubt",
            "transport/test_faults.py::test_a_write_ends_truthfully_and_is_sent_once",
            "once/test_merged.py::test_two_rows_with_one_id_are_looked_up",
        ],
        ["accepted"],
    ),
    Belief(
        "an answer was checked",
        "it repeats a field that was sent; else the outcome says that there was none",
        ["push/test_answers.py::test_forms_that_services_change"],
        ["push/test_answers.py::test_answers_that_repeat_nothing_are_said_to_be_unchecked"],
    ),
    Belief(
        "an answer on a connection is that of the request on it",
        "its content; what contradicts it closes the connection, and a second one stops the push",
        ["push/test_answers.py::test_many_at_a_time"],
        [
            "push/test_answers.py::test_the_connection_is_not_used_again",
            "push/test_answers.py::test_a_second_one_stops_the_push",
        ],
    ),
    Belief(
        "rejected",
        "the service's own refusal, or a status that is one: no redirect, and no claim of success; "
        "a lookup that finds the row all the same makes it present, and a finding",
        [
            "push/test_refusals.py::test_refusals_of_the_row_itself_do_not_stop_it_and_hide_no_others",
            "once/test_verify.py::test_what_was_refused_and_is_not_there_is_as_it_should_be",
        ],
        [
            "belief/test_answers.py::test_kapture",
            "belief/test_answers.py::test_support",
            "push/test_refusals.py::test_slow_down_with_success_in_the_body_is_a_doubt_and_is_not_sent_again",
            "once/test_contradictions.py::test_what_a_list_shows_of_other_rows",
        ],
        ["rejected", "rejected_present", "contradicted"],
    ),
    Belief(
        "a refusal is the row's own fault, and the others may go",
        "it is documented as one, or an acceptance stands between",
        ["push/test_refusals.py::test_an_acceptance_between_begins_the_count_again"],
        [
            "push/test_refusals.py::test_fifty_alike_stop_the_push",
            "push/test_refusals.py::test_a_refused_token_costs_one_row",
            "push/test_refusals.py::test_a_redirect_costs_one_row",
        ],
    ),
    Belief(
        "not sent",
        "not a byte of the request left this machine, or the service says that it took none of it",
        [
            "transport/test_faults.py::test_refused_connections_are_tried_again_and_nothing_was_sent",
            "belief/test_answers.py::test_a_write_that_was_not_taken_goes_again_unless_the_body_claims_success",
        ],
        ["once/test_contradictions.py::test_a_row_that_comes_after_it_was_proved_absent"],
        ["not_sent", "not_sent_present"],
    ),
    Belief(
        "a doubt has an end",
        "the settle time is over: twice what any call of the push could take",
        ["once/test_late.py::test_never_executed"],
        [
            "once/test_late.py::test_executed_a_minute_after_it_was_given_up",
            "once/test_late.py::test_the_settle_time_counts_from_the_last_sign",
            "once/test_verify.py::test_what_is_young_is_not_missing",
        ],
        ["unknown", "in_doubt"],
    ),
    Belief(
        "present",
        "exactly one ticket with the row's reference",
        ["once/test_quirks.py::test_executed_and_not_shown_is_never_absent"],
        [
            "once/test_references.py::test_without_a_reference_a_doubt_is_probable_at_best",
            "once/test_looks.py::test_a_text_that_comes_back_with_half_a_reference",
        ],
        ["present"],
    ),
    Belief(
        "ambiguous: several tickets",
        "more than one ticket with its reference; a person judges",
        ["once/test_references.py::test_what_is_found_twice_is_left_to_a_person"],
        ["once/test_verify.py::test_a_doubt_that_is_there_twice"],
        ["ambiguous", "twice"],
    ),
    Belief(
        "probable: a ticket may be it",
        "an unexplained ticket of its time and its maker, whatever agents did to the text; where "
        "that user makes others too, one that shares an address or words",
        [
            "once/test_quirks.py::test_a_ticket_that_an_agent_changed_is_a_candidate",
            "once/test_quirks.py::test_a_user_who_makes_other_tickets_too",
        ],
        [
            "once/test_references.py::test_what_another_row_is_known_to_have_made_is_not_probable",
            "once/test_quirks.py::test_more_doubts_than_candidates_are_all_kept",
        ],
        ["probable"],
    ),
    Belief(
        "absent",
        "two looks that could not have missed it: whole, fresh, and of its kind and day",
        [
            "once/test_quirks.py::test_not_executed_is_absent_where_the_list_is_whole",
            "once/test_quirks.py::test_a_trial_ticket_settles_it",
        ],
        [
            "once/test_quirks.py::test_the_only_one_of_its_kind",
            "once/test_looks.py::test_without_a_witness_a_look_is_not_believed",
            "once/test_looks.py::test_a_day_without_a_witness",
            "once/test_quirks.py::test_a_deleted_ticket_cannot_be_known",
        ],
        ["absent"],
    ),
    Belief(
        "a list is whole",
        "its own count, or that it was read to an empty page; else what lies between its ends",
        [
            "once/test_quirks.py::test_what_honesty_costs",
            "once/test_verify.py::test_all_is_proved",
        ],
        [
            "once/test_verify.py::test_a_list_that_is_short_by_its_own_count",
            "once/test_verify.py::test_a_list_without_a_count",
            "once/test_looks.py::test_a_day_that_comes_back_short",
        ],
        ["not_seen"],
    ),
    Belief(
        "a list shows texts of the row's kind",
        "a confirmed row of that kind came back by its reference",
        ["once/test_quirks.py::test_a_trial_ticket_settles_it"],
        [
            "once/test_quirks.py::test_a_trial_ticket_that_loses_its_reference_proves_nothing",
            "once/test_spellings.py::test_notes_that_are_cut_off_prove_nothing",
        ],
    ),
    Belief(
        "missing: accepted, and not there",
        "a list that could not have missed it, and nothing under its own id",
        ["once/test_verify.py::test_each_kind_of_row"],
        ["once/test_verify.py::test_what_a_list_has_lost_is_known_by_its_id"],
        ["missing"],
    ),
    Belief(
        "each row was made once",
        "one look at all days: no reference stands on two tickets",
        ["once/test_verify.py::test_all_is_proved"],
        [
            "once/test_contradictions.py::test_what_a_list_shows_of_other_rows",
            "once/test_hostile.py::test_whatever_is_wrong_is_said",
        ],
        ["twice"],
    ),
    Belief(
        "merged: two rows are one ticket",
        "the ticket carries both references, or the list names the ticket it was merged into",
        [
            "once/test_merged.py::test_a_ticket_with_two_references_is_both_rows",
            "once/test_contradictions.py::test_mergers",
        ],
        ["once/test_merged.py::test_an_accepted_row_whose_ticket_is_anothers_is_in_doubt_again"],
        ["other_ticket", "other_row"],
    ),
    Belief(
        "a customer who is found is the row's",
        "the phone or the mail, in the forms of confirmed rows, and a sign of the row itself",
        ["once/test_customers.py::test_lost_answers_are_found_by_phone_and_mail"],
        ["once/test_customers.py::test_a_customer_who_was_there_before_proves_nothing"],
    ),
    Belief(
        "an update was made",
        "its reference among the ticket's notes, all of which were shown",
        ["once/test_updates.py::test_a_doubt_is_looked_up_in_its_ticket"],
        [
            "once/test_updates.py::test_a_row_without_a_comment_carries_no_reference",
            "once/test_updates.py::test_where_notes_do_not_come_back_nothing_is_absent",
        ],
        ["unchecked"],
    ),
    Belief(
        "this journal is the newest",
        "its own mark outside the file is not ahead of it; else every row is looked up first",
        ["once/test_copies.py::test_the_newest_is_pushed_on_with_at_once"],
        [
            "once/test_copies.py::test_an_older_copy_sends_only_what_is_not_there",
            "once/test_copies.py::test_what_is_not_proven_absent_is_in_doubt_and_not_sent",
            "once/test_copies.py::test_a_journal_without_its_wal_file",
        ],
    ),
    Belief(
        "no other journal has sent these rows",
        "no mark of this machine names the same contents; another machine cannot be seen",
        ["once/test_copies.py::test_other_rows_or_another_target_are_nobodys_business"],
        ["once/test_copies.py::test_the_same_rows_with_another_journal"],
    ),
    Belief(
        "the file says what was written",
        "its seal at rest, and its checks of what a kill has left",
        ["journal/test_damage.py::test_after_a_kill_all_is_there"],
        [
            "journal/test_rot.py::test_any_bit_of_a_journal_at_rest",
            "journal/test_rot.py::test_any_bit_of_what_a_killed_push_leaves",
            "journal/test_damage.py::test_without_its_wal_file",
        ],
    ),
    Belief(
        "a key is known",
        "the same spelling, or one that folds onto it with equal content or in its place",
        ["once/test_resume.py::test_the_same_push_again_sends_nothing"],
        ["once/test_keys.py::test_a_key_in_another_spelling_is_no_other_ticket"],
    ),
    Belief(
        "a key is new",
        "no known key folds onto it; and not most keys of a source are new with known contents",
        ["once/test_keys.py::test_both_spellings_in_one_source_are_two_rows"],
        ["once/test_keys.py::test_many_known_contents_under_new_keys_stop_the_push"],
    ),
    Belief(
        "a line repeats a row",
        "the same key and the same content; another content is another row, not sent and listed",
        ["once/test_resume.py::test_a_key_that_comes_twice"],
        ["once/test_keys.py::test_two_rows_under_one_key"],
    ),
)


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The tests that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("belief", TABLE, ids=lambda belief: belief.belief)
def test_each_is_shown_from_both_sides(belief: Belief) -> None:
    assert belief.proof
    assert belief.shown
    assert belief.refused
    for name in (*belief.shown, *belief.refused):
        path, _, test = name.partition("::")
        assert test.startswith("test_")
        assert test in defined_in(TESTS / path), name


def test_nothing_is_believed_that_is_not_in_the_table() -> None:
    said = {state for belief in TABLE for state in belief.states}
    known = {state.value for state in State} | {kind.value for kind in Contradicts}
    known |= {str(result) for result in get_args(RowResult)}
    assert said == known - {State.REPLACED.value}  # of what the source has replaced, nothing
