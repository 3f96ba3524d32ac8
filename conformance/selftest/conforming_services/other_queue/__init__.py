"""Its own queue, its own names, its own result serializer, a worker of threads; SQLAlchemy's Core over psycopg."""
