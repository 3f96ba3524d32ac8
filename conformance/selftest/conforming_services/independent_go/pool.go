package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// errPoolClosed is returned by a pool that has been closed.
var errPoolClosed = errors.New("the pool is closed")

// poolConn is what a pool keeps.
type poolConn interface {
	// Alive reports whether an idle connection may be used again.
	Alive() bool
	// Close ends the connection cleanly.
	Close()
}

// pool hands out connections, at most a fixed number at once. It keeps those
// that come back healthy and makes new ones in place of those that do not.
// It remembers nothing else, so an outage is over when it is over.
type pool[C poolConn] struct {
	dial    func(context.Context) (C, error)
	slots   chan struct{}
	maxIdle int

	mu     sync.Mutex
	idle   []C
	closed bool
}

func newPool[C poolConn](max, maxIdle int, dial func(context.Context) (C, error)) *pool[C] {
	return &pool[C]{dial: dial, slots: make(chan struct{}, max), maxIdle: maxIdle}
}

// Get returns a connection and whether it was used before. Every connection
// must be given back by Put.
func (p *pool[C]) Get(ctx context.Context) (conn C, reused bool, err error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return conn, false, ctx.Err()
	}
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			<-p.slots
			return conn, false, errPoolClosed
		}
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		conn = p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if conn.Alive() {
			return conn, true, nil
		}
		conn.Close()
	}
	conn, err = p.dial(ctx)
	if err != nil {
		<-p.slots
	}
	return conn, false, err
}

// Put gives a connection back. One that is not healthy is closed.
func (p *pool[C]) Put(conn C, healthy bool) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	if healthy && !p.closed && len(p.idle) < p.maxIdle {
		p.idle = append(p.idle, conn)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	conn.Close()
}

// Close closes the idle connections at once, and the others as they come
// back. It waits for these, but not longer than the timeout.
func (p *pool[C]) Close(timeout time.Duration) {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, conn := range idle {
		wg.Add(1)
		go func() {
			defer wg.Done()
			conn.Close()
		}()
	}
	wg.Wait()
	deadline := time.After(timeout)
	for range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-deadline:
			return
		}
	}
}

// quiet reports whether an idle connection is open and has nothing to read.
// What an idle server says unasked, if anything, is goodbye.
func quiet(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, peekErr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && (peekErr == syscall.EAGAIN || peekErr == syscall.EWOULDBLOCK)
}
