package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	pgMaxConns       = 20
	pgConnectTimeout = 4 * time.Second
	// pgQueryTimeout bounds a query, and the wait for a connection before it.
	pgQueryTimeout = 60 * time.Second
	// pgCancelTimeout is how long the server may take to cancel a query.
	pgCancelTimeout = 3 * time.Second
	// pgGoodbyeTimeout is how long the server may take to end a session.
	pgGoodbyeTimeout = time.Second
	pgMaxMessage     = 256 << 20
)

// pgConfig is what a Postgres URL says.
type pgConfig struct {
	addr, user, password, database string
	tls                            *tls.Config
}

// parsePostgresURL reads postgresql://role:password@host:port/database. Its
// errors do not repeat the URL. TLS is used if sslmode asks for it.
func parsePostgresURL(raw string) (*pgConfig, error) {
	u, err := url.Parse(raw)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") || u.User.Username() == "" {
		return nil, errors.New("not a postgresql URL with a role")
	}
	c := &pgConfig{
		addr:     hostPort(u, "5432"),
		user:     u.User.Username(),
		database: strings.TrimPrefix(u.Path, "/"),
	}
	c.password, _ = u.User.Password()
	if c.database == "" {
		c.database = c.user
	}
	switch mode := u.Query().Get("sslmode"); mode {
	case "", "disable", "allow", "prefer":
	case "require":
		c.tls = &tls.Config{InsecureSkipVerify: true}
	case "verify-ca", "verify-full":
		c.tls = &tls.Config{ServerName: u.Hostname()}
	default:
		return nil, errors.New("unknown sslmode")
	}
	return c, nil
}

// pgError is an ErrorResponse of the server.
type pgError struct {
	severity, code, message string
}

func (e *pgError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.severity, e.code, e.message)
}

// pgQueryCanceled is the SQLSTATE of a query that was cancelled.
const pgQueryCanceled = "57014"

// column describes a column of a result.
type column struct {
	name string
	oid  uint32
}

// result is what a query returned. Values are in text format, nil is null.
type result struct {
	columns []column
	rows    [][][]byte
}

// postgres is a client of one database, with a pool of connections.
type postgres struct {
	config *pgConfig
	pool   *pool[*pgConn]
}

func newPostgres(config *pgConfig) *postgres {
	p := &postgres{config: config}
	p.pool = newPool(pgMaxConns, pgMaxConns, p.dial)
	return p
}

// Warm makes the first connection of the pool.
func (p *postgres) Warm(ctx context.Context) error {
	conn, _, err := p.pool.Get(ctx)
	if err == nil {
		p.pool.Put(conn, true)
	}
	return err
}

// Close ends all sessions.
func (p *postgres) Close() { p.pool.Close(pgCancelTimeout) }

// Read runs one read-only query with one integer as its parameter. It is
// repeated where a connection that was used before breaks without a word. It
// is not where the server says why it ends the session: whoever had it do so
// may have meant the query.
func (p *postgres) Read(ctx context.Context, sql string, arg int32) (*result, error) {
	ctx, cancel := context.WithTimeout(ctx, pgQueryTimeout)
	defer cancel()
	for {
		conn, reused, err := p.pool.Get(ctx)
		if err != nil {
			return nil, err
		}
		res, healthy, err := p.queryOn(ctx, conn, sql, arg)
		p.pool.Put(conn, healthy)
		var pgErr *pgError
		if err == nil || ctx.Err() != nil || !reused || errors.As(err, &pgErr) {
			return res, err
		}
	}
}

// queryOn runs a query on a connection, and has the server cancel it when the
// context ends. It reports whether the connection can be used again.
func (p *postgres) queryOn(
	ctx context.Context, c *pgConn, sql string, arg int32,
) (res *result, healthy bool, err error) {
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		c.SetDeadline(time.Now().Add(pgCancelTimeout))
		p.cancel(c)
	})
	res, healthy, err = c.query(sql, arg)
	if stop() {
		return res, healthy, err
	}
	<-cancelled
	// Unless the request to cancel hit this query, it may hit the next one.
	var pgErr *pgError
	healthy = healthy && errors.As(err, &pgErr) && pgErr.code == pgQueryCanceled
	if healthy {
		c.SetDeadline(time.Time{})
	}
	return res, healthy, err
}

// cancel asks the server to cancel what a connection is doing, and waits
// until it has taken note.
func (p *postgres) cancel(c *pgConn) {
	ctx, stop := context.WithTimeout(context.Background(), pgCancelTimeout)
	defer stop()
	conn, _, err := p.connect(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(pgCancelTimeout))
	request := binary.BigEndian.AppendUint32(nil, 16)
	request = binary.BigEndian.AppendUint32(request, 80877102)
	request = append(request, c.key[:]...)
	if _, err := conn.Write(request); err == nil {
		io.Copy(io.Discard, conn)
	}
}

// connect opens a connection, with TLS if it is asked for.
func (p *postgres) connect(ctx context.Context) (conn, tcp net.Conn, err error) {
	tcp, err = (&net.Dialer{}).DialContext(ctx, "tcp", p.config.addr)
	if err != nil || p.config.tls == nil {
		return tcp, tcp, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		tcp.SetDeadline(deadline)
	}
	var answer [1]byte
	if _, err = tcp.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err == nil {
		_, err = io.ReadFull(tcp, answer[:])
	}
	if err == nil && answer[0] != 'S' {
		err = errors.New("the server does not support TLS")
	}
	if err != nil {
		tcp.Close()
		return nil, nil, err
	}
	return tls.Client(tcp, p.config.tls), tcp, nil
}

// dial starts a session.
func (p *postgres) dial(ctx context.Context) (*pgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, pgConnectTimeout)
	defer cancel()
	conn, tcp, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &pgConn{Conn: conn, tcp: tcp, r: bufio.NewReaderSize(conn, 8<<10)}
	c.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err = c.start(p.config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// pgConn is one session, spoken to in version 3 of the protocol.
type pgConn struct {
	net.Conn
	tcp net.Conn
	r   *bufio.Reader
	key [8]byte // process and secret, which a request to cancel names
}

// Alive implements poolConn.
func (c *pgConn) Alive() bool { return c.r.Buffered() == 0 && quiet(c.tcp) }

// Close implements poolConn. It says goodbye, and waits for the server to
// hang up: a socket that is closed with something unread would be reset, and
// the server would count the session as abandoned.
func (c *pgConn) Close() {
	defer c.Conn.Close()
	c.SetDeadline(time.Now().Add(pgGoodbyeTimeout))
	if _, err := c.Write([]byte{'X', 0, 0, 0, 4}); err != nil {
		return
	}
	io.Copy(io.Discard, c.r)
}

// start sends the startup message, authenticates and waits until the server
// is ready. Whatever a role or a database has as its defaults, values come in
// the formats that this service reads.
func (c *pgConn) start(config *pgConfig) error {
	var m pgMessage
	m.begin(0)
	m.uint32(3 << 16)
	for _, s := range []string{
		"user", config.user,
		"database", config.database,
		"application_name", "service",
		"client_encoding", "UTF8",
		"DateStyle", "ISO, YMD",
		"TimeZone", "UTC",
		"extra_float_digits", "3",
	} {
		m.string(s)
	}
	m.byte(0)
	m.end()
	if _, err := c.Write(m.buf); err != nil {
		return err
	}
	var scram *scramClient
	for {
		kind, body, err := c.receive()
		if err != nil {
			return err
		}
		switch kind {
		case 'R':
			if err := c.authenticate(config, body, &scram); err != nil {
				return err
			}
		case 'K':
			if len(body) < 8 {
				return errors.New("postgres: bad key")
			}
			copy(c.key[:], body)
		case 'Z':
			return nil
		case 'E':
			return parsePgError(body)
		}
	}
}

// query runs one statement. All its messages are sent at once. The statement
// has no name, so nothing is kept that a change of the table could outdate.
func (c *pgConn) query(sql string, arg int32) (res *result, healthy bool, err error) {
	const int4 = 23
	var m pgMessage
	m.begin('P') // Parse
	m.string("")
	m.string(sql)
	m.uint16(1)
	m.uint32(int4)
	m.end()
	m.begin('B') // Bind, the parameter in binary, the result in text format
	m.string("")
	m.string("")
	m.uint16(1)
	m.uint16(1)
	m.uint16(1)
	m.uint32(4)
	m.uint32(uint32(arg))
	m.uint16(0)
	m.end()
	m.begin('D') // Describe the portal
	m.byte('P')
	m.string("")
	m.end()
	m.begin('E') // Execute, without a limit of rows
	m.string("")
	m.uint32(0)
	m.end()
	m.begin('S') // Sync
	m.end()
	_, writeErr := c.Write(m.buf)
	// After an error, the server's last words may still be there to read.
	res = &result{}
	var failure error
	for {
		kind, body, readErr := c.receive()
		if readErr != nil {
			if failure == nil {
				failure = errors.Join(writeErr, readErr)
			}
			return nil, false, failure
		}
		switch kind {
		case 'T':
			res.columns, readErr = parseColumns(body)
		case 'D':
			var row [][]byte
			row, readErr = parseRow(body)
			res.rows = append(res.rows, row)
		case 'E':
			pgErr := parsePgError(body)
			failure = pgErr
			if pgErr.severity != "ERROR" {
				return nil, false, failure
			}
		case 'Z':
			healthy = writeErr == nil && len(body) == 1 && body[0] == 'I'
			if failure != nil {
				return nil, healthy, failure
			}
			return res, healthy, nil
		}
		if readErr != nil {
			return nil, false, readErr
		}
	}
}

// receive reads one message.
func (c *pgConn) receive() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < 4 || size > pgMaxMessage {
		return 0, nil, errors.New("postgres: bad length of a message")
	}
	body = make([]byte, size-4)
	_, err = io.ReadFull(c.r, body)
	return head[0], body, err
}

// send writes one message.
func (c *pgConn) send(kind byte, body []byte) error {
	var m pgMessage
	m.begin(kind)
	m.buf = append(m.buf, body...)
	m.end()
	_, err := c.Write(m.buf)
	return err
}

// pgMessage builds messages one after the other.
type pgMessage struct {
	buf   []byte
	start int // of the length of the message being built
}

// begin starts a message. The startup message has no kind.
func (m *pgMessage) begin(kind byte) {
	if kind != 0 {
		m.buf = append(m.buf, kind)
	}
	m.start = len(m.buf)
	m.uint32(0)
}

// end fills in the message's length.
func (m *pgMessage) end() {
	binary.BigEndian.PutUint32(m.buf[m.start:], uint32(len(m.buf)-m.start))
}

func (m *pgMessage) byte(b byte)     { m.buf = append(m.buf, b) }
func (m *pgMessage) uint16(n uint16) { m.buf = binary.BigEndian.AppendUint16(m.buf, n) }
func (m *pgMessage) uint32(n uint32) { m.buf = binary.BigEndian.AppendUint32(m.buf, n) }
func (m *pgMessage) string(s string) { m.buf = append(append(m.buf, s...), 0) }

var errBadMessage = errors.New("postgres: bad message")

func parsePgError(body []byte) *pgError {
	e := &pgError{}
	for len(body) > 1 {
		field := body[0]
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			break
		}
		switch field {
		case 'S':
			if e.severity == "" {
				e.severity = string(value)
			}
		case 'V': // as S, but never translated
			e.severity = string(value)
		case 'C':
			e.code = string(value)
		case 'M':
			e.message = string(value)
		}
		body = rest
	}
	return e
}

func parseColumns(body []byte) ([]column, error) {
	if len(body) < 2 {
		return nil, errBadMessage
	}
	columns := make([]column, binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range columns {
		name, rest, ok := bytes.Cut(body, []byte{0})
		if !ok || len(rest) < 18 {
			return nil, errBadMessage
		}
		columns[i] = column{name: string(name), oid: binary.BigEndian.Uint32(rest[6:])}
		body = rest[18:]
	}
	return columns, nil
}

func parseRow(body []byte) ([][]byte, error) {
	if len(body) < 2 {
		return nil, errBadMessage
	}
	row := make([][]byte, binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range row {
		if len(body) < 4 {
			return nil, errBadMessage
		}
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			continue
		}
		if int(size) > len(body) {
			return nil, errBadMessage
		}
		row[i], body = body[:size:size], body[size:]
	}
	return row, nil
}
