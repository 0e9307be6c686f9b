package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// fault is something that goes wrong with a number of answers.
type fault struct {
	// Of this method, or of any.
	Method string `json:"method"`
	Times  int    `json:"times"`
	// Nothing is done, and this is the answer.
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	// Nothing is done, and there is no answer: the connection ends, or stays as it is.
	Close bool `json:"close"`
	Hang  bool `json:"hang"`
	// All is done, but with this delay before, in milliseconds.
	Delay int `json:"delay"`
	// All is done, and of the answer these members are other ones, or missing (null).
	Set map[string]json.RawMessage `json:"set"`
	// All is done, and the answer ends in its midst, or never does.
	Truncate bool `json:"truncate"`
	Endless  bool `json:"endless"`
}

type faults []*fault

// The lock is held by the caller.
func (f *faults) next(method string) *fault {
	for _, fault := range *f {
		if fault.Times > 0 && (fault.Method == "" || fault.Method == method) {
			fault.Times--
			return fault
		}
	}
	return nil
}

// Whether the request is done with.
func (f *fault) before(w http.ResponseWriter, r *http.Request) bool {
	time.Sleep(time.Duration(f.Delay) * time.Millisecond)
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Close:
		hangUp(w)
	case f.Status != 0:
		for name, value := range f.Headers {
			w.Header().Set(name, value)
		}
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		}
		w.WriteHeader(f.Status)
		w.Write([]byte(f.Body))
	default:
		return false
	}
	return true
}

func (f *fault) write(w http.ResponseWriter, r *http.Request, code int, text []byte) {
	if len(f.Set) > 0 {
		members := map[string]json.RawMessage{}
		if json.Unmarshal(text, &members) == nil {
			for name, value := range f.Set {
				if bytes.Equal(value, []byte("null")) {
					delete(members, name)
				} else {
					members[name] = value
				}
			}
			text, _ = json.Marshal(members)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if f.Truncate {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(code)
		w.Write(text[:len(text)/2])
		hangUp(w)
		return
	}
	w.WriteHeader(code)
	w.Write(text)
	// At most a GiB, should nobody hang up.
	space := bytes.Repeat([]byte{' '}, 64*1024)
	for sent := 0; f.Endless && sent < 16*1024; sent++ {
		if _, err := w.Write(space); err != nil || r.Context().Err() != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func hangUp(w http.ResponseWriter) {
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	panic(http.ErrAbortHandler)
}
