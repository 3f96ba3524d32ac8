package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log"
	"mime"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// submitTimeout bounds what a submission waits for the broker.
	submitTimeout = 10 * time.Second
	// bodyTimeout bounds what a request's body takes to arrive.
	bodyTimeout = 30 * time.Second
	// writeTimeout bounds what an answer takes to leave.
	writeTimeout = 30 * time.Second
	// maxBody bounds a submission.
	maxBody = 4 << 20
	// selectItem names no columns, so that the answer has those of the table.
	selectItem = "SELECT * FROM items WHERE id = $1"
)

//go:embed openapi.json
var openAPI []byte

// integerText is what is taken as an integer in a path.
var integerText = regexp.MustCompile(`^[+-]?[0-9]+(\.0+)?$`)

// service has the handlers, and what they need.
type service struct {
	db        *postgres
	upstream  *upstream
	publisher *publisher
}

// newHandler returns the handler of the whole service.
func newHandler(db *postgres, up *upstream, pub *publisher) http.Handler {
	s := &service{db: db, upstream: up, publisher: pub}
	return recovered(http.HandlerFunc(s.route))
}

// recovered turns a panic into an answer.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				log.Printf("panic: %v\n%s", v, debug.Stack())
				writeError(w, http.StatusInternalServerError, "Internal Server Error")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// route finds the handler of a path. It takes paths as they are: nothing is
// cleaned or redirected, as http.ServeMux would.
func (s *service) route(w http.ResponseWriter, r *http.Request) {
	handler := s.readItem
	post := false
	switch path := r.URL.Path; path {
	case "/sync":
		handler = message("This is a synchronous endpoint")
	case "/async":
		handler = message("This is an asynchronous endpoint")
	case "/items/":
		handler = readItems
	case "/external-data":
		handler = s.externalData
	case "/process-data/":
		handler, post = s.processData, true
	case "/openapi.json":
		handler = func(w http.ResponseWriter, _ *http.Request) { writeBody(w, http.StatusOK, openAPI) }
	default:
		id, ok := strings.CutPrefix(path, "/items/")
		if !ok || strings.Contains(id, "/") {
			writeError(w, http.StatusNotFound, "Not Found")
			return
		}
	}
	allow, allowed := "GET, HEAD", r.Method == http.MethodGet || r.Method == http.MethodHead
	if post {
		allow, allowed = "POST", r.Method == http.MethodPost
	}
	if !allowed {
		w.Header().Set("Allow", allow)
		writeError(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	handler(w, r)
}

// message returns a handler that answers with a fixed message.
func message(text string) http.HandlerFunc {
	body := marshal(map[string]string{"message": text})
	return func(w http.ResponseWriter, _ *http.Request) { writeBody(w, http.StatusOK, body) }
}

// readItems echoes the parameter q.
func readItems(w http.ResponseWriter, r *http.Request) {
	writeBody(w, http.StatusOK, marshal(map[string]*string{"q": lastQuery(r.URL.RawQuery, "q")}))
}

// readItem answers with one row of the table, or null.
func (s *service) readItem(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimPrefix(r.URL.Path, "/items/")
	if !integerText.MatchString(text) {
		problem := "Input should be a valid integer, unable to parse string as an integer"
		writeInvalid(w, "int_parsing", problem, "path", "item_id")
		return
	}
	text, _, _ = strings.Cut(text, ".")
	id, err := strconv.ParseInt(text, 10, 32)
	if err != nil { // no row can have an id that the column cannot hold
		writeBody(w, http.StatusOK, []byte(`{"item":null}`))
		return
	}
	res, err := s.db.Read(r.Context(), selectItem, int32(id))
	if err != nil {
		logFailure(r, err)
		writeError(w, http.StatusServiceUnavailable, "The database is not available")
		return
	}
	body := []byte(`{"item":`)
	if len(res.rows) == 0 {
		body = append(body, "null"...)
	} else {
		body = appendRow(body, res.columns, res.rows[0])
	}
	writeBody(w, http.StatusOK, append(body, '}'))
}

// externalData answers with the upstream's document.
func (s *service) externalData(w http.ResponseWriter, r *http.Request) {
	document, err := s.upstream.Fetch(r.Context())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		logFailure(r, err)
		writeError(w, http.StatusGatewayTimeout, "The upstream did not answer in time")
	case err != nil:
		logFailure(r, err)
		writeError(w, http.StatusBadGateway, "The upstream did not answer as expected")
	default:
		writeBody(w, http.StatusOK, document)
	}
}

// processData queues a task.
func (s *service) processData(w http.ResponseWriter, r *http.Request) {
	if !isJSON(r.Header.Get("Content-Type")) {
		writeInvalid(w, "media_type", "The body should be application/json", "body")
		return
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	control.SetReadDeadline(time.Time{})
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		writeError(w, http.StatusRequestEntityTooLarge, "The body is too long")
		return
	case err != nil || !utf8.Valid(data):
		writeError(w, http.StatusBadRequest, "There was an error parsing the body")
		return
	}
	if problem := checkTaskData(data); problem != nil {
		writeInvalid(w, problem.kind, problem.text, "body")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), submitTimeout)
	defer cancel()
	id, err := s.publisher.Publish(ctx, bytes.TrimSpace(data))
	if err != nil {
		logFailure(r, err)
		writeError(w, http.StatusServiceUnavailable, "The task could not be submitted, try again later")
		return
	}
	writeBody(w, http.StatusOK, marshal(struct {
		Message string `json:"message"`
		TaskID  string `json:"task_id"`
	}{"Task submitted", id}))
}

// isJSON reports whether a media type is JSON's. A body without a type is
// taken for what it should be.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	isApplication := strings.HasPrefix(media, "application/")
	return media == "application/json" || isApplication && strings.HasSuffix(media, "+json")
}

// lastQuery returns the last value of a parameter, or nil. Unlike package
// url's parser, it takes every text: only & separates, and what is no escape
// stands for itself.
func lastQuery(query, name string) *string {
	var value *string
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if pair != "" && unescapeQuery(k) == name {
			v = unescapeQuery(v)
			value = &v
		}
	}
	return value
}

func unescapeQuery(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			out = append(out, byte(b))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// logFailure logs why a request failed, which its answer does not tell.
func logFailure(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has left
	}
	path := r.URL.Path
	if len(path) > 80 {
		path = path[:80] + "..."
	}
	log.Printf("%s %q failed: %v", r.Method, path, err)
}

// marshal returns a value as JSON.
func marshal(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // only values that can be encoded are passed
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// writeBody answers with a JSON text.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// writeError answers with a sentence.
func writeError(w http.ResponseWriter, status int, detail string) {
	writeBody(w, status, marshal(map[string]string{"detail": detail}))
}

// writeInvalid answers 422, in the shape that FastAPI gives it.
func writeInvalid(w http.ResponseWriter, kind, text string, loc ...string) {
	type problem struct {
		Type string   `json:"type"`
		Loc  []string `json:"loc"`
		Msg  string   `json:"msg"`
	}
	body := marshal(map[string][]problem{"detail": {{kind, loc, text}}})
	writeBody(w, http.StatusUnprocessableEntity, body)
}
