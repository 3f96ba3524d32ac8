package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	redisMaxConns       = 64
	redisMaxIdle        = 16
	redisConnectTimeout = 4 * time.Second
)

// redisConfig is what a redis URL says.
type redisConfig struct {
	addr, user, password string
	db                   int
	tls                  *tls.Config
}

// parseRedisURL reads redis://user:password@host:port/database. Its errors do
// not repeat the URL.
func parseRedisURL(raw string) (*redisConfig, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, errors.New("not a redis URL")
	}
	c := &redisConfig{addr: hostPort(u, "6379"), user: u.User.Username()}
	c.password, _ = u.User.Password()
	if name := strings.Trim(u.Path, "/"); name != "" {
		if c.db, err = strconv.Atoi(name); err != nil {
			return nil, errors.New("the database is not a number")
		}
	}
	if u.Scheme == "rediss" {
		c.tls = &tls.Config{ServerName: u.Hostname()}
	}
	return c, nil
}

// hostPort returns the address in a URL.
func hostPort(u *url.URL, port string) string {
	host := u.Hostname()
	if host == "" {
		host = "localhost"
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(host, port)
}

// redisClient sends commands to Redis, over connections from a pool.
type redisClient struct {
	config *redisConfig
	pool   *pool[*redisConn]
}

func newRedis(config *redisConfig) *redisClient {
	c := &redisClient{config: config}
	c.pool = newPool(redisMaxConns, redisMaxIdle, c.dial)
	return c
}

// Close closes all connections.
func (c *redisClient) Close() { c.pool.Close(time.Second) }

// Do sends a command and waits for its reply. It is not repeated: whoever
// gets an error may do that. A connection is only kept after a success,
// because an error may mean that it leads to the wrong server or user.
func (c *redisClient) Do(ctx context.Context, args ...string) error {
	conn, _, err := c.pool.Get(ctx)
	if err != nil {
		return err
	}
	err = conn.do(ctx, args)
	c.pool.Put(conn, err == nil && !conn.expired)
	return err
}

func (c *redisClient) dial(ctx context.Context) (*redisConn, error) {
	ctx, cancel := context.WithTimeout(ctx, redisConnectTimeout)
	defer cancel()
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.config.addr)
	if err != nil {
		return nil, err
	}
	conn := &redisConn{tcp: tcp, Conn: tcp}
	if c.config.tls != nil {
		conn.Conn = tls.Client(tcp, c.config.tls)
	}
	conn.r = bufio.NewReader(conn.Conn)
	var greeting [][]string
	switch {
	case c.config.user != "":
		greeting = append(greeting, []string{"AUTH", c.config.user, c.config.password})
	case c.config.password != "":
		greeting = append(greeting, []string{"AUTH", c.config.password})
	}
	if c.config.db != 0 {
		greeting = append(greeting, []string{"SELECT", strconv.Itoa(c.config.db)})
	}
	for _, args := range greeting {
		if err := conn.do(ctx, args); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return conn, nil
}

// redisConn is one connection.
type redisConn struct {
	net.Conn
	tcp     net.Conn
	r       *bufio.Reader
	expired bool // a context ended while the connection was in use
}

// Alive implements poolConn.
func (c *redisConn) Alive() bool { return c.r.Buffered() == 0 && quiet(c.tcp) }

// Close implements poolConn.
func (c *redisConn) Close() { c.Conn.Close() }

// do sends one command and reads its reply, until the context ends.
func (c *redisConn) do(ctx context.Context, args []string) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := c.exchange(args)
	if !stop() {
		c.expired = true
		if err != nil {
			err = ctx.Err()
		}
	}
	return err
}

func (c *redisConn) exchange(args []string) error {
	size := 16
	for _, arg := range args {
		size += len(arg) + 16
	}
	command := make([]byte, 0, size)
	command = fmt.Appendf(command, "*%d\r\n", len(args))
	for _, arg := range args {
		command = fmt.Appendf(command, "$%d\r\n", len(arg))
		command = append(append(command, arg...), '\r', '\n')
	}
	if _, err := c.Write(command); err != nil {
		return err
	}
	return c.readReply()
}

// readReply reads one reply of a command that has no array as its reply.
func (c *redisConn) readReply() error {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	text := strings.TrimRight(string(line), "\r\n")
	if text == "" {
		return errors.New("empty reply")
	}
	switch text[0] {
	case '+', ':', '_', '#', ',', '(':
		return nil
	case '-':
		return fmt.Errorf("redis error: %s", text[1:])
	case '$':
		n, err := strconv.Atoi(text[1:])
		if err != nil || n > 1<<20 {
			return errors.New("bad reply")
		}
		if n >= 0 {
			_, err = io.CopyN(io.Discard, c.r, int64(n)+2)
		}
		return err
	}
	return errors.New("unexpected reply")
}
