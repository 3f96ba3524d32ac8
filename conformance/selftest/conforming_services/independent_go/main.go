// Command service is a small asynchronous service: it reads rows from
// Postgres, relays an upstream's JSON and queues Celery tasks in Redis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// startupTimeout bounds the connection that startup makes to the database.
	startupTimeout = 10 * time.Second
	// graceTimeout is how long requests in flight may take after a stop
	// signal. It is a little longer than any of them should.
	graceTimeout = 28 * time.Second
	// silentConnGrace is how long a connection that never sent a byte is kept
	// after a stop signal, because its request may be on its way.
	silentConnGrace = time.Second
	// echoedSignal is how long a second stop signal is taken for an echo of the
	// first: a terminal and a parent may both send one.
	echoedSignal = time.Second
	// abortTimeout is how long aborted requests have to clean up.
	abortTimeout = 3 * time.Second
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmsgprefix)
	if err := run(); err != nil {
		log.Printf("fatal: %v", err)
		os.Exit(1)
	}
}

// env returns the value of the first of the named variables that is set.
func env(fallback string, names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return fallback
}

// run is the whole life of the service, from its start to its clean stop.
func run() error {
	host := flag.String("host", env("127.0.0.1", "HOST"), "address to listen on")
	port := flag.String("port", env("8000", "PORT"), "port to listen on")
	flag.Parse()

	// A reader of our output that goes away must not end the service.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)

	fmt.Println("Starting up...")
	pgConfig, err := parsePostgresURL(os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	redisConfig, err := parseRedisURL(env("", "CELERY_BROKER_URL", "REDIS_URL"))
	if err != nil {
		return fmt.Errorf("CELERY_BROKER_URL: %w", err)
	}
	upstream, err := newUpstream(os.Getenv("EXTERNAL_DATA_URL"))
	if err != nil {
		return fmt.Errorf("EXTERNAL_DATA_URL: %w", err)
	}

	db := newPostgres(pgConfig)
	started := make(chan error, 1)
	startCtx, cancelStart := context.WithTimeout(context.Background(), startupTimeout)
	defer cancelStart()
	go func() { started <- db.Warm(startCtx) }()
	select {
	case err := <-started:
		if err != nil {
			return fmt.Errorf("connecting to the database: %w", err)
		}
	case <-signals:
		fmt.Println("Shutting down...")
		cancelStart()
		<-started
		db.Close()
		return nil
	}
	defer db.Close()
	broker := newRedis(redisConfig)
	defer broker.Close()
	defer upstream.Close()

	listener, err := net.Listen("tcp", net.JoinHostPort(*host, *port))
	if err != nil {
		return err
	}
	return serve(listener, newHandler(db, upstream, &publisher{redis: broker}), signals)
}

// serve answers requests until a stop signal comes and those in flight are
// done. A second signal, when it is no echo of the first, aborts them.
func serve(listener net.Listener, handler http.Handler, signals <-chan os.Signal) error {
	base, abort := context.WithCancel(context.Background())
	defer abort()
	silent := newSilentConns()
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         silent.track,
		ReadHeaderTimeout: 15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Printf("listening on %s", listener.Addr())

	select {
	case err := <-served:
		return err
	case <-signals:
	}
	fmt.Println("Shutting down...")
	grace, cancel := context.WithTimeout(context.Background(), graceTimeout)
	defer cancel()
	go func() {
		first := time.Now()
		for {
			select {
			case <-signals:
				if time.Since(first) > echoedSignal {
					cancel()
				}
			case <-grace.Done():
				return
			}
		}
	}()
	timer := time.AfterFunc(silentConnGrace, silent.close)
	defer timer.Stop()

	if err := server.Shutdown(grace); err != nil {
		log.Printf("requests are still in flight, aborting them")
		abort()
		last, cancelLast := context.WithTimeout(context.Background(), abortTimeout)
		defer cancelLast()
		if err := server.Shutdown(last); err != nil {
			server.Close()
		}
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// silentConns holds the connections that have not sent a request yet.
// http.Server.Shutdown waits several seconds for these.
type silentConns struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newSilentConns() *silentConns {
	return &silentConns{conns: make(map[net.Conn]struct{})}
}

// track is an http.Server's ConnState hook.
func (s *silentConns) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.conns[c] = struct{}{}
	} else {
		delete(s.conns, c)
	}
}

func (s *silentConns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}
