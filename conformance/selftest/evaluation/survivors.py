"""The mutants of the reference that survive, by their names, and why nothing fails of each."""

from collections.abc import Mapping

NOT_STARTED = "does not start"
FAILED = "the suite failed"

UNBUFFERED = "equivalent: the suite starts targets with PYTHONUNBUFFERED, so that no line is lost that was printed"
WRAPPED = "equivalent: Starlette makes a context manager of a generator function itself"
NOBODY_WRITES = "equivalent: nothing writes to the settings"
NUMBER = "no requirement states this number, only what it is for; one more or less of it serves that as well"
ALLOWED = "the requirement leaves this choice of a status"
SOON_ENOUGH = "its retries end within the time that TASK-10 grants"
KILLED_WHOLE = "tells only where the process that executes dies and the worker's own lives on; the suite kills a worker whole"
FETCHED_AHEAD = "none is lost over what is fetched ahead, as long as its acknowledgement is late"
BROKER_FIRST = "tells only of a worker that starts before its broker, which no requirement asks for"

SURVIVORS: Mapping[str, str] = {
    'app.py: print("Starting up...", flush=True) → print("Starting up...", flush=False)': UNBUFFERED,
    'app.py: print("Shutting down...", flush=True) → print("Shutting down...", flush=False)': UNBUFFERED,
    "app.py: SUBMISSIONS_AT_ONCE = 20 → SUBMISSIONS_AT_ONCE = 21": NUMBER,
    "app.py: SUBMISSIONS_AT_ONCE = 20 → SUBMISSIONS_AT_ONCE = 19": NUMBER,
    "app.py: @asynccontextmanager → nothing": WRAPPED,
    "database.py: async with asyncpg.create_pool(url, min_size=2, max_size=10) as pool: → async with asyncpg.create_pool(url, min_size= 3, max_size=10) as pool:": NUMBER,
    "database.py: async with asyncpg.create_pool(url, min_size=2, max_size=10) as pool: → async with asyncpg.create_pool(url, min_size= 1, max_size=10) as pool:": NUMBER,
    "database.py: async with asyncpg.create_pool(url, min_size=2, max_size=10) as pool: → async with asyncpg.create_pool(url, min_size=2, max_size= 11) as pool:": NUMBER,
    "database.py: async with asyncpg.create_pool(url, min_size=2, max_size=10) as pool: → async with asyncpg.create_pool(url, min_size=2, max_size= 9) as pool:": NUMBER,
    "settings.py: @dataclass(frozen=True) → @dataclass(frozen=False)": NOBODY_WRITES,
    "tasks.py: task_reject_on_worker_lost=True, → task_reject_on_worker_lost=False,": KILLED_WHOLE,
    "tasks.py: broker_connection_retry_on_startup=True, → broker_connection_retry_on_startup=False,": BROKER_FIRST,
    "tasks.py: task_publish_retry=False, → task_publish_retry=True,": SOON_ENOUGH,
    "tasks.py: DEPTH = 100  # levels of nesting; the worker's pickling gives up at some 300 → DEPTH = 101  # levels of nesting; the worker's pickling gives up at some 300": NUMBER,
    "tasks.py: DEPTH = 100  # levels of nesting; the worker's pickling gives up at some 300 → DEPTH = 99  # levels of nesting; the worker's pickling gives up at some 300": NUMBER,
    "tasks.py: result_expires=3600, → result_expires= 3601,": NUMBER,
    "tasks.py: result_expires=3600, → result_expires= 3599,": NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 6, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 4, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 3, "max_retries": 1, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 1, "max_retries": 1, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 2, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 0, "interval_start": 0},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 1},': NUMBER,
    'tasks.py: broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}, → broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": -1},': NUMBER,
    "tasks.py: redis_socket_timeout=5, → redis_socket_timeout= 6,": NUMBER,
    "tasks.py: redis_socket_timeout=5, → redis_socket_timeout= 4,": NUMBER,
    "tasks.py: redis_socket_connect_timeout=2, → redis_socket_connect_timeout= 3,": NUMBER,
    "tasks.py: redis_socket_connect_timeout=2, → redis_socket_connect_timeout= 1,": NUMBER,
    "upstream.py: TIMEOUT = httpx.Timeout(5.0, connect=2.0) → TIMEOUT = httpx.Timeout( 6.0, connect=2.0)": NUMBER,
    "upstream.py: TIMEOUT = httpx.Timeout(5.0, connect=2.0) → TIMEOUT = httpx.Timeout( 4.0, connect=2.0)": NUMBER,
    "upstream.py: TIMEOUT = httpx.Timeout(5.0, connect=2.0) → TIMEOUT = httpx.Timeout(5.0, connect= 3.0)": NUMBER,
    "upstream.py: TIMEOUT = httpx.Timeout(5.0, connect=2.0) → TIMEOUT = httpx.Timeout(5.0, connect= 1.0)": NUMBER,
    "upstream.py: LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20) → LIMITS = httpx.Limits(max_connections= 201, max_keepalive_connections=20)": NUMBER,
    "upstream.py: LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20) → LIMITS = httpx.Limits(max_connections= 199, max_keepalive_connections=20)": NUMBER,
    "upstream.py: LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20) → LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections= 21)": NUMBER,
    "upstream.py: LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20) → LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections= 19)": NUMBER,
    'upstream.py: raise UpstreamError(504, "the upstream did not answer in time") from error → raise UpstreamError( 503, "the upstream did not answer in time") from error': ALLOWED,
    'upstream.py: raise UpstreamError(502, f"the upstream answered {response.status_code}") → raise UpstreamError( 503, f"the upstream answered {response.status_code}")': ALLOWED,
    'upstream.py: raise UpstreamError(502, f"the upstream answered {response.status_code}") → raise UpstreamError( 501, f"the upstream answered {response.status_code}")': ALLOWED,
    "tasks.py: worker_prefetch_multiplier=1, → worker_prefetch_multiplier= 2,": FETCHED_AHEAD,
    "tasks.py: worker_prefetch_multiplier=1, → worker_prefetch_multiplier= 0,": FETCHED_AHEAD,
}
