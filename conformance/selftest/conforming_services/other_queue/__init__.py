"""Own queue, names and result serializer, a worker of threads, SQLAlchemy's Core over psycopg."""
