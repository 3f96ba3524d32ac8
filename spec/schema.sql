CREATE TABLE items (
    id          integer PRIMARY KEY,
    name        text NOT NULL,
    description text,
    price       double precision NOT NULL,
    quantity    bigint NOT NULL,
    available   boolean NOT NULL,
    created_at  timestamptz NOT NULL
);
