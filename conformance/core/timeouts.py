"""Every time limit and every amount of the suite, each with the measurement behind it.

All times are in seconds. A passing run waits for events. Most limits only bound how long the suite
waits for something that never comes. These also delay a passing run, because nothing marks the
moment when it is certain that something will not come: QUIET, LOG_LAG and LISTENER_SILENCE (the
latter two with containers only), and in the background SILENCE_WATCHED, GRACE_WATCHED and
LEAVING_WATCHED.

Unless a comment says otherwise, a measurement is the worst of 15 runs on 2 cores that two other
processes kept busy. Five of these runs judged the source tutorial's own code. That is the slowest
target at hand: it makes a client for each outbound call, which costs it about 40 ms of CPU time.

The specification's tests hold the first and the last part of this file equal to the tables in
spec/README.md.
"""

# Part 1: limits that can fail a service. They are the table "Time limits" in spec/README.md.

# From sending a request that nothing holds to the end of its answer; for a request that was held,
# from its release. Worst: 0.33 s.
ANSWER_DEADLINE = 5.0

# A shorter limit in place of the one for an answer, for arrivals or for a result, after the same
# thing has timed out. The usual limit applies again once it comes in time.
DEADLINE_AFTER_A_MISSED_ONE = 1.0

# At the upstream: from the arrival of one call to the arrival of the next. In pg_locks: until
# enough reads wait. Worst: 1.9 s for 20 calls sent at once. Calls are now sent four at a time. In
# CI, next to five other runs and as many containers, the tutorial's own code needed more than its
# own timeout of 5 s to connect 20 clients at once, in one of some 15 runs. With 64 clients at once
# the same had happened before.
ARRIVAL_DEADLINE = 5.0

# Added to ARRIVAL_DEADLINE before the first call arrives, for each call that is missing. A client
# per call costs the tutorial's own code 40 ms of CPU time before any call leaves. Beside five busy
# processes on 2 cores, none of 64 calls had arrived after 5 s, in one of some 60 runs.
ARRIVAL_OF_EACH = 0.1

# How long a held outbound call receives nothing. Then the upstream sends it one more byte of its
# answer. Before this was done, httpx's own timeout of 5 s ended one of CONC-7's 64 calls before
# the last one had left, in one of some 40 runs of the tutorial's own code.
KEPT_AWAKE = 1.0

# From starting the target's process to its first answer, or to its end where it must not start.
# Worst: 1.8 s, with four processes starting at once.
READY_DEADLINE = 20.0

# From SIGTERM or SIGINT to the end of the process. Then as long again until its port is free and
# its child processes are gone, and as long again until its database sessions are closed.
# Worst: 0.23 s. An ordinary deployment allows 10 s (docker stop) or more.
STOP_DEADLINE = 10.0

# From SIGTERM or SIGINT to a sign that the service has reacted: nothing listens any more, it has
# dropped a request in flight, or its process has ended. Worst of 12, next to two other runs: 0.1 s.
SIGNAL_DEADLINE = 2.0

# How long a request in flight is held after the service has reacted to SIGTERM (LIFE-4, in the
# background). uvicorn, told to wait for 1 ms, drops it after 0.1 s. Also how long a worker's result
# is held back after the worker was sent SIGTERM (TASK-13). A worker that ends at once had ended
# after 0.1 s, the worst of 6, next to the suite's own tests.
GRACE_WATCHED = 0.5

# How long requests are held whose clients have left, unless the service gives them up before. In
# the background. Whoever asks now and then whether a client is there still does so several times in
# a second.
LEAVING_WATCHED = 1.0

# How long a service is watched for an answer that it must not give, while its database accepts
# the connection and never answers. In the background. The faulty service that goes on without its
# database answers after 0.5 s.
SILENCE_WATCHED = 2.0

# An outbound call whose upstream never answers, or never ends its answer, as a whole, however
# often a part of it comes. In the background. The usual clients give up after 5 s of silence
# (httpx), or after 300 s in all (aiohttp).
GIVE_UP_DEADLINE = 30.0

# A submission while the broker refuses the service. Celery's default publishing takes about 19 s.
# A service that tries once takes 2.3 s at most.
REFUSAL_DEADLINE = 15.0

# How long nothing listens at the broker's address while it is restarted, in the background: until a
# submission that was made meanwhile has its answer, if that comes sooner. Celery's worker tries to
# connect at once, and then after 2 s. Valkey starts in 0.05 to 0.1 s.
BROKER_AWAY = 1.0

# How long other answers are requested while such a submission has no answer. The reference, which
# tries once, is never watched that long.
RETRIES_WATCHED = 2.0

# Each of these other answers, and each while outbound calls have no answer, which ends sooner than
# ANSWER_DEADLINE where the service's own timeout is 5 s. Worst, next to two other runs: 0.48 s.
UNBLOCKED_DEADLINE = 2.0

# From asking for a task's result to having it: the first result of a worker process, which also
# waits for the worker's start, and any later one. Worst: 0.73 s where the worker was started for
# it, 0.02 s for a later one.
FIRST_RESULT_DEADLINE = 20.0
RESULT_DEADLINE = 5.0

# A task's result after its worker has lost the broker. Celery reconnects after 2 s, then after
# another 4 s, 6 s and so on.
RECONNECT_DEADLINE = 20.0

# From a connection that broke to the end of the process behind it, if the process died. Worst,
# for a service that sent SIGTERM to itself: about 0.1 s.
DEATH_DEADLINE = 1.0

# From the last answer of several reads to the end of their transactions. FastAPI sends an answer
# before it leaves the endpoint's dependencies. With an ORM's session as such a dependency, in 3 of
# 900 rounds a transaction was open at the first look, and never at the second one, 5 ms later.
TRANSACTION_DEADLINE = 0.5
# How long what the service holds may stay above what it held after a first round of requests, for
# LIFE-11. Servers may keep the socket of a client that has left until its keep-alive timeout, 5 s
# with hypercorn. A service that adds nothing in a round is not watched at all.
LINGERING_DEADLINE = 10.0

# Part 2: limits of the suite itself. No verdict on a service depends on them.

# Closing the connection after bytes that are not HTTP, or after a probe that has one of its own.
# Worst: 0.01 s.
HANG_UP_DEADLINE = 1.0

# After this time the suite looks up the line that blocks the target's event loop. It is shorter
# than the timeouts of the usual clients (httpx: 5 s).
STUCK_AFTER = 2.0

# Importing an application in order to read its routes. Measured: 1 to 2 s, but more than 20 s in 4
# of 18 runs on conforming services, with six and more runs at once on 2 cores. Linux divides the
# processor evenly between sessions (autogroup). All suites and their imports share one session,
# while each target has its own.
IMPORT_DEADLINE = 60.0

# From the end of a fault until the service answers as before. After that it is restarted. The
# reference never needed a restart in 17 runs.
HEAL_DEADLINE = 5.0

# Between two attempts of one reconnection. After a pause of this length the client is waiting or
# has given up. Celery's two attempts were 4 to 8 ms apart.
QUIET = 0.1

# How long the suite waits for a second read of a changed row to be held beside the first one. A
# service that has a connection for it is not waited for that long. A service that has none (a pool
# of one) is judged all the same. Worst of 21, next to two other runs: 0.03 s. It is shorter than
# the time that such a read may wait for its connection. With 2 s, psycopg's pool gave up after its
# own 2 s, in one of some 60 runs. After an outage that pool may not grow for some seconds.
SECOND_READ_WATCHED = 1.0

# A lock on the table for the suite itself. Nobody else should hold one. Worst, for all of CONC-2:
# less than 0.13 s.
OWN_LOCK_DEADLINE = 5.0

# Embedded servers, from exec to the first answered query. Worst: 2.4 s for both, including initdb
# and the suite's imports.
BOOT_DEADLINE = 30.0

# From the signal to the complete stack of a Python process. Worst of 40, next to a CI run: 0.007 s.
STACK_DEADLINE = 1.0

# Asking a persistent testbed whether another run uses it. Worst of 30, both cores busy: 0.016 s.
LEASE_DEADLINE = 5.0

# How long a connection to a container's published port must stay open to count as a server's.
# Where nothing listens inside, it is closed at once. Worst of 200, both cores busy: 0.056 s.
LISTENER_SILENCE = 0.2

# How long a container must have printed nothing before its output counts as complete: the daemon
# forwards a line some time after it was printed. Worst of 600 lines, both cores busy: 0.041 s.
# Worst of 592, next to fourteen busy sessions: 0.078 s.
LOG_LAG = 0.2

# From an answer of 500 until the process has printed why. uvicorn prints it after the answer.
# Worst: 0.02 s.
LAST_WORDS_DEADLINE = 0.3

# How long a target is looked at that answers worse than it did before anything went wrong, and that
# nobody disturbs. After that it is restarted.
UNHARMED_DEADLINE = 1.0

# How long the suite looks for a shorter sequence of steps after one has failed. Each try takes a
# start of the service, 0.5 s, and a sequence of 15 steps some 35 of them.
SEARCH_DEADLINE = 30.0

# The pause between two looks at something that sends no event (pg_locks, a log line, a port). It
# grows with the time that has passed: from the first value, by this share of the time, up to the
# last value. With the first value alone, a run whose task has no result took 4.7 s of CPU time.
# With growing pauses it took 2.5 s.
POLL_INTERVAL = 0.005
POLL_SHARE = 0.05
LONGEST_POLL_INTERVAL = 0.1

# Between two parts, of 64 KiB each, of an upstream's answer of 4 GiB. It costs the upstream and a
# service that reads it some 1 % of a core, and such a service less than 20 MB in GIVE_UP_DEADLINE.
SLOW_CHUNK = 0.1
# Of a limit for a result: how often it is looked whether the worker takes messages from the queue
# meanwhile. As long as it does, the limit begins anew. A worker that never stores a result, and
# takes its message at once, is so waited for a tenth longer.
SHARE_OF_A_WAIT = 0.1

# Part 3: amounts. They are the table "Amounts" in spec/README.md.

# Rounds of ten reads at once after an outage, until all reads of a round succeed: a pool may find
# out one by one which of its connections are broken. asyncpg's pool, in the reference and in the
# tutorial's own code, needed one round in each of 3 runs.
ROUNDS_TO_RECOVER = 5

# Rounds of reads in turn that opened a session, after which DB-11 fails. A pool may still be
# growing after many reads at once: psycopg's was, in one of 4 runs, next to ten other processes.
ROUNDS_TO_REST = 3

# Rounds of the same requests after each of which the service holds more of something than before,
# for LIFE-11. STILL_ROUNDS in succession that add nothing end the count. Of rounds that add
# something, the reference needs one after a whole run, and two on a fresh target, whose pools may
# grow. After an outage of the broker each thread of a right service had to open its own connection
# to it again, two threads in a round. A thread pool of Python's has at most 32 threads unless it is
# told otherwise.
ROUNDS_OF_GROWTH = 20

# Rounds in succession that must add nothing. After one alone a leak of six descriptors in each
# round passed: a client closed its idle connections in that round.
STILL_ROUNDS = 2

# Tasks that the suite tries until it has seen one in execution (TASK-13, TASK-14). As many must
# have been kept nowhere before TASK-14 fails. Such a task takes about 0.1 s. All of that was
# missed in one of some 60 runs, next to two other runs on 2 cores.
LOOKED_AWAY = 3

# The last looks at such a task. They must agree on where its message is. A look takes 2 to 5 ms,
# TASK-14's task at least 50 ms.
LOOKS = 3

# Failed calls in a row, for UP-4. More than the 100 connections of httpx and of aiohttp, of which
# each failure may lose one.
FAILED_CALLS = 110

# Reads of one row before it or its table is changed, for DB-4 and DB-16. Drivers prepare a query
# when a connection has run it five times (psycopg, pgjdbc, Npgsql). Each of the ten connections
# that usual pools have at most must have run it more often. So ten clients read at once, eight
# times each. Measured: 80 reads take 0.1 s, and 0.15 s of CPU time.
READS_BEFORE_A_CHANGE = 80
# Outbound calls that get no answer, or whose clients leave, before the suite looks at whether 20
# calls at once are possible still. If each loses one of the 100 connections of httpx or of aiohttp,
# only 10 are left.
LOST_CALLS = 90

# Requests of one sort that fail, are stalled or refused, or whose clients leave. More than any
# usual pool of database connections (5 and 15 in SQLAlchemy, 10 in asyncpg, 20 or 30 where somebody
# chose), and more than the 32 threads that asyncio's executor has at most. Fewer than the 40
# threads of Starlette, which every plain function may use.
FAILURES = 35

# Reads at once of CONC-2. A read that takes a second connection leaves none to the others for good
# when half as many reads again come as there are connections: 45 for a pool of 30.
READS_AT_ONCE = 50

# Generated examples per property. 50 examples cost 0.2 to 0.4 s. TASK-6 waits for a worker each
# time, so it gets fewer. The last number is for each of the contract's six operations, for HTTP-2
# and for HTTP-3. Measured: 1.5 to 2 s in all.
EXAMPLES = 50
EXAMPLES_THROUGH_THE_WORKER = 25
EXAMPLES_OF_AN_OPERATION = 15

# Sequences that CONC-11 tries, and the steps that are drawn for each. Measured: 2 to 3 s. They ask
# 49 to 60 of 64 pairs of a state and a question. A fault that takes three steps to show is found
# with 18 of 20 seeds or more, by the unit tests.
PROGRAMS = 12
STEPS_OF_A_PROGRAM = 15

# Of one such search: the restarts of the service, the columns that are added to the table, and the
# reads of a step that reads one row again and again. A restart takes 0.5 s, and 0.6 s of CPU time.
# A dropped column still counts as one of the 1600 that a table of Postgres can have in its life,
# and a persistent testbed keeps its table for all runs. Twelve reads take 0.02 s.
RESTARTS_OF_A_SEARCH = 1
COLUMNS_OF_A_SEARCH = 2
READS_OF_A_STEP = 12

# The most bytes that are read of an answer's body, and the most lines that are kept of a process's
# output: as many first lines as last lines.
BODY_LIMIT = 4 * 1024 * 1024
LINES_KEPT = 2000

# The most bytes that are read of all bodies that one probe is answered with. The largest sum of a
# right service is about 6 MB. Answers of 3 MB each, of which UP-4 alone has 110, took 638 MB.
BODIES_LIMIT = 64 * 1024 * 1024
