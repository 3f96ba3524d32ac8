package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxDepth bounds the nesting of a task's data, itself the first level.
	// The worker's parser and encoder are recursive.
	maxDepth = 100
	// maxDigits bounds the digits of a number: Python reads 4300.
	maxDigits = 4000
)

// The types of columns whose values are not texts in JSON (pg_type.oid).
const (
	oidBool        = 16
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidOid         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidJSONB       = 3802
)

var (
	// isoInstant matches an instant of the years 1 to 9999, as Postgres
	// writes it in UTC.
	isoInstant = regexp.MustCompile(`^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$`)
	// jsonNumber matches what Postgres writes for a finite number.
	jsonNumber = regexp.MustCompile(`^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$`)
)

// appendRow appends a row as a JSON object.
func appendRow(body []byte, columns []column, row [][]byte) []byte {
	body = append(body, '{')
	for i, value := range row {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, marshal(columns[i].name)...)
		body = append(body, ':')
		body = appendValue(body, columns[i].oid, value)
	}
	return append(body, '}')
}

// appendValue appends a value of a column, in Postgres's text format, as
// JSON. No number passes through a float. NaN and infinity become null.
func appendValue(body []byte, oid uint32, value []byte) []byte {
	if value == nil {
		return append(body, "null"...)
	}
	switch oid {
	case oidBool:
		return strconv.AppendBool(body, string(value) == "t")
	case oidInt2, oidInt4, oidInt8, oidOid:
		return append(body, value...)
	case oidFloat4, oidFloat8, oidNumeric:
		if !jsonNumber.Match(value) {
			return append(body, "null"...)
		}
		body = append(body, value...)
		if oid != oidNumeric && !bytes.ContainsAny(value, ".e") {
			body = append(body, ".0"...) // so that parsers know it as a float
		}
		return body
	case oidJSON, oidJSONB:
		if json.Valid(value) {
			return append(body, value...)
		}
	case oidTimestamp, oidTimestamptz:
		if m := isoInstant.FindSubmatch(value); m != nil {
			text := string(m[1]) + "T" + string(m[2])
			if oid == oidTimestamptz {
				text += "Z"
			}
			return append(body, marshal(text)...)
		}
	}
	return append(body, marshal(string(value))...)
}

// dataProblem says what is wrong with a task's data.
type dataProblem struct {
	kind, text string
}

// checkTaskData checks that a text in UTF-8 is a JSON object that the worker
// can read, and whose values JSON can carry.
func checkTaskData(data []byte) *dataProblem {
	if !json.Valid(data) {
		return &dataProblem{"json_invalid", "JSON decode error"}
	}
	if bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
		return &dataProblem{"dict_type", "Input should be a valid dictionary"}
	}
	if loneSurrogate(data) {
		return &dataProblem{"string_unicode", "A text has half of a surrogate pair"}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return checkValue(decoder, 0)
}

// checkValue checks the next value of a valid JSON text.
func checkValue(decoder *json.Decoder, depth int) *dataProblem {
	token, err := decoder.Token()
	if err != nil {
		return &dataProblem{"json_invalid", "JSON decode error"}
	}
	switch token := token.(type) {
	case json.Number:
		return checkNumber(token.String())
	case json.Delim:
		if depth == maxDepth {
			return &dataProblem{"recursion_limit", "The data is nested too deep"}
		}
		names := make(map[string]bool)
		for decoder.More() {
			if token == '{' {
				name, err := decoder.Token()
				if err != nil {
					return &dataProblem{"json_invalid", "JSON decode error"}
				}
				names[name.(string)] = true
			}
			if problem := checkValue(decoder, depth+1); problem != nil {
				return problem
			}
		}
		decoder.Token() // the end of the object or array
		// kombu's decoder takes such an object for a value of its own.
		if len(names) == 2 && names["__type__"] && names["__value__"] {
			problem := "An object with the names __type__ and __value__ is reserved"
			return &dataProblem{"reserved_names", problem}
		}
	}
	return nil
}

// checkNumber refuses numbers that the worker cannot read or write.
func checkNumber(text string) *dataProblem {
	if !strings.ContainsAny(text, ".eE") {
		if len(text) > maxDigits {
			return &dataProblem{"int_parsing_size", "An integer has too many digits"}
		}
		return nil
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return &dataProblem{"finite_number", "A number is too large"}
	}
	return nil
}

// loneSurrogate reports whether a valid JSON text has an escape of half of a
// surrogate pair.
func loneSurrogate(data []byte) bool {
	high := -1 // where the low half of a pair must begin
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if data[i+1] != 'u' {
			i++
			continue
		}
		unit, _ := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
		low := unit >= 0xdc00 && unit <= 0xdfff
		if low != (high == i) {
			return true
		}
		if high >= 0 && high < i {
			return true
		}
		high = -1
		if unit >= 0xd800 && unit <= 0xdbff {
			high = i + 6
		}
		i += 5
	}
	return high >= 0
}
