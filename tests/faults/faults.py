"""The faults: each is one exact replacement in one file, with the tests that must notice it.

They are the leaks that such systems have: limits that differ by identity or end never, filters that were right when a
cache was built, unknowns that pass for a no, exemptions that reach too far, versions and zones that are mixed up.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by its name: in `file` the only occurrence of `right` becomes `wrong`, and one of `tests` must fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS = (
    # ----------------------------------------------------------------------------------------------- rules and unknowns
    Fault(
        "rules are filtered when they are first looked at, and not when the answer is given",
        "service/core/epochs.py",
        "made = self._made.get(epoch)",
        "made = next(iter(self._made.values()), None)",
        (
            "tests/core/test_caps_core.py::test_an_exemption_ends",
            "tests/core/test_check.py::test_judge_and_check_agree_when_rules_begin_and_end",
        ),
    ),
    Fault(
        "a validity ends a moment too late",
        "service/core/epochs.py",
        "now_ms < valid.until_ms)",
        "now_ms <= valid.until_ms)",
        ("tests/core/test_check.py::test_judge_and_check_agree_when_rules_begin_and_end",),
    ),
    Fault(
        "an unknown is swallowed: a guardrail that cannot be known does not bind",
        "service/core/judge.py",
        "            elif truth is rule.passes:\n",
        "            elif bool(truth) is rule.passes:\n",
        ("tests/core/test_check.py::test_judge_and_check_take_what_is_not_known_to_bind",),
    ),
    Fault(
        "the independent check swallows the unknown as well",
        "service/core/check.py",
        "({text} is not False) << {i}",
        "({text} is True) << {i}",
        ("tests/core/test_check.py::test_judge_and_check_take_what_is_not_known_to_bind",),
    ),
    Fault(
        "an exemption from one rule leaks to the others",
        "service/core/ruling.py",
        "about & ~exempt.get(rule.id, 0)",
        "about & ~max(exempt.values(), default=0)",
        ("tests/core/test_check.py::test_judge_and_check_agree_on_what_an_exemption_lets_through",),
    ),
    Fault(
        "an exemption from contact permission holds for every action",
        "service/core/ruling.py",
        "Veto(self._all & ~exempt.get(CONTACT_PERMISSION, 0), NO_PERMISSION)",
        "Veto(0 if CONTACT_PERMISSION in exempt else self._all, NO_PERMISSION)",
        ("tests/core/test_check.py::test_judge_and_check_agree_on_what_an_exemption_lets_through",),
    ),
    Fault(
        "the check objects, and the answer goes out all the same",
        "service/core/engine.py",
        "        placements = tuple(answers.unobjected(placed, objections) for placed in entry.placements)\n",
        "        placements = entry.placements\n",
        ("tests/service/test_disagreement.py::test_a_rule_that_the_judgement_lost_sells_nothing_and_raises_the_alarm",),
    ),
    # ------------------------------------------------------------------------------------------------------------- caps
    Fault(
        "a cap is keyed by the id that was asked about, and not by the person",
        "service/core/engine.py",
        "            self._policy.candidates(entry),\n",
        """\
            tuple(
                tuple((a, tuple(msgspec.structs.replace(c, key=f"{c.key}|{asked}") for c in cs)) for a, cs in ranked)
                for ranked in self._policy.candidates(entry)
            ),
""",
        ("tests/service/test_identities.py::test_caps_are_the_persons",),
    ),
    Fault(
        "a cap is looked at when the customer is read, and not when it is counted",
        "service/store/lua/fitting.lua",
        "        key, frees = binding(room, one)\n",
        "        key, frees = nil, nil\n",
        (
            "tests/service/test_decide.py::test_a_race_for_the_last_contact_has_one_winner",
            "tests/store/test_caps.py::test_a_cap_frees_at_the_moment_that_it_says",
        ),
    ),
    Fault(
        "two placements of one answer do not see each other's uses",
        "service/store/lua/fitting.lua",
        "      if uses ~= own then add_use(uses, key, within, now) end\n",
        "",
        ("tests/store/test_identity_merging.py::test_two_placements_of_one_commit_count_with_uses_from_elsewhere",),
    ),
    Fault(
        "counters that cannot be read count as none",
        "service/store/lua/uses.lua",
        "  if not uses or next(uses) == nil then refuse('CORRUPT', 'the cap counters cannot be read') end\n",
        "  if not uses or next(uses) == nil then return {} end\n",
        ("tests/store/test_customers.py::test_no_commit_over_counters_that_cannot_be_read",),
    ),
    Fault(
        "an exemption from one cap leaks to the others",
        "service/core/parts.py",
        "        if rule in exemption.exempt_from:\n",
        "        if exemption.exempt_from:\n",
        ("tests/core/test_caps_core.py::test_exactly_the_exempted_are_exempt_from_exactly_the_named_caps",),
    ),
    Fault(
        "what was reserved and never shown is never given back",
        "service/store/lua/fitting.lua",
        "local kept = {now, now + hold, ",
        "local kept = {now, now + one[at + 2], ",
        ("tests/store/test_memory.py::test_what_is_reserved_counts_until_its_hold_ends",),
    ),
    Fault(
        "what was shown is given back like what was not",
        "service/store/lua/memory.lua",
        "        ones[place] = {math.max(at, one[1]), 0, one[3], 0, one[5], one[6]}\n",
        "        ones[place] = one\n",
        ("tests/store/test_memory.py::test_what_was_shown_counts_from_then_on",),
    ),
    Fault(
        "a calendar day is that of Greenwich, and not that of the customer",
        "models/clock.py",
        "_day(datetime.fromtimestamp(now_ms // 1000, zone))",
        '_day(datetime.fromtimestamp(now_ms // 1000, ZoneInfo("UTC")))',
        ("tests/core/test_caps_core.py::test_a_day_is_that_of_the_customer",),
    ),
    Fault(
        "a cap of a household is counted for each of its customers",
        "service/core/households.py",
        "        return Shared(household, counters) if any",
        "        return Shared(entry.customer, counters) if any",
        ("tests/service/test_household.py::test_all_of_a_household_share_its_cap",),
    ),
    # -------------------------------------------------------------------------------- hours, refusals, promises, switch
    Fault(
        "quiet hours are those of Greenwich",
        "models/clock.py",
        "        return self._default if name is None else self._zones.get(str(name))\n",
        '        return ZoneInfo("UTC")\n',
        ("tests/service/test_clock_and_age.py::test_rules_live_by_the_customers_clock",),
    ),
    Fault(
        "a cool-off never grows longer",
        "service/core/cooloffs.py",
        "rule.durations_ms[min(len(counted), len(rule.durations_ms)) - 1]",
        "rule.durations_ms[0]",
        ("tests/core/test_cooloffs.py::test_each_further_no_rests_longer",),
    ),
    Fault(
        "a promise ignores that it was refused",
        "service/store/lua/remember.lua",
        "  if ended then changed.v = memory.packed(others) end\n",
        "",
        ("tests/store/test_memory.py::test_a_no_is_remembered_once_and_ends_promises_of_its_action",),
    ),
    Fault(
        "a promise ignores that what it was made of has changed",
        "service/core/promises.py",
        "            if promise.facts == self.facts(key.rule, values):\n",
        "            if promise.facts:\n",
        ("tests/core/test_promises_kept.py::test_a_material_fact_that_changes_ends_it",),
    ),
    Fault(
        "each channel keeps its own promises",
        "service/core/promises.py",
        "in parts(rule.id, rule.per, kept, actions).items()",
        'in parts(f"{rule.id}-{channel}", rule.per, kept, actions).items()',
        ("tests/core/test_promises_kept.py::test_what_was_offered_is_kept_to_on_every_channel",),
    ),
    Fault(
        "decisions that were made at once do not compare what they knew of promises",
        "service/store/lua/commit.lua",
        "  if remembered and remembered[1] and remembered[1] ~= memory.version(known[8]) then",
        "  if false then",
        ("tests/store/test_memory.py::test_a_decision_of_an_older_memory_is_refused",),
    ),
    Fault(
        "what was switched off between read and commit is said",
        "service/store/lua/commit.lua",
        "  room.off = off and switched_off(off)\n",
        "",
        ("tests/store/test_switches.py::test_a_decision_made_before_the_switch_is_committed_without_what_is_off",),
    ),
    Fault(
        "a switch is acknowledged before every bucket says so",
        "service/switching.py",
        "        return await self._spread(switches, deadline_s), changed\n",
        "        return switches, changed\n",
        ("tests/store/test_switches.py::test_what_is_switched_off_is_off_in_every_bucket_when_that_is_acknowledged",),
    ),
    # ----------------------------------------------------------------------------------------- consent, words, versions
    Fault(
        "the store gives out what no consent allows",
        "service/store/lua/read.lua",
        "    groups = levels.groups[agreed[1]] or groups\n",
        "    for _, more in pairs(levels.groups) do if #more > #groups then groups = more end end\n",
        (
            "tests/service/test_consent_scope.py::test_only_what_is_allowed_is_read_and_leaves_the_store"
            "[embedded-decide-service]",
        ),
    ),
    Fault(
        "the latest contact is given out without a consent for service",
        "service/store/lua/read.lua",
        "  if groups:find('s', 1, true) then",
        "  if true then",
        (
            "tests/service/test_consent_scope.py::test_only_what_is_allowed_is_read_and_leaves_the_store"
            "[embedded-decide-none]",
        ),
    ),
    Fault(
        "the engine is read twice in one decision",
        "service/decide.py",
        "        return engine.answer(_same_request(",
        "        return self.engine.answer(_same_request(",
        ("tests/service/test_decide.py::test_a_decision_is_made_by_the_engine_that_it_began_with",),
    ),
    Fault(
        "the consent is that of when the customer was read",
        "service/store/lua/commit.lua",
        "  if argv[5] ~= '' and argv[5] ~= known[7] then refuse('CONSENT', 'another consent holds by now') end\n",
        "",
        ("tests/service/test_decide.py::test_a_consent_that_is_withdrawn_while_it_is_decided_counts",),
    ),
    Fault(
        "words name what was only inferred",
        "service/core/wording.py",
        "            check_slot(slot, self._schema)\n",
        "            continue\n",
        ("tests/core/test_wording.py::test_no_words_are_made_that_would_name_what_is_not_expected",),
    ),
    Fault(
        "ties go to whoever is written first",
        "service/core/arbitrate.py",
        '            found.sort(key=lambda i: (-net[i], crc32(f"{customer}\\n{self._names[i]}".encode())))\n',
        "            found.sort(key=lambda i: (-net[i], i))\n",
        ("tests/core/test_promises.py::test_ties_break_by_the_customer_and_not_by_the_order",),
    ),
)
