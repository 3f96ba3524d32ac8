package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// upstreamTimeout bounds an outbound call as a whole, to its last byte.
	upstreamTimeout = 25 * time.Second
	// upstreamMaxBody bounds what is read of an upstream's answer, unpacked.
	upstreamMaxBody = 16 << 20
)

// upstream fetches one configured URL.
type upstream struct {
	url    *url.URL
	client *http.Client
}

// newUpstream returns a client of its own for the URL: without proxies,
// cookies, redirects or a limit of connections.
func newUpstream(raw string) (*upstream, error) {
	u, err := exactURL(raw)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 256 << 10,
	}
	return &upstream{url: u, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// exactURL parses a URL so that its path and query are sent as they are
// written, and not as they would be written by package url.
func exactURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("not an http URL")
	}
	u.Fragment, u.RawFragment = "", ""
	_, rest, _ := strings.Cut(raw, "://")
	rest, _, _ = strings.Cut(rest, "#")
	start := strings.IndexAny(rest, "/?")
	if start < 0 || rest[start] != '/' || strings.HasPrefix(rest[start:], "//") {
		return u, nil
	}
	for _, b := range []byte(rest[start:]) {
		if b <= ' ' || b >= 0x7f {
			return u, nil
		}
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Opaque: rest[start:]}, nil
}

// Close closes the idle connections.
func (u *upstream) Close() { u.client.CloseIdleConnections() }

// Fetch makes one call and returns the upstream's JSON as it is.
func (u *upstream) Fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	target := *u.url
	req := (&http.Request{
		Method: http.MethodGet,
		URL:    &target,
		Host:   target.Host,
		Header: http.Header{"Accept": {"application/json"}, "User-Agent": {"service/1.0"}},
	}).WithContext(ctx)
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 || resp.StatusCode == http.StatusPartialContent {
		// A short rest is read, so that the connection can be used again.
		if resp.ContentLength >= 0 && resp.ContentLength <= 4<<10 {
			io.CopyN(io.Discard, resp.Body, 4<<10)
		}
		return nil, fmt.Errorf("upstream status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, upstreamMaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the upstream's body: %w", err)
	}
	if len(body) > upstreamMaxBody {
		return nil, errors.New("the upstream's body is too long")
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errors.New("the upstream's body is not JSON")
	}
	return body, nil
}
