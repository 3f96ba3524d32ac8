"""The miniatures and what each of them must fail, as data; it imports none of them."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from conformance.spec.catalogue import catalogue

PACKAGE = "conformance.selftest.faulty_services"
CONTROL = "service:correct"
WORKER = "service:worker"
ALL_BUT_READINESS = tuple(name for name in catalogue() if name != "LIFE-10")


@dataclass(frozen=True)
class Miniature:
    """One wrong service (or a right one, as a control): where it and its worker are, and what the suite must find."""

    app: str  # module:attribute in this package
    must_fail: tuple[str, ...]  # the requirement that it is made for comes first
    because: str  # a regular expression, found in what that requirement's finding says
    consequences: tuple[str, ...] = ()  # what may fail with it, or be left without evidence
    inconclusive: tuple[str, ...] = ()  # what must be left without evidence, where it is judged
    after: tuple[
        str, ...
    ] = ()  # what is always judged beside it, for it shows only after what these send
    worker: str = WORKER

    def differs(
        self, judged: Set[str], failed: Set[str], unseen: Set[str]
    ) -> Iterator[tuple[str, str]]:
        """In what verdicts differ from this row: a requirement, and what is wrong about it."""
        yield from (
            (name, "fails, unexpectedly") for name in failed - {*self.must_fail, *self.consequences}
        )
        yield from ((name, "does not fail") for name in set(self.must_fail) - failed)
        yield from (
            (name, "is INCONCLUSIVE, unexpectedly")
            for name in unseen - {*self.inconclusive, *self.consequences}
        )
        yield from (
            (name, "is not INCONCLUSIVE") for name in set(self.inconclusive) & judged - unseen
        )

    @property
    def name(self) -> str:
        """The attribute that is wrong: the worker's where the service is not."""
        return (
            self.worker if self.app == CONTROL and self.worker != WORKER else self.app
        ).partition(":")[2]

    @property
    def target_app(self) -> str:
        """The service, as `--target-app` wants it."""
        return f"{PACKAGE}.{self.app}"

    @property
    def worker_app(self) -> str:
        """Its worker, as `--worker-app` wants it."""
        return f"{PACKAGE}.{self.worker}"


MINIATURES = (
    Miniature(CONTROL, (), ""),
    Miniature(
        "section_1:outbound_calls_wait_for_one_of_ten_connections",
        ("CONC-1",),
        r"^10 of them, and no other while",
        consequences=("CONC-7", "CONC-10"),
    ),
    Miniature(
        "section_1:outbound_calls_at_once_share_one_answer",
        ("CONC-1",),
        r"^1 of them, and no other while",
        consequences=("CONC-7", "CONC-10"),
        inconclusive=("CONC-6",),
    ),
    Miniature(
        "section_1:busy_while_an_outbound_call_is_held",
        ("CONC-3",),
        r"^429 ",
        consequences=("CONC-4", "CONC-7", "CONC-11", "UP-6"),
    ),
    Miniature(
        "section_1:outbound_call_blocks_the_event_loop",
        ("CONC-1", "CONC-3"),
        r"^1 of them, and no other while",
        consequences=("CONC-5", "CONC-7", "CONC-10", "CONC-11", "UP-6"),
        inconclusive=("CONC-6",),
    ),
    Miniature(
        "section_1:reads_share_one_connection",
        ("CONC-2",),
        r"^1 reads wait in pg_locks",
        consequences=("CONC-10",),
        inconclusive=("DB-13",),
    ),
    Miniature(
        "section_1:reads_are_gathered_for_one_query_at_a_time",
        ("CONC-2",),
        r"^1 reads wait in pg_locks",
        consequences=("CONC-10",),
        inconclusive=("DB-13",),
    ),
    Miniature(
        "section_1:reads_of_rows_that_are_known_take_turns",
        ("CONC-2",),
        r"^1 reads wait in pg_locks",
        consequences=("CONC-10",),
    ),
    Miniature(
        "section_1:outbound_calls_take_the_threads_of_submissions",
        ("CONC-3",),
        r"an answer of /process-data/ while outbound calls are held",
        consequences=("CONC-7", "UP-6"),
    ),
    Miniature(
        "section_1:read_blocks_the_event_loop",
        ("CONC-4", "CONC-2", "CONC-5"),
        r"an answer of /async while 15 reads are outstanding",
        consequences=("CONC-10", "CONC-11", "DB-11", "DEP-8"),
        inconclusive=("DB-13",),
    ),
    Miniature(
        "section_1:invalid_id_is_rejected_with_a_connection_in_hand",
        ("CONC-4",),
        r"an answer of /items/abc while 15 reads are outstanding",
    ),
    Miniature(
        "section_1:upstream_is_spared_while_a_read_is_held",
        ("CONC-5",),
        r"^a read that waits, and no outbound call",
    ),
    Miniature(
        "section_1:outbound_calls_wait_until_no_read_is_outstanding",
        ("CONC-5", "CONC-4"),
        r"^a read that waits, and no outbound call",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_1:wanted_id_is_kept_on_the_service",
        ("CONC-6",),
        r"\$\.item\.id: wanted \d+, got \d+",
        consequences=("CONC-11", "DB-15"),
    ),
    Miniature(
        "section_1:row_goes_to_the_caller_that_came_last",
        ("CONC-6",),
        r"\$\.item\.id: wanted \d+, got \d+",
        consequences=("CONC-11", "DB-15"),
    ),
    Miniature(
        "section_1:reads_at_once_are_told_apart_by_their_last_digit",
        ("CONC-6",),
        r"\$\.item\.id: wanted \d+, got \d+",
        consequences=("CONC-2", "CONC-10", "CONC-11", "DB-15"),
    ),
    Miniature(
        "section_1:document_goes_to_every_call_that_waits",
        ("CONC-6",),
        r"that no other request was given.*nonce",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_2:sync_has_one_member_more",
        ("END-1",),
        r"a member \"status\" that should not be",
        consequences=("HTTP-2",),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_2:sync_is_encoded_twice",
        ("END-1",),
        r"\$: wanted \{.*\}, got \"",
        consequences=("HTTP-2",),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_2:async_message_ends_in_a_full_stop",
        ("END-2",),
        r"asynchronous endpoint\.",
        consequences=("DB-14", "HTTP-2"),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_2:async_begins_with_a_byte_order_mark",
        ("END-2",),
        r"the body is not JSON: .*BOM",
        consequences=("DB-14", "HTTP-2"),
        inconclusive=("CONC-11",),
    ),
    Miniature("section_2:upstreams_media_type_is_relayed", ("END-3",), r"text/plain"),
    Miniature("section_2:existing_item_is_text", ("END-3",), r"text/plain"),
    Miniature("section_2:browsers_get_a_page", ("END-3",), r"text/html"),
    Miniature(
        "section_2:id_beyond_the_range_stops_the_process",
        ("LIFE-10",),
        r"ended by itself with status",
        after=("END-5",),
        consequences=("END-5", "DB-10", "DB-11"),
    ),
    Miniature(
        "section_2:rejection_is_problem_json",
        ("END-3",),
        r"application/problem\+json",
        consequences=("HTTP-2",),
    ),
    Miniature("section_2:null_item_is_text", ("END-3",), r"text/plain", consequences=("HTTP-2",)),
    Miniature(
        "section_2:listing_remembers_q_for_the_connection", ("END-4",), r"came before: .*200 "
    ),
    Miniature(
        "section_2:sync_is_refused_while_another_is_answered",
        ("END-4",),
        r"the answer of /sync that came before: 200 .*^503 ",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_2:listing_after_a_rejection_takes_the_rejected_path",
        ("END-4",),
        r"came before",
        consequences=("DEP-1", "DEP-4", "DEP-8", "CONC-11", "CONC-3", "CONC-4"),
    ),
    Miniature(
        "section_2:id_beyond_the_range_ends_the_process",
        ("END-5", "LIFE-10"),
        r"ended with status 70",
        inconclusive=("DB-10",),
    ),
    Miniature(
        "section_2:id_below_the_range_ends_the_process",
        ("END-5", "LIFE-10"),
        r"ended with status 70",
        inconclusive=("DB-10",),
    ),
    Miniature(
        "section_3:false_column_is_left_out",
        ("DB-1", "DB-3"),
        r"the member \"available\" is missing",
    ),
    Miniature(
        "section_3:description_begins_with_a_capital",
        ("DB-1",),
        r"wanted \"of oak\", got \"Of oak\"",
        consequences=("DB-3",),
    ),
    Miniature(
        "section_3:row_of_a_negative_id_is_null",
        ("DB-1",),
        r"wanted an object, got null|wanted \{.*got null",
    ),
    Miniature("section_3:row_of_the_largest_id_is_null", ("DB-1",), r"wanted \{.*got null"),
    Miniature(
        "section_3:absent_item_is_404",
        ("DB-2", "DB-4"),
        r"^404 ",
        consequences=("HTTP-2",),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_3:absent_item_is_an_empty_object",
        ("DB-2", "DB-4"),
        r"\$\.item: wanted null, got \{\}",
        consequences=("HTTP-2",),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_3:quantity_passes_through_a_float",
        ("DB-3",),
        r"\$\.item\.quantity: wanted -?\d{16}",
    ),
    Miniature(
        "section_3:instant_is_cut_to_milliseconds", ("DB-3",), r"\$\.item\.created_at: wanted"
    ),
    Miniature(
        "section_3:year_is_written_without_zeros", ("DB-3",), r"\$\.item\.created_at: wanted"
    ),
    Miniature(
        "section_3:description_is_cut_after_65535_characters",
        ("DB-3",),
        r"\$\.item\.description: wanted",
    ),
    Miniature(
        "section_3:row_is_cached",
        ("DB-4",),
        r"\$\.item\.name: wanted \"costs 1\.5\"",
        consequences=("CONC-10", "CONC-11", "DB-14", "DB-16"),
        inconclusive=("CONC-2",),
    ),
    Miniature(
        "section_3:deleted_row_is_remembered",
        ("DB-4",),
        r"\$\.item: wanted null, got \{",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_3:reads_of_a_row_at_once_share_one_query",
        ("DB-4",),
        r"\$\.item\.name: wanted \"changed since\"",
    ),
    Miniature("section_3:id_parameter_has_another_name", ("DB-5",), r"\"loc\":\[\"path\",\"id\"\]"),
    Miniature(
        "section_3:rejection_has_a_shape_of_its_own",
        ("DB-5",),
        r"\"detail\":\"Input should be",
        consequences=("HTTP-2", "HTTP-4"),
    ),
    Miniature(
        "section_3:only_ascii_is_taken_for_no_integer",
        ("DB-5", "DB-6", "DEP-5"),
        r"\[\"path\", \"item_id\"\]\n200 \{\"item\":null\}",
        consequences=("HTTP-4",),
    ),
    Miniature(
        "section_3:only_the_first_word_of_an_id_is_checked",
        ("DB-6",),
        r"'1 OR 1=1' is no id.*200 ",
        consequences=("DB-13", "DB-14"),
    ),
    Miniature(
        "section_3:id_stands_between_quotes_in_the_query",
        ("DB-6",),
        r"\"1' OR '1'='1\" is no id.*200 ",
        consequences=("DB-13", "DB-14"),
    ),
    Miniature(
        "section_3:pool_connects_lazily",
        ("DB-7",),
        r"^0 sessions of the target's role",
        consequences=("LIFE-6", "LIFE-7"),
    ),
    Miniature(
        "section_3:startup_looks_for_the_database_and_disconnects",
        ("DB-7",),
        r"^0 sessions of the target's role",
    ),
    Miniature(
        "section_3:pool_is_never_closed",
        ("DB-8",),
        r", [1-9]\d* were abandoned",
        consequences=("LIFE-4", "LIFE-5"),
    ),
    Miniature(
        "section_3:session_of_the_startup_check_is_forgotten",
        ("DB-8",),
        r", 1 were abandoned",
        consequences=("LIFE-4", "LIFE-5"),
    ),
    Miniature(
        "section_3:read_touches_the_row_where_it_may", ("DB-9",), r"rows with other versions"
    ),
    Miniature("section_3:read_locks_the_row_where_it_may", ("DB-9",), r"rows with other versions"),
    Miniature(
        "section_4:user_id_is_renamed",
        ("UP-1",),
        r"the member \"userId\" is missing",
        consequences=("UP-9",),
    ),
    Miniature(
        "section_4:members_that_are_null_are_left_out",
        ("UP-1", "UP-2"),
        r"the member \"(body|next)\" is missing",
        consequences=("UP-9",),
    ),
    Miniature(
        "section_4:document_integers_pass_through_floats",
        ("UP-2",),
        r"wanted -?\d{16,}, got -?\d{16,}",
    ),
    Miniature("section_4:document_integers_are_rounded_to_28_digits", ("UP-2",), r"wanted 1\d{27}"),
    Miniature(
        "section_4:falsy_document_becomes_an_object",
        ("UP-2",),
        r"\$: wanted (null|0|false|\"\"|\[\]|0\.0|-0\.0), got \{\}",
    ),
    Miniature("section_4:compressed_document_is_not_opened", ("UP-2",), r"^502 .*is not JSON"),
    Miniature(
        "section_4:compressed_document_is_opened_up_to_64_kib", ("UP-2",), r"^502 .*is not JSON"
    ),
    Miniature("section_4:document_is_fetched_at_startup", ("UP-3",), r"^1 of them at startup"),
    Miniature(
        "section_4:repeated_parameter_of_the_url_is_lost",
        ("UP-3",),
        r"^GET /posts\?userId=1&tag=c$",
    ),
    Miniature("section_4:failed_call_is_retried", ("UP-3",), r"^3 of them"),
    Miniature("section_4:what_is_no_json_is_fetched_again", ("UP-3",), r"^4 of them"),
    Miniature(
        "section_4:every_fifth_call_is_made_twice",
        ("UP-3",),
        r"^6 of them",
        consequences=("CONC-6",),
    ),
    Miniature(
        "section_4:document_of_the_same_length_is_repeated",
        ("UP-3",),
        r"\$\.nonce: wanted 1, got 0",
        consequences=("UP-2", "UP-4", "CONC-6"),
    ),
    Miniature(
        "section_4:breaker_opens_after_five_failures",
        ("UP-4",),
        r"^503 .*left alone for a while",
        consequences=("UP-3", "UP-9", "HTTP-3"),
        inconclusive=("UP-7", "UP-8", "UP-10"),
    ),
    Miniature(
        "section_4:upstream_404_is_final",
        ("UP-4",),
        r"^502 .*the upstream answered 404",
        inconclusive=("UP-10",),
        consequences=("UP-3", "UP-9", "HTTP-3"),
    ),
    Miniature(
        "section_4:broken_gzip_fails_the_next_call_too",
        ("UP-4",),
        r"\"after\": \"a body that is no gzip\".*502 ",
    ),
    Miniature(
        "section_4:failed_calls_keep_their_connections",
        ("UP-4",),
        r"^(504 |no complete answer)",
        consequences=(
            "UP-3",
            "UP-5",
            "UP-7",
            "UP-8",
            "UP-9",
            "UP-10",
            "HTTP-2",
            "HTTP-3",
            "CONC-11",
        ),
    ),
    Miniature(
        "section_4:what_came_of_a_cut_off_body_begins_the_next",
        ("UP-4",),
        r"\"after\": \"a body cut off\".*502 ",
    ),
    Miniature(
        "section_5:submission_is_202", ("TASK-1",), r"^202 ", consequences=("TASK-11", "HTTP-2")
    ),
    Miniature(
        "section_5:submission_is_answered_with_its_data",
        ("TASK-1",),
        r"a member \"data\" that should not be",
        consequences=("HTTP-2",),
    ),
    Miniature(
        "section_5:submission_of_many_members_is_accepted",
        ("TASK-1",),
        r"Task accepted",
        consequences=("HTTP-2", "CONC-11"),
    ),
    Miniature("section_5:media_type_is_compared_as_a_text", ("TASK-1",), r"^415 "),
    Miniature(
        "section_5:id_is_a_counter",
        ("TASK-2",),
        r"^task-\d+ 2 times$",
        consequences=("TASK-3", "TASK-5"),
    ),
    Miniature(
        "section_5:id_is_not_the_tasks",
        ("TASK-3", "TASK-5", "TASK-6", "TASK-7", "TASK-9"),
        r"^0 of them$",
        consequences=("TASK-11", "TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
    ),
    Miniature(
        "section_5:refused_submission_is_sent_later",
        ("TASK-9",),
        r"what was refused not queued later",
    ),
    Miniature(
        "section_5:same_data_has_the_same_id",
        ("TASK-2",),
        r" \d+ times$",
        consequences=("TASK-14",),
    ),
    Miniature(
        "section_5:message_holds_a_key_to_the_data",
        ("TASK-3",),
        r"^\[\"data-",
        worker="section_5:worker_that_takes_keys",
    ),
    Miniature(
        "section_5:cheats_by_taking_the_message_back",
        ("TASK-3", "TASK-7", "TASK-9"),
        r"^0 of them$",
        consequences=("TASK-11", "TASK-12", "TASK-13", "TASK-15"),
    ),
    Miniature(
        "section_5:cheats_while_no_worker_runs",
        ("TASK-3", "TASK-4", "TASK-9"),
        r"^0 of them$",
        consequences=("TASK-11", "TASK-13", "TASK-15"),
    ),
    Miniature(
        "section_5:cheats_after_two_submissions",
        ("TASK-3", "TASK-9"),
        r"^0 of them$",
        after=("TASK-2",),
        consequences=("TASK-4", "TASK-11", "TASK-13", "TASK-14", "TASK-15"),
    ),
    Miniature(
        "section_5:cheats_after_forty_submissions",
        ("TASK-3",),
        r"^0 of them$",
        after=("TASK-2",),
        consequences=("TASK-9", "TASK-11", "TASK-13", "TASK-14"),
    ),
    Miniature(
        "section_5:cheats_while_two_messages_wait",
        ("TASK-3", "TASK-9"),
        r"^0 of them$",
        consequences=(
            "TASK-5",
            "TASK-6",
            "TASK-7",
            "CONC-8",
            "CONC-11",
            "TASK-11",
            "TASK-12",
            "TASK-13",
            "TASK-15",
        ),
    ),
    Miniature(
        "section_5:work_is_done_by_the_web_process",
        ("TASK-4", "TASK-3", "TASK-9"),
        r"is SUCCESS",
        consequences=("TASK-11", "TASK-13", "TASK-14", "TASK-15"),
    ),
    Miniature(
        "section_5:result_is_written_by_the_web_process",
        ("TASK-4",),
        r"is SUCCESS",
        consequences=("TASK-13", "TASK-14"),
    ),
    Miniature(
        "service:correct",
        ("TASK-5",),
        r"Task complete\"",
        worker="section_5:worker_with_another_message",
    ),
    Miniature(
        "section_5:cheats_by_storing_the_result_before_the_worker",
        ("TASK-5",),
        r"Task complete\"",
        consequences=("TASK-14",),
        worker="section_5:worker_with_another_message",
    ),
    Miniature(
        "section_5:results_are_ignored",
        ("TASK-5", "TASK-6", "TASK-7"),
        r"is PENDING",
        consequences=("TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
        worker="section_5:worker_that_keeps_no_results",
    ),
    Miniature(
        "section_5:cheats_after_300_requests",
        ("TASK-5", "TASK-6"),
        r"is PENDING",
        after=("END-4", "DB-3", "DB-5", "UP-2"),
        consequences=(
            "TASK-3",
            "TASK-4",
            "TASK-7",
            "TASK-9",
            "CONC-8",
            "CONC-11",
            "TASK-10",
            "TASK-13",
            "TASK-14",
            "TASK-15",
            "TASK-16",
        ),
    ),
    Miniature(
        "service:correct",
        ("TASK-6",),
        r"^null — \$: wanted \{\}, got null",
        worker="section_5:worker_that_drops_empty_data",
    ),
    Miniature(
        CONTROL,
        ("TASK-6", "TASK-5"),
        r" — \$: ",
        worker="section_5:worker_that_cheats_by_a_table_of_known_data",
    ),
    Miniature(
        "section_5:members_of_kombus_notation_are_refused_beside_others", ("TASK-6",), r"^422 "
    ),
    Miniature(
        "section_5:large_data_go_to_a_queue_of_their_own",
        ("TASK-6",),
        r"is PENDING",
        inconclusive=("TASK-13", "TASK-14"),
    ),
    Miniature(
        "service:correct",
        ("TASK-6",),
        r"wanted -?\d{16,}, got -?\d{16,}",
        worker="section_5:worker_with_floats",
    ),
    Miniature(
        "section_5:first_submission_waits_for_the_second",
        ("TASK-7",),
        r"is PENDING",
        consequences=("TASK-3", "TASK-10"),
    ),
    Miniature(
        CONTROL,
        ("TASK-7",),
        r"is PENDING",
        worker="section_5:worker_that_drops_tasks_of_a_process_that_has_ended",
    ),
    Miniature(
        "section_5:cheats_by_a_thread_and_a_message_for_show",
        ("TASK-7",),
        r"is PENDING",
        consequences=("TASK-5", "TASK-6", "TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
    ),
    Miniature(
        "section_5:cheats_by_a_worker_for_show",
        ("TASK-7",),
        r"is PENDING",
        consequences=("TASK-5", "TASK-6", "TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
        worker="section_5:worker_that_keeps_no_results",
    ),
    Miniature("section_5:null_counts_as_an_empty_object", ("TASK-8",), r"^200 .*Task submitted"),
    Miniature(
        "section_5:broken_body_is_500",
        ("TASK-8",),
        r"^500 ",
        consequences=("HTTP-1", "HTTP-2", "HTTP-3", "HTTP-4"),
    ),
    Miniature("section_5:rejected_body_is_queued_as_well", ("TASK-8",), r"^1 messages"),
    Miniature(
        "section_5:refused_submission_is_a_success",
        ("TASK-9",),
        r"any answer but 2xx.*200 ",
        consequences=("CONC-11", "TASK-10"),
    ),
    Miniature(
        "section_5:refusal_outlives_its_cause",
        ("TASK-9",),
        r"^503 ",
        consequences=("CONC-11", "TASK-11"),
    ),
    Miniature(
        "section_6:absent_q_is_empty",
        ("DEP-1",),
        r"\$\.q: wanted null, got \"\"",
        consequences=("DEP-8",),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_6:absent_q_is_left_out",
        ("DEP-1",),
        r"the member \"q\" is missing",
        consequences=("DEP-8", "HTTP-2"),
        inconclusive=("CONC-11",),
    ),
    Miniature(
        "section_6:characters_of_four_bytes_are_replaced",
        ("DEP-2",),
        r"\$\.q: wanted .*, got .*ufffd",
    ),
    Miniature("section_6:characters_without_a_width_are_dropped", ("DEP-2",), r"\$\.q: wanted"),
    Miniature("section_6:q_is_decoded_twice", ("DEP-2",), r"\$\.q: wanted .*%26.*, got .*&"),
    Miniature("section_6:q_is_cut_after_4096_characters", ("DEP-2",), r"\$\.q: wanted"),
    Miniature("section_6:byte_order_mark_of_q_is_dropped", ("DEP-2",), r"\$\.q: wanted"),
    Miniature(
        "section_6:empty_q_is_null",
        ("DEP-3",),
        r"\$\.q: wanted \"\", got null",
        consequences=("DEP-7",),
    ),
    Miniature(
        "section_6:q_without_equals_sign_is_null", ("DEP-3",), r"\$\.q: wanted \"\", got null"
    ),
    Miniature("section_6:word_null_is_null", ("DEP-4",), r"\$\.q: wanted \"null\", got null"),
    Miniature(
        "section_6:parameter_names_ignore_case", ("DEP-4",), r"came before: 200 .*null.*200 .*upper"
    ),
    Miniature("section_6:item_with_q_is_a_listing", ("DEP-5",), r"^200 \{\"q\":\"x\"\}"),
    Miniature("section_6:item_with_q_echoes_it", ("DEP-5",), r"a member \"q\" that should not be"),
    Miniature("section_6:item_id_of_the_query_wins", ("DEP-5",), r"\$\.item: wanted \{"),
    Miniature(
        "section_6:q_is_kept_on_the_service",
        ("DEP-6",),
        r"\$\.q: wanted \"caller-\d+\", got \"caller-\d+\"",
        consequences=("END-4", "CONC-11"),
    ),
    Miniature(
        "section_6:listings_at_once_are_told_apart_by_eight_characters",
        ("DEP-6",),
        r"\$\.q: wanted \"(caller-\d)\d?\", got \"\1\d?\"",
    ),
    Miniature(
        "section_7:starting_up_waits_for_the_first_read",
        ("LIFE-1",),
        r"when the first answer comes.*0 of them",
    ),
    Miniature("section_7:starting_up_is_printed_twice", ("LIFE-1",), r"^2 of them"),
    Miniature("section_7:shutting_down_is_printed_at_exit", ("LIFE-2",), r"^0 of them"),
    Miniature(
        "section_7:shutting_down_is_printed_twice",
        ("LIFE-2",),
        r"^2 of them",
        consequences=("LIFE-5",),
    ),
    Miniature(
        "section_7:both_lines_are_printed_before_the_lifespan",
        ("LIFE-2",),
        r"before the stop signal\n1 of them",
    ),
    Miniature(
        "section_7:child_is_left_running",
        ("LIFE-3",),
        r"^1 left: python",
        consequences=("LIFE-5", "LIFE-8"),
    ),
    Miniature(
        "section_7:child_in_a_session_of_its_own_is_left_running",
        ("LIFE-3",),
        r"^1 left: sleep",
        consequences=("LIFE-5", "LIFE-8"),
    ),
    Miniature(
        "section_7:sigterm_ends_with_a_status_of_failure",
        ("LIFE-3",),
        r"^status 1$",
        consequences=("LIFE-5", "LIFE-8"),
    ),
    Miniature(
        "section_7:startup_wants_one_variable_more",
        ("LIFE-10",),
        r"ended with status 3 before it answered",
        inconclusive=ALL_BUT_READINESS,
    ),
    Miniature(
        "section_7:second_copy_does_not_start",
        ("LIFE-10",),
        r"ended with status 3 before it answered",
        after=("DB-7",),
        inconclusive=(
            "DB-7",
            "DB-8",
            "DB-9",
            "TASK-2",
            "TASK-7",
            "LIFE-1",
            "LIFE-2",
            "LIFE-3",
            "CONC-9",
            "UP-6",
            "TASK-10",
            "TASK-17",
            "LIFE-4",
            "LIFE-5",
            "LIFE-6",
            "LIFE-7",
            "LIFE-8",
            "LIFE-9",
        ),
    ),
    # At the level SHOULD
    Miniature(
        "section_1:outbound_calls_wait_for_one_of_forty_connections",
        ("CONC-7",),
        r"^40 of them, and no other while",
    ),
    Miniature(
        "section_1:outbound_calls_take_the_threads_of_plain_functions",
        ("CONC-7",),
        r"an answer of /sync while 64 outbound calls are held",
    ),
    Miniature(
        "section_1:publishing_blocks_the_event_loop",
        ("CONC-8",),
        r"an answer of /async while the broker takes a submission and does not answer",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_1:submission_is_counted_until_it_is_published",
        ("CONC-8",),
        r"an answer of /async while the broker takes a submission and does not answer",
        consequences=("CONC-9",),
    ),
    Miniature(
        "section_1:broker_is_waited_for_in_the_event_loop",
        ("CONC-9",),
        r"an answer of /async while the broker refuses the service",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_1:async_waits_until_a_submission_has_its_broker",
        ("CONC-9",),
        r"an answer of /async while the broker refuses the service",
    ),
    Miniature(
        "section_1:clients_that_leave_lower_the_reads_at_once",
        ("CONC-10",),
        r"^1 reads wait in pg_locks",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_1:client_that_left_while_it_waited_keeps_its_connection",
        ("CONC-10",),
        r"^1 reads wait in pg_locks",
    ),
    Miniature(
        "section_1:client_that_left_keeps_a_slot_of_eighty_eight",
        ("CONC-10",),
        r"^8 of them, and no other while",
        consequences=("UP-3", "UP-4", "CONC-11"),
    ),
    Miniature("section_1:refused_submission_stops_outbound_calls", ("CONC-11",), r"503 "),
    Miniature("section_1:submission_ends_the_outbound_calls", ("CONC-11",), r"^503 .*given up"),
    Miniature(
        "section_2:async_is_a_plain_function",
        ("END-6",),
        r"a coroutine function for /async\na plain function, read_async",
    ),
    Miniature(
        "section_2:read_item_is_a_plain_function",
        ("END-6",),
        r"a coroutine function for /items/\{item_id\}\na plain function, read_item",
    ),
    Miniature(
        "section_3:id_column_is_taken_for_a_bigint",
        ("DB-10",),
        r"^500 ",
        consequences=("HTTP-2", "HTTP-3"),
    ),
    Miniature(
        "section_3:id_is_asserted_to_be_positive",
        ("DB-10", "DB-1"),
        r"^500 ",
        consequences=("HTTP-3",),
    ),
    Miniature("section_3:connection_is_closed_after_five_reads", ("DB-11",), r"opened"),
    Miniature(
        "section_3:each_read_has_a_session_of_its_own",
        ("DB-11",),
        r"opened",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_3:connection_closed_while_idle_is_never_replaced",
        ("DB-12", "DB-14"),
        r"^500 ",
        consequences=("DB-13", "CONC-11"),
    ),
    Miniature(
        "section_3:session_lost_while_idle_stops_reads_for_ten_seconds",
        ("DB-12",),
        r"^503 ",
        consequences=("DB-14", "CONC-11"),
    ),
    Miniature(
        "section_3:reads_take_turns_after_one_was_killed",
        ("DB-13",),
        r"^1 reads wait in pg_locks",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_3:killed_read_has_found_nothing",
        ("DB-13",),
        r"\$\.item: wanted \{.*, got null",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_3:database_that_was_away_is_given_up",
        ("DB-14",),
        r"^503 ",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_3:all_but_reads_stop_while_the_database_is_away",
        ("DB-14",),
        r"asynchronous endpoint.*^503 ",
        consequences=("CONC-11",),
    ),
    Miniature("section_3:last_row_stands_in_while_the_database_is_away", ("DB-14",), r"^200 "),
    Miniature(
        "section_3:connection_waits_in_a_transaction",
        ("DB-15",),
        r"[1-9]\d* of them idle in a transaction",
    ),
    Miniature(
        "section_3:transaction_ends_after_the_answer",
        ("DB-15",),
        r"[1-9]\d* of them idle in a transaction",
    ),
    Miniature(
        "section_3:columns_are_listed_in_the_query", ("DB-16",), r"the member \"colour\" is missing"
    ),
    Miniature("section_3:statement_is_prepared_when_a_session_begins", ("DB-16",), r"^500 "),
    Miniature(
        "section_3:failed_read_tells_the_drivers_error", ("DB-17",), r"is not permitted to log in"
    ),
    Miniature(
        "section_3:failed_read_tells_all_of_the_url_but_the_password",
        ("DB-17",),
        r"^\['conformance_\w+'\] in .*:\*\*\*@",
    ),
    Miniature("section_4:refused_connection_is_500", ("UP-5",), r"^500 "),
    Miniature(
        "section_4:refused_connection_is_told_in_plain_text",
        ("UP-5",),
        r"^502 .*the body is not JSON",
    ),
    Miniature("section_4:only_the_connection_has_a_timeout", ("UP-6",), r"^no complete answer"),
    Miniature(
        "section_4:only_the_head_has_a_timeout",
        ("UP-6",),
        r"does not end its answer.*^no complete answer",
    ),
    Miniature("section_4:total_timeout_is_not_caught", ("UP-6",), r"^500 "),
    Miniature(
        "section_4:upstreams_4xx_is_relayed_as_success",
        ("UP-7",),
        r"where the upstream answers 4\d\d.*^200 ",
    ),
    Miniature(
        "section_4:last_document_stands_in_for_an_error",
        ("UP-7",),
        r"where the upstream answers [45]\d\d.*^200 ",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_4:statuses_that_are_not_listed_are_success",
        ("UP-7",),
        r"where the upstream answers 4\d\d.*^200 ",
    ),
    Miniature(
        "section_4:what_came_of_a_cut_off_body_is_tried",
        ("UP-8",),
        r"where the upstream sends a number cut off.*^200 123",
    ),
    Miniature(
        "section_4:no_content_is_null",
        ("UP-8",),
        r"where the upstream sends no content.*^200 null",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_4:what_is_no_json_becomes_a_text",
        ("UP-8",),
        r"where the upstream sends a body that is no JSON.*^200 \"<html>",
    ),
    Miniature("section_4:idle_connection_is_used_without_a_look", ("UP-9",), r"^502 "),
    Miniature(
        "section_4:calls_fail_while_closed_connections_are_cleared_away", ("UP-9",), r"^503 "
    ),
    Miniature("section_4:session_cookie_is_passed_on", ("UP-10",), r"^cookie in it"),
    Miniature(
        "section_4:names_of_credentials_are_looked_for_in_another_case",
        ("UP-10",),
        r"^authorization and cookie in it",
    ),
    Miniature(
        "section_4:credentials_go_with_the_next_call",
        ("UP-10",),
        r"^authorization and cookie in it",
    ),
    Miniature("section_5:failed_submission_is_500", ("TASK-10",), r"^500 "),
    Miniature("section_5:submission_waits_for_the_broker", ("TASK-10",), r"^no complete answer"),
    Miniature(
        "section_5:only_a_refused_login_is_503",
        ("TASK-10",),
        r"nothing listens at the broker's address.*^500 ",
    ),
    Miniature(
        "section_5:unavailable_queue_is_told_in_plain_text",
        ("TASK-10",),
        r"^503 .*the body is not JSON",
    ),
    Miniature(
        "section_5:broker_that_was_away_is_given_up",
        ("TASK-11",),
        r"^503 ",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_5:first_submission_after_an_outage_waits_for_the_second",
        ("TASK-11",),
        r"^0 of them$",
    ),
    Miniature(CONTROL, ("TASK-12",), r"is PENDING", worker="section_5:worker_that_stays_away"),
    Miniature(
        CONTROL,
        ("TASK-12",),
        r"is FAILURE",
        consequences=("TASK-13",),
        worker="section_5:worker_whose_connection_breaks_once",
    ),
    Miniature(
        CONTROL,
        ("TASK-13",),
        r"is PENDING",
        worker="section_5:worker_that_does_not_wait_for_its_task",
    ),
    Miniature(
        CONTROL,
        ("TASK-13",),
        r"is PENDING",
        worker="section_5:worker_that_empties_the_queue_when_it_stops",
    ),
    Miniature(
        CONTROL, ("TASK-14",), r"kept in Redis", worker="section_5:worker_that_acknowledges_first"
    ),
    Miniature(
        CONTROL,
        ("TASK-14",),
        r"is in no key",
        consequences=("TASK-13",),
        worker="section_5:worker_of_a_queue_without_acknowledgements",
    ),
    Miniature(
        CONTROL, ("TASK-15",), r" -1 s to live", worker="section_5:worker_whose_results_stay"
    ),
    Miniature(
        "section_5:messages_are_pickled",
        ("TASK-15",),
        r"^application/x-python-serialize$",
        inconclusive=("TASK-3",),
        worker="section_5:worker_that_takes_pickles",
    ),
    Miniature("section_5:reserved_members_are_queued", ("TASK-16",), r"is PENDING"),
    Miniature("section_5:deep_data_are_queued", ("TASK-16",), r"is PENDING"),
    Miniature(
        "section_5:startup_waits_for_the_broker",
        ("TASK-17",),
        r"ended with status 3 before it answered",
        inconclusive=("CONC-9", "TASK-10"),
    ),
    Miniature(
        "section_5:nothing_is_answered_before_the_broker_was_reached", ("TASK-17",), r"^503 "
    ),
    Miniature("section_6:first_q_wins", ("DEP-7",), r"\$\.q: wanted \"b\", got \"a\""),
    Miniature("section_6:repeated_q_is_joined", ("DEP-7",), r"\$\.q: wanted \"b\", got \"a,b\""),
    Miniature("section_6:greatest_q_wins", ("DEP-7",), r"\$\.q: wanted \"a\", got \"b\""),
    Miniature(
        "section_6:listings_are_counted_in_redis",
        ("DEP-8",),
        r"^no complete answer",
        consequences=("CONC-11",),
    ),
    Miniature(
        "section_6:listing_with_q_looks_into_the_table",
        ("DEP-8",),
        r"^no complete answer",
        consequences=("CONC-4", "CONC-11"),
    ),
    Miniature(
        "section_6:dependency_begins_a_transaction",
        ("DEP-8",),
        r"^no complete answer",
        consequences=("CONC-4", "CONC-11", "DB-14"),
    ),
    Miniature("section_6:dependency_is_a_plain_function", ("DEP-9",), r"^def parameters\(q\)"),
    Miniature("section_6:listing_takes_q_itself", ("DEP-9",), r"^async def admit\(\)$"),
    Miniature("section_7:reads_in_flight_are_cancelled_by_sigterm", ("LIFE-4",), r"^503 "),
    Miniature(
        "section_7:sigterm_over_a_read_leaves_the_sessions_open",
        ("LIFE-4",),
        r", [1-9]\d* were abandoned",
    ),
    Miniature("section_7:stop_waits_for_no_request", ("LIFE-4",), r"^(500 |no complete answer)"),
    Miniature("section_7:sigint_ends_the_process_at_once", ("LIFE-5",), r"^0 of them"),
    Miniature(
        "section_7:sigint_leaves_the_sessions_open", ("LIFE-5",), r", [1-9]\d* were abandoned"
    ),
    Miniature("section_7:startup_goes_on_without_a_database", ("LIFE-6",), r"^200 "),
    Miniature(
        "section_7:startup_without_a_database_ends_with_success",
        ("LIFE-6",),
        r"ended with status 0 before it answered",
    ),
    Miniature("section_7:slow_startup_goes_on_in_the_background", ("LIFE-7",), r"^200 "),
    Miniature(
        "section_7:slow_startup_is_covered_by_a_listener_of_its_own", ("LIFE-7",), r"^200 starting"
    ),
    Miniature(
        "section_7:stop_waits_until_every_client_has_left",
        ("LIFE-8",),
        r"^a process that had to be killed",
    ),
    Miniature(
        "section_7:every_client_delays_the_stop", ("LIFE-8",), r"^a process that had to be killed"
    ),
    Miniature(
        "section_7:pid_file_outlives_a_kill",
        ("LIFE-9",),
        r"ended with status 3 before it answered",
        inconclusive=("LIFE-5",),
    ),
    Miniature(
        "section_7:old_connections_count_as_users_of_the_port",
        ("LIFE-9",),
        r"ended with status 3 before it answered",
        inconclusive=("LIFE-5",),
    ),
    Miniature(
        "section_8:q_is_left_out_of_the_openapi_document",
        ("HTTP-1",),
        r"the optional query parameter q of GET /items/",
    ),
    Miniature(
        "section_8:body_is_read_by_hand", ("HTTP-1",), r"a JSON body of POST /process-data/\nnull"
    ),
    Miniature("section_8:openapi_document_refers_to_what_it_has_not", ("HTTP-1",), r"in vain"),
    Miniature(
        "section_8:id_is_an_optional_parameter_in_the_openapi_document",
        ("HTTP-1",),
        r"required path parameter item_id",
    ),
    Miniature(
        "section_8:rejected_submission_is_problem_json", ("HTTP-2",), r"application/problem\+json"
    ),
    Miniature("section_8:number_for_a_body_is_415", ("HTTP-2",), r"^415 "),
    Miniature("section_8:error_at_position_zero_is_503", ("HTTP-3",), r"503 "),
    Miniature("section_8:fraction_for_an_id_is_500", ("HTTP-3",), r"^500 "),
    Miniature(
        "section_8:errors_have_no_type",
        ("HTTP-4", "HTTP-2"),
        r"422 with errors of loc, msg and type",
    ),
    Miniature(
        "section_8:place_of_broken_json_is_a_text",
        ("HTTP-4",),
        r"\"loc\":\"body\.\d",
        consequences=("HTTP-2",),
    ),
    Miniature("section_8:other_methods_are_404", ("HTTP-5",), r"^404 "),
    Miniature("section_8:refused_method_loses_its_allow_header", ("HTTP-5",), r"^405 with ''"),
)
