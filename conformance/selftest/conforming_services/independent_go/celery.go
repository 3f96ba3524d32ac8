package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
)

const (
	celeryQueue = "celery"
	celeryTask  = "process_data"
)

// publisher queues Celery tasks, as messages of protocol 2 in kombu's
// envelope for Redis. A worker needs nothing but the list.
type publisher struct {
	redis *redisClient
}

// Publish queues a task with the data, a JSON text, as its only argument. It
// returns the task's id. After an error, the broker has not confirmed it.
func (p *publisher) Publish(ctx context.Context, data []byte) (string, error) {
	id := newUUID()
	message, err := taskMessage(id, data)
	if err != nil {
		return "", err
	}
	return id, p.redis.Do(ctx, "LPUSH", celeryQueue, string(message))
}

// taskMessage returns the envelope that kombu would write.
func taskMessage(id string, data []byte) ([]byte, error) {
	body := make([]byte, 0, len(data)+96)
	body = append(body, `[[`...)
	body = append(body, data...)
	body = append(body, `], {}, {"callbacks": null, "errbacks": null,`...)
	body = append(body, ` "chain": null, "chord": null}]`...)
	host, _ := os.Hostname()
	return json.Marshal(map[string]any{
		"body":             body, // a []byte is encoded in base64
		"content-encoding": "utf-8",
		"content-type":     "application/json",
		"headers": map[string]any{
			"lang":                  "py",
			"task":                  celeryTask,
			"id":                    id,
			"root_id":               id,
			"parent_id":             nil,
			"group":                 nil,
			"group_index":           nil,
			"shadow":                nil,
			"eta":                   nil,
			"expires":               nil,
			"retries":               0,
			"timelimit":             []any{nil, nil},
			"argsrepr":              "(...)",
			"kwargsrepr":            "{}",
			"origin":                fmt.Sprintf("%d@%s", os.Getpid(), host),
			"ignore_result":         false,
			"replaced_task_nesting": 0,
			"stamped_headers":       nil,
			"stamps":                map[string]any{},
		},
		"properties": map[string]any{
			"correlation_id": id,
			"reply_to":       newUUID(),
			"delivery_mode":  2,
			"delivery_info":  map[string]any{"exchange": "", "routing_key": celeryQueue},
			"priority":       0,
			"body_encoding":  "base64",
			"delivery_tag":   newUUID(),
		},
	})
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
